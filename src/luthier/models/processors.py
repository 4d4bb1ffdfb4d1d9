"""What prepares a model's input, by modality: texts to ids, files to pixels or samples. No torch, no transformers."""

from pathlib import Path

from luthier.errors import ModelError
from luthier.models.audio_processor import AudioProcessor, choose_max_seconds
from luthier.models.image_processor import ImageProcessor
from luthier.models.settings import NetworkKind
from luthier.models.table_processor import TableProcessor
from luthier.models.text_processor import TextProcessor, TokenRows, choose_max_length

__all__ = [
    "AudioProcessor",
    "ImageProcessor",
    "Processor",
    "TableProcessor",
    "TextProcessor",
    "TokenRows",
    "choose_max_length",
    "choose_max_seconds",
    "load_processor",
]

Processor = TextProcessor | ImageProcessor | AudioProcessor | TableProcessor


def load_processor(folder: Path, modality: str, *, kind: NetworkKind = "encoder") -> Processor:
    """The processor of a model folder, Luthier's own or Hugging Face's.

    Args:
        kind: What of the model is used: one that writes what it hears needs its tokenizer too.

    Raises:
        ModelError: the modality has none, or the folder lacks its files.
    """
    if modality == "text":
        return TextProcessor.load(folder)
    if modality == "image":
        return ImageProcessor.load(folder)
    if modality == "audio":
        processor = AudioProcessor.load(folder)
        return processor.with_text(TextProcessor.load(folder)) if kind == "speech-seq2seq" else processor
    if modality == "table":
        return TableProcessor.load(folder)
    raise ModelError(f"Nothing here prepares {modality}.", remedy="text, image, audio or table")

"""What prepares a model's input, by modality: texts to ids, image files to pixels. No torch, no transformers."""

from pathlib import Path

from luthier.errors import ModelError
from luthier.models.image_processor import ImageProcessor
from luthier.models.text_processor import TextProcessor, TokenRows, choose_max_length

__all__ = ["ImageProcessor", "Processor", "TextProcessor", "TokenRows", "choose_max_length", "load_processor"]

Processor = TextProcessor | ImageProcessor


def load_processor(folder: Path, modality: str) -> Processor:
    """The processor of a model folder, Luthier's own or Hugging Face's.

    Raises:
        ModelError: the modality has none, or the folder lacks its files.
    """
    if modality == "text":
        return TextProcessor.load(folder)
    if modality == "image":
        return ImageProcessor.load(folder)
    raise ModelError(f"Nothing here prepares {modality}.", remedy="text or image")

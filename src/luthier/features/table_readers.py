"""What reads the texts and the pictures of a table, loaded from the folders beside its processor."""

from luthier.core.process import NO_COST, Cost
from luthier.core.progress import Observer
from luthier.features.pictures import PictureReader, load_picture_reader
from luthier.features.texts import TextReader, load_text_reader
from luthier.models.table_processor import IMAGES, TEXTS, TableProcessor


def cost_of_reading(processor: TableProcessor) -> Cost:
    """What it took to make the vectors of texts and pictures that were asked for so far."""
    readers = (processor.reader, processor.image_reader)
    costs = [cost for reader in readers if isinstance(reader, TextReader | PictureReader) for cost in reader.costs]
    return sum(costs, start=NO_COST)


def with_readers(
    processor: TableProcessor, *, device: str, keeps: bool = False, observer: Observer | None = None
) -> TableProcessor:
    """The processor with what reads its texts and pictures, where it has any.

    Args:
        keeps: Whether vectors are kept in the activation store and looked for there.

    Raises:
        ModelError: a folder of a reader is refused, or transformers cannot load it.
    """
    content, folders = processor.content, processor.folders
    reader, image_reader = processor.reader, processor.image_reader
    if content.text_model is not None:
        reader = load_text_reader(folders[TEXTS], content.text_model, device=device, keeps=keeps, observer=observer)
    if content.image_model is not None:
        image_reader = load_picture_reader(folders[IMAGES], content.image_model, device=device, keeps=keeps, observer=observer)
    return TableProcessor(content, reader=reader, image_reader=image_reader, folders=folders)

"""How the columns of a table are read: what is said of it, and the frozen models that read texts and pictures."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.errors import ModelError
from luthier.features.pictures import load_picture_reader
from luthier.features.texts import load_text_reader
from luthier.models.load import load_backbone
from luthier.models.processors import choose_max_length
from luthier.models.source import PretrainedFolder, resolve_model
from luthier.models.table_processor import IMAGES, TEXTS, ImageModel, TableContent, TableProcessor, TextModel
from luthier.models.text_processor import TextProcessor
from luthier.pipeline.found import Workplace
from luthier.spec import TuneSpec

if TYPE_CHECKING:
    import pyarrow as pa


def with_text_model(
    spec: TuneSpec, processor: TableProcessor, learnt: "pa.Table", *, near: Path, at: Workplace
) -> tuple[TableProcessor, list[Decision[Any]]]:
    """The processor with what reads its texts, where it has any."""
    if not processor.content.texts:
        return processor, []
    settings = spec.model.model_copy(update={"name": spec.model.table.text_model, "revision": None})
    source = resolve_model(settings, modality="text", near=near)
    assert source.folder is not None
    tokenizer = TextProcessor.load(source.folder)
    texts = [text for column in processor.cells(learnt).texts for text in column]
    length = choose_max_length(tokenizer.count_tokens(texts), tokenizer.limit)
    if spec.model.max_length is not None:
        limit = min(spec.model.max_length, tokenizer.limit)
        length = Decision(name="max_length", value=limit, reason="as asked")
    backbone = load_backbone(source)
    model = TextModel(
        name=source.name,
        weights_sha256=source.weights_sha256,
        pooling=backbone.layout.pooling,
        width=backbone.width,
        max_length=length.value,
        precision=at.precision,
        licence=source.licence,
    )
    reader = load_text_reader(source.folder, model, device=at.device, keeps=True, observer=at.observer)
    content = replace(processor.content, text_model=model)
    chosen = Decision(
        name="text_model",
        value=source.name,
        reason=f"reads {_named(content.texts, 'texts')}, one frozen vector for each text; its vectors are kept on disk",
        evidence={"weights_sha256": source.weights_sha256, "width": model.width, "precision": model.precision},
        override="--table-text-model NAME, or off",
    )
    folders = {**processor.folders, TEXTS: source.folder}
    found = TableProcessor(content, reader=reader, image_reader=processor.image_reader, folders=folders)
    return found, [chosen, length]


def with_image_model(
    spec: TuneSpec, processor: TableProcessor, *, near: Path, at: Workplace
) -> tuple[TableProcessor, list[Decision[Any]]]:
    """The processor with what reads its pictures, where it has any.

    Raises:
        ModelError: there is no model for pictures; says how to name one, and how to go without.
    """
    images = processor.content.images
    if not images:
        return processor, []
    source = _find_image_model(spec, images, near=near)
    assert source.folder is not None
    backbone = load_backbone(source)
    model = ImageModel(
        name=source.name,
        weights_sha256=source.weights_sha256,
        pooling=backbone.layout.pooling,
        width=backbone.width,
        precision=at.precision,
        licence=source.licence,
    )
    reader = load_picture_reader(source.folder, model, device=at.device, keeps=True, observer=at.observer)
    chosen = Decision(
        name="image_model",
        value=source.name,
        reason=f"reads {_named(images, 'pictures')}, one frozen vector for each picture; its vectors are kept on disk",
        evidence={"weights_sha256": source.weights_sha256, "width": model.width, "precision": model.precision},
        override="--table-image-model NAME, or off",
    )
    content = replace(processor.content, image_model=model)
    folders = {**processor.folders, IMAGES: source.folder}
    return TableProcessor(content, reader=processor.reader, image_reader=reader, folders=folders), [chosen]


def _find_image_model(spec: TuneSpec, images: tuple[str, ...], *, near: Path) -> PretrainedFolder:
    settings = spec.model.model_copy(update={"name": spec.model.table.image_model, "revision": None})
    try:
        return resolve_model(settings, modality="image", near=near)
    except ModelError as error:
        named = _named(images, "pictures")
        raise ModelError(
            f"Pictures are named in {named}, and there is no model to read them: {error.problem}",
            remedy="--table-image-model FOLDER, or off, which leaves the pictures out",
        ) from error


def columns_decision(content: TableContent) -> Decision[Any]:
    """How each column is prepared."""
    prepared: dict[str, str] = {}
    for number in content.numbers:
        kind = f"number, {content.scaling} scaling"
        prepared[number.column] = _date_parts(content, number.column) if number.part else kind
    for category in content.categories:
        kind = f"{count_of(len(category.values), 'category', 'categories')} with a place of their own, all others share one"
        prepared[category.column] = _date_parts(content, category.column) if category.part else kind
    for text in content.texts:
        prepared[text] = f"text, read by {content.text_model.name if content.text_model else 'nothing'}"
    for image in content.images:
        prepared[image] = f"pictures, read by {content.image_model.name if content.image_model else 'nothing'}"
    cells = len(content.numbers) + len(content.categories) + len(content.texts) + len(content.images)
    return Decision(
        name="preparation",
        value=f"{count_of(len(prepared), 'column')} as {count_of(cells, 'cell')}",
        reason="learnt from train alone; a missing value is a value of its own",
        evidence={"columns": prepared},
        override="--table-scaling standard|min-max|robust|quantile",
    )


def _date_parts(content: TableContent, column: str) -> str:
    parts = [cell.part for cell in content.numbers if cell.column == column]
    parts += [cell.part for cell in content.categories if cell.column == column]
    return f"date: {', '.join(parts)}"


def _named(columns: tuple[str, ...], nouns: str) -> str:
    return "the column " + repr(columns[0]) if len(columns) == 1 else f"{len(columns)} columns of {nouns}"

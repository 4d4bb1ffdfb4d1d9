"""Which of the users' own texts, pictures and sounds a report may show, and how: in full, masked, or not at all."""

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from luthier.data.dataset import EXAMPLE_ID
from luthier.data.schema import Kind
from luthier.data.words import Words
from luthier.errors import LuthierError
from luthier.evaluation.predictions import read_predictions
from luthier.pipeline.prepare import Prepared, read_columns
from luthier.spec import TuneSpec

MOST_CHARACTERS = 400
THUMBNAIL_SIDE, BOXED_SIDE = 96, 320
SPECTROGRAM_WIDTH, SHOWN_SECONDS = 160, 8.0
BLOCK = "█"
HIDDEN = 3 * BLOCK
_BLOCKS = re.compile(f"{BLOCK}+")
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|(?:\+?\d[\d ()/.-]{6,}\d)")


def example_texts(spec: TuneSpec, prepared: Prepared, run: Path, ids: Sequence[str]) -> dict[str, str]:
    """Example id -> text or thumbnail, for the ids that the report of a run folder wants."""
    shown = how_to_show(spec, prepared)
    if shown == "none":
        return {}
    table = prepared.dataset.table
    places = {name: row for row, name in enumerate(table.column(EXAMPLE_ID).to_pylist())}
    rows = np.array([places[name] for name in ids if name in places], dtype=np.int64)  # typed also where there are none
    schema = prepared.dataset.schema
    values = prepared.task.rows(read_columns(table.take(rows), schema), schema.roles)
    names = [name for name in ids if name in places]
    if pictures := [name for name in schema.features if schema.kind_of(name) is Kind.IMAGE]:
        values = [{**row, **{name: Path(row[name] or "").name for name in pictures}} for row in values]
    if prepared.task.answer_kind == "boxes":
        thumbnail: Callable[[Path], str] | None = boxed_thumbnail
    else:
        thumbnail = THUMBNAILS.get(prepared.task.modality)
    if thumbnail:
        return {name: thumbnail(_file_of(value)) for name, value in zip(names, values, strict=True)} if shown == "full" else {}
    if values and isinstance(values[0], Words):
        return {name: _shown_words(row, masked=shown == "masked") for name, row in zip(names, values, strict=True)}
    if shown == "masked":  # before anything is marked: no mark may stand inside what is hidden
        values = [_masked(value) for value in values]
    texts = prepared.task.show(values, _said_of(run, names))
    if shown == "masked":  # rows of other forms than texts have not been masked yet
        texts = [_masked(text) for text in texts]
    return {name: _shown(text) for name, text in zip(names, texts, strict=True)}


def _file_of(row: Any) -> Path:
    """The file of a row, which may stand beside what is said in it."""
    return Path(row[0] if isinstance(row, tuple) else row)


def _masked(value: Any) -> Any:
    """A text, or several, with blocks for letters of personal data, so that every other letter keeps its place."""
    if isinstance(value, str):
        return PERSONAL.sub(lambda found: BLOCK * len(found.group()), value)
    if isinstance(value, Mapping):
        return {name: _masked(cell) for name, cell in value.items()}
    return tuple(map(_masked, value)) if isinstance(value, tuple) else value


def _said_of(run: Path, names: Sequence[str]) -> list[Mapping[str, Any] | None]:
    """What the tuned model said of some examples; None for those that are not of the test part."""
    table = read_predictions(run / "predictions.parquet")["tuned"].table
    places = {name: row for row, name in enumerate(table["example_id"].to_pylist())}
    rows = table.take(np.array([places[name] for name in names if name in places], dtype=np.int64)).to_pylist()
    said = {row["example_id"]: row for row in rows}
    return [said.get(name) for name in names]


def how_to_show(spec: TuneSpec, prepared: Prepared) -> str:
    """full, masked or none: as asked, else masked where personal data was found."""
    if spec.output.examples != "auto":
        return spec.output.examples
    return "masked" if any(finding.check == "personal-data" for finding in prepared.findings) else "full"


def _shown(text: str) -> str:
    text = _BLOCKS.sub(HIDDEN, text)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _shown_words(row: Words, *, masked: bool) -> str:
    """Words with single spaces between them, as many as may be shown: a report marks some of them by their number."""
    hidden = [(found.start(), found.end()) for found in PERSONAL.finditer(row.text)] if masked else []
    words = [
        HIDDEN if any(start < row.end(place) and row.starts[place] < end for start, end in hidden) else word
        for place, word in enumerate(row.words)
    ]
    text = " ".join(words)
    if len(text) <= MOST_CHARACTERS:
        return text
    kept = text[: MOST_CHARACTERS - 2].rpartition(" ")[0]
    return f"{kept} …"


def mask(text: str) -> str:
    """The text without e-mail addresses and long numbers.

    Example:
        >>> mask("write to jo@example.org or call +44 20 7946 0991")
        'write to ███ or call ███'
    """
    return PERSONAL.sub(HIDDEN, text)


def boxed_thumbnail(path: Path) -> str:
    """A picture on which boxes are drawn: large enough to see what is in them."""
    return picture_thumbnail(path, side=BOXED_SIDE)


def picture_thumbnail(path: Path, *, side: int = THUMBNAIL_SIDE) -> str:
    """A picture as a small data URI; empty if it cannot be read."""
    from luthier.models.image_processor import open_image

    try:
        image = open_image(path)
    except LuthierError:
        return ""
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def sound_thumbnail(path: Path) -> str:
    """The spectrogram of a recording's first seconds as a small data URI, loud parts dark; empty if it cannot be read."""
    from luthier.core.sound import read_header, read_mono, resample
    from luthier.models.mel import YAMNET, log_mel

    try:
        rate = read_header(path).rate
        samples = resample(read_mono(path, frames=int(SHOWN_SECONDS * rate)), rate, YAMNET.rate)
    except LuthierError:
        return ""
    bands = log_mel(samples, YAMNET)
    step = -(-len(bands) // SPECTROGRAM_WIDTH)
    bands = np.pad(bands, ((0, -len(bands) % step), (0, 0)), mode="edge").reshape(-1, step, YAMNET.bands).mean(axis=1)
    quiet, loud = np.percentile(bands, [5, 99.5])
    grey = 255 - np.clip((bands - quiet) / max(1e-6, loud - quiet), 0, 1) * 255
    return "data:image/png;base64," + base64.b64encode(grey_png(grey.T[::-1].astype(np.uint8))).decode("ascii")


def grey_png(pixels: UInt8[np.ndarray, "height width"]) -> bytes:
    """A grey picture as a PNG file, without Pillow: sound does not need the extra for pictures."""
    height, width = pixels.shape
    lines = np.pad(pixels, ((0, 0), (1, 0)))  # each line begins with the number of its filter: none
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    written = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


THUMBNAILS: Mapping[str, Callable[[Path], str]] = {"image": picture_thumbnail, "audio": sound_thumbnail}

"""Which of the users' own texts and pictures a report may show, and how: in full, masked, or not at all."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from luthier.data.dataset import EXAMPLE_ID
from luthier.pipeline.choose import Chosen
from luthier.pipeline.prepare import Prepared
from luthier.spec import TuneSpec

MOST_CHARACTERS = 400
THUMBNAIL_SIDE = 96
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|(?:\+?\d[\d ()/.-]{6,}\d)")


def example_texts(spec: TuneSpec, prepared: Prepared, chosen: Chosen, ids: Sequence[str]) -> dict[str, str]:
    """Example id -> text or thumbnail, for the ids a report wants."""
    shown = how_to_show(spec, prepared)
    if shown == "none":
        return {}
    table = prepared.dataset.table
    places = {name: row for row, name in enumerate(table.column(EXAMPLE_ID).to_pylist())}
    rows = np.array([places[name] for name in ids if name in places], dtype=np.int64)  # typed also where there are none
    values = prepared.task.rows(table.take(rows), prepared.dataset.schema.roles)
    names = [name for name in ids if name in places]
    if prepared.task.modality == "image":
        return {name: thumbnail(Path(value)) for name, value in zip(names, values, strict=True)} if shown == "full" else {}
    texts = (value if isinstance(value, str) else " ⟷ ".join(map(str, value)) for value in values)
    return {name: _shown(text, masked=shown == "masked") for name, text in zip(names, texts, strict=True)}


def how_to_show(spec: TuneSpec, prepared: Prepared) -> str:
    """full, masked or none: as asked, else masked where personal data was found."""
    if spec.output.examples != "auto":
        return spec.output.examples
    return "masked" if any(finding.check == "personal-data" for finding in prepared.findings) else "full"


def _shown(text: str, *, masked: bool) -> str:
    text = mask(text) if masked else text
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def mask(text: str) -> str:
    """The text without e-mail addresses and long numbers.

    Example:
        >>> mask("write to jo@example.org or call +44 20 7946 0991")
        'write to ███ or call ███'
    """
    return PERSONAL.sub("███", text)


def thumbnail(path: Path) -> str:
    """A picture as a small data URI; empty if it cannot be read."""
    from luthier.errors import LuthierError
    from luthier.models.image_processor import open_image

    try:
        image = open_image(path)
    except LuthierError:
        return ""
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

"""Pictures that cannot be used: missing, unreadable, truncated, absurdly large; placeholders, animations, specks."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from luthier.data.checks.check import Check
from luthier.data.checks.unusable_files import FileCheck, FileState
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells
from luthier.data.schema import Kind
from luthier.errors import MissingExtraError

NAME = "images"
MAX_PIXELS = 50_000_000  # what models/image_processor.py reads at most: the two may not import each other
MIN_SIDE = 8
_THREADS = 4
_PLACEHOLDER = re.compile(r"not[-_ ]?found|no[-_ ]?image|placeholder|unavailable", re.IGNORECASE)

FILES = FileCheck(
    name=NAME,
    noun="picture",
    flag="--image",
    look="look at these files",
    states={
        "missing": FileState(words="not there", is_unusable=True),
        "unreadable": FileState(words="not readable as pictures", is_unusable=True),
        "truncated": FileState(words="cut off before the end", is_unusable=True),
        "huge": FileState(words=f"larger than {MAX_PIXELS / 1e6:.0f} megapixels", is_unusable=True),
        "placeholder": FileState(words="named like placeholders", is_unusable=True, is_scored=True),
        "animated": FileState(words="animated: only the first frame is used", is_unusable=False),
        "tiny": FileState(words=f"under {MIN_SIDE} pixels high or wide", is_unusable=False),
    },
)


def check_images(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Open every picture once, in threads; the size is judged from the header, before any pixel is decoded.

    Where pictures are one column among others that a model reads, a row is not lost with its picture: that counts as missing.
    """
    cells = [column.name for column in dataset.schema.columns if column.kind is Kind.IMAGE]
    cells = [name for name in cells if name in dataset.schema.features]
    findings = []
    for name in dict.fromkeys([dataset.schema.roles["image"], *cells]):
        column = dataset.table.column(name)
        present = np.flatnonzero(~missing_cells(column))
        states = np.full(dataset.table.num_rows, "", dtype="<U11")
        states[present] = inspect_images(column.take(present).to_pylist())
        for part, rows in dataset.parts.items():
            for state in FILES.states:
                found = rows[states[rows] == state]
                if len(found):
                    cell = name if name in cells else None
                    findings.append(FILES.finding(dataset, part, state=state, rows=found, cell=cell))
    return findings


def inspect_images(paths: list[str]) -> list[str]:
    """The state of each picture, one of `FILES.states`; '' where nothing is wrong.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("image", needed_for="reading pictures") from error
    # Our own limit replaces Pillow's, which only warns up to twice its value; it is put back afterwards.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(_inspect, paths))
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _inspect(path: str) -> str:
    import struct

    from PIL import Image, UnidentifiedImageError

    if not Path(path).is_file():
        return "missing"
    try:
        with Image.open(path) as image:
            state = _judge_header(image, path)
            if state != "huge":
                # JPEG decodes at an eighth of its size, yet reads the whole file: truncation still shows.
                image.draft(None, (64, 64))
                image.load()
            return state
    except UnidentifiedImageError:
        return "unreadable"
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error) as error:
        return "truncated" if "truncated" in str(error) else "unreadable"


def _judge_header(image: object, path: str) -> str:
    width, height = getattr(image, "size", (0, 0))
    if width * height > MAX_PIXELS:
        return "huge"
    if _PLACEHOLDER.search(Path(path).stem):
        return "placeholder"
    if getattr(image, "is_animated", False):
        return "animated"
    return "tiny" if min(width, height) < MIN_SIDE else ""


CHECK = Check(name=NAME, about="Unreadable, truncated, huge and placeholder pictures", find=check_images, roles=("image",))

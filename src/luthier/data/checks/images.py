"""Pictures that cannot be used: missing, unreadable, truncated, absurdly large; placeholders, animations, specks."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import missing_cells
from luthier.data.wording import name_rows, share_of
from luthier.errors import MissingExtraError

NAME = "images"
MAX_PIXELS = 50_000_000  # what models/image_processor.py reads at most: the two may not import each other
MIN_SIDE = 8
_THREADS = 4
_PLACEHOLDER = re.compile(r"not[-_ ]?found|no[-_ ]?image|placeholder|unavailable", re.IGNORECASE)

# State of a picture -> (words, severity, left out of train and validation)
STATES = {
    "missing": ("not there", "warning", True),
    "unreadable": ("not readable as pictures", "warning", True),
    "truncated": ("cut off before their end", "warning", True),
    "huge": (f"larger than {MAX_PIXELS / 1e6:.0f} megapixels", "warning", True),
    "placeholder": ("placeholders by their names", "warning", True),
    "animated": ("animations, of which only the first frame is used", "info", False),
    "tiny": (f"under {MIN_SIDE} pixels high or wide", "info", False),
}


def check_images(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Open every picture once, in threads; the size is judged from the header, before any pixel is decoded."""
    column = dataset.column("image")
    present = np.flatnonzero(~missing_cells(column))
    paths = column.take(present).to_pylist()
    states = np.full(dataset.table.num_rows, "", dtype="<U11")
    states[present] = inspect_images(paths)
    findings = []
    for part, rows in dataset.parts.items():
        for state in STATES:
            found = rows[states[rows] == state]
            if len(found):
                findings.append(_finding(dataset, part, state=state, rows=found))
    return findings


def inspect_images(paths: list[str]) -> list[str]:
    """The state of each picture, a key of `STATES`; '' where nothing is wrong.

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


def _finding(dataset: Dataset, part: str, *, state: str, rows: Rows) -> Finding:
    words, severity, unusable = STATES[state]
    whole = len(dataset.parts[part])
    noun = "pictures" if part == "all" else f"{part} pictures"
    if unusable and len(rows) == whole:
        return Finding(
            check=NAME,
            severity="error",
            problem=f"All {count_of(whole, 'picture')} of {dataset.name} ({part}) are {words}. {name_rows(dataset, rows)}",
            remedy="check the paths in the column named by --image; they are read from the folder of the table",
            count=whole,
            rows=rows,
            part=part,
        )
    dropped = unusable and part != "test"
    remedy = "nothing to do: they are left out" if dropped else "look at these files"
    if unusable and part == "test":
        remedy = "replace these files, or remove them from the test part; they cannot be scored"
    return Finding(
        check=NAME,
        severity="warning" if severity == "warning" else "info",
        problem=f"{share_of(len(rows), whole, noun=noun)} are {words}. {name_rows(dataset, rows)}",
        remedy=remedy,
        count=len(rows),
        rows=rows,
        part=part,
        action=Action(kind="drop_rows", rows=rows) if dropped else None,
        by_default=dropped,
        evidence={"state": state}
        | ({"excluded_from_scoring": True} if unusable and part == "test" and state != "placeholder" else {}),
    )


CHECK = Check(name=NAME, about="Unreadable, truncated, huge and placeholder pictures", find=check_images, roles=("image",))

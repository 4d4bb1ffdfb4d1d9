"""The size of a picture, from its header: what boxes are measured against. No pixel is decoded."""

from functools import lru_cache
from pathlib import Path

_SIDEWAYS = (5, 6, 7, 8)  # orientations (EXIF) in which width and height change places
_ORIENTATION = 274
_KEPT = 200_000


def picture_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of a picture as it is looked at, upright; None if the file cannot be read."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return _size(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=_KEPT)
def _size(path: str, changed: int, num_bytes: int) -> tuple[int, int] | None:
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the header alone is read
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _SIDEWAYS
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError):
        return None
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    return (height, width) if turned else (width, height)

"""Weights files, judged from their headers alone: sizes, types and offsets must fit the file. No tensor is read here."""

import hashlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from luthier.core.storage import format_bytes, sha256_of
from luthier.errors import ModelError
from luthier.models.strict_json import parse_strict_json, read_strict_json

INDEX_SUFFIX = ".safetensors.index.json"
MAX_HEADER_BYTES = 32 * 1024**2
MAX_INDEX_BYTES = 32 * 1024**2
BYTES_OF_TYPE = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}


def check_header(path: Path) -> None:
    """Refuse a safetensors file whose header does not fit the file.

    Raises:
        ModelError: the header is cut off, too large, or describes other bytes than the file has.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise _refusal(path, f"it has {format_bytes(size)} and a header that claims {format_bytes(length)}")
        header = parse_strict_json(file.read(length), path)
    if not isinstance(header, dict):
        raise _refusal(path, "its header is not an object")
    spans = sorted(_span(path, name, tensor) for name, tensor in header.items() if name != "__metadata__")
    end = 0
    for start, stop in spans:
        if start != end:
            raise _refusal(path, f"its tensors leave a hole or overlap at byte {end:,}")
        end = stop
    if end != size - 8 - length:
        raise _refusal(path, f"its header describes {end:,} bytes of tensors, the file has {size - 8 - length:,}")


def _span(path: Path, name: str, tensor: Any) -> tuple[int, int]:
    try:
        start, stop = tensor["data_offsets"]
        expected = prod(tensor["shape"]) * BYTES_OF_TYPE[tensor["dtype"]]
        sound = all(isinstance(number, int) and number >= 0 for number in (start, stop, *tensor["shape"]))
    except (TypeError, KeyError, ValueError) as error:
        raise _refusal(path, f"the header's entry of '{name}' is malformed ({error!r})") from error
    if not sound or stop - start != expected:
        raise _refusal(path, f"tensor '{name}' needs {expected:,} bytes, its offsets span {stop - start:,}")
    return start, stop


def read_index(path: Path) -> list[str]:
    """The files that an index of sharded weights names, in order.

    Raises:
        ModelError: it names something that is not a safetensors file of the same folder.
    """
    content = read_strict_json(path, max_bytes=MAX_INDEX_BYTES)
    mapping = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise _refusal(path, "it has no 'weight_map'")
    names = sorted({str(name) for name in mapping.values()})
    for name in names:
        if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise _refusal(path, f"it names '{name}', which is not a safetensors file of this folder")
        if not (path.parent / name).is_file():
            raise _refusal(path, f"it names '{name}', which is missing")
    return names


def digest_of(files: Sequence[Path]) -> str:
    """One sha256 for a model's weights: the file's own where there is one, else that of the lines `DIGEST  NAME`."""
    digests = [sha256_of(path) for path in files]
    if len(digests) == 1:
        return digests[0]
    lines = "".join(f"{digest}  {path.name}\n" for digest, path in zip(digests, files, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _refusal(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is not a sound weights file: {what}.", remedy="take the file from the model's own source again")

"""JSON from elsewhere: small, flat, without NaN and without double keys, or refused."""

import json
from pathlib import Path
from typing import Any

from luthier.core.storage import format_bytes
from luthier.errors import ModelError

MAX_DEPTH = 24


def read_strict_json(path: Path, *, max_bytes: int) -> Any:
    """Read a JSON file that may be hostile.

    Raises:
        ModelError: it is too large, not JSON, nested too deep, holds NaN or Infinity, or a key twice.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise _refusal(path, f"has {format_bytes(size)}; at most {format_bytes(max_bytes)} are read")
    return parse_strict_json(path.read_bytes(), path)


def parse_strict_json(content: bytes, path: Path) -> Any:
    """The same, for bytes that are already here; `path` is named in errors."""
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_refuse_double_keys)
    except RecursionError:
        raise _refusal(path, "is nested too deep") from None
    except ValueError as error:
        raise _refusal(path, f"is not sound JSON ({error})") from error
    if _depth(value) > MAX_DEPTH:
        raise _refusal(path, f"is nested deeper than {MAX_DEPTH} levels")
    return value


def _refusal(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} {what}.", remedy="take the file from the model's own source again")


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def _refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it holds the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return content


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        containers = [item for item in level if isinstance(item, dict | list)]
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
    return depth

"""Records as JSON: frozen dataclasses in, plain dictionaries out, and back with types checked."""

import dataclasses
import json
import math
from collections.abc import Mapping, Set
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


def to_plain(value: Any) -> Any:
    """The value as JSON types: records and mappings become dictionaries, arrays become lists, NaN becomes None.

    Example:
        >>> from luthier.core.decision import Decision
        >>> to_plain(Decision(name="seed", value=7, reason="the default"))["value"]
        7
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "model_dump"):
        return to_plain(value.model_dump())
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, Set):
        return sorted(to_plain(item) for item in value)
    return [to_plain(item) for item in value]


def to_json(value: Any, *, indent: int | None = None) -> str:
    """`to_plain`, as text; keys keep their order, non-ASCII letters stay readable."""
    return json.dumps(to_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def from_plain(kind: type[Record], data: Any) -> Record:
    """A record of `kind` from its dictionary; wrong types raise pydantic's ValidationError."""
    return TypeAdapter(kind).validate_python(data)

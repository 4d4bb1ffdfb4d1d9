"""A choice the program made by itself, with its reason. The run folder keeps them all, the report shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Decision(Generic[Value]):
    """One automatic choice.

    Attributes:
        name: What was decided, as the spec calls it where it has a name for it (`target`, `method`, `batch_size`).
        value: The choice. Plain JSON types, so that it can be written down.
        reason: One sentence a user understands.
        evidence: The numbers behind it; plain JSON types.
        override: What to type to decide otherwise; empty if it cannot be changed.

    Example:
        >>> Decision(name="target", value="category", reason="the last column with few values").value
        'category'
    """

    name: str
    value: Value
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    override: str = ""
    schema_version: int = 1

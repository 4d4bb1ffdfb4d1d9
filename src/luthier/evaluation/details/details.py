"""What there is to say of one model's answers beyond its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Details:
    """Members as of `Metrics`.

    Attributes:
        per_class: Scores of each label.
        confusion: Examples by target and prediction.
        more: Whatever else this kind of answer has, as plain values.
    """

    per_class: Sequence[Mapping[str, object]] = ()
    confusion: Sequence[Sequence[int]] = ()
    more: Mapping[str, object] = field(default_factory=dict)

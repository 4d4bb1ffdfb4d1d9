"""Weights behind the names of sources that are to be mixed: `a.csv:2`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from luthier.errors import LuthierError, SpecError, raise_together


def split_weight(source: str | Path) -> tuple[Path, float | None]:
    """The path of a source, and its weight where one is written behind it.

    Example:
        >>> split_weight("a.csv:0.7"), split_weight("a.csv")
        ((PosixPath('a.csv'), 0.7), (PosixPath('a.csv'), None))
    """
    path = Path(source)
    match = re.fullmatch(r"(.+):(\d+\.?\d*|\.\d+)", str(source))
    return (path, None) if match is None or path.exists() else (Path(match[1]), float(match[2]))


def refuse_unfit_weights(weighted: Sequence[tuple[Path, float | None]], given: Mapping[str, Path]) -> None:
    """Raise SpecError for weights that mean nothing; all problems together."""
    first = weighted[0][0]
    errors: list[LuthierError] = []
    if "train" in given:
        errors.append(SpecError("Sources with weights and --train are both given.", remedy=f"leave --train out: {first}:1 ..."))
    if len(weighted) == 1:
        errors.append(SpecError(f"{first} has a weight, and nothing that it is mixed with.", remedy=str(first)))
    errors += [
        SpecError(f"The weight of {path} is 0: it would never be drawn.", remedy=f"leave {path} out")
        for path, weight in weighted
        if weight == 0
    ]
    repeated = [path for place, (path, _) in enumerate(weighted) if path in [other for other, _ in weighted[:place]]]
    errors += [SpecError(f"{path} is named twice.", remedy=f"{path}:2 counts double") for path in dict.fromkeys(repeated)]
    raise_together(errors)

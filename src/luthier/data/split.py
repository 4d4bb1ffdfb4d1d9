"""Train, validation and test from one table, or validation cut from a given train part.

What is equal (one content key) or belongs together (one value of the group column) never crosses. Rows are drawn by their
content, not by their place: the same rows in another order, with the same seed, fall into the same parts (rows of key 0,
whose content is unknown, are drawn by their place).

scikit-learn's splitters are not used: they make two parts at a time, and none keeps classes and groups both; the order in
time is ours as well (`time_order.py`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from luthier.core.names import count_of
from luthier.core.seeding import seed_for
from luthier.data.dataset import EXAMPLE_ID, PARTS, Dataset, Rows
from luthier.data.findings import Finding
from luthier.data.keys import Keys, answer_kind, connected, label_codes, missing_cells, mix
from luthier.data.strata import Units, assign
from luthier.data.targets import target_sets, target_values
from luthier.data.time_order import by_time
from luthier.data.wording import percent
from luthier.errors import DataError, SpecError

MAX_MISSED_FRACTION = 0.02
# What is in the same proportions in all parts, by the kind of answer.
EVENLY = {"label": "every class", "labels": "the rarest label of each row", "number": "every tenth"}

Fractions = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which rows are in which part, and how that came about.

    Attributes:
        parts: Row numbers by part name, ascending.
        method: `given`, `stratified`, `random` (no labels), `grouped`, or `time`.
        reason: One sentence a user understands.
        seed: What the draw started from.
        fractions: Of train, validation and test as asked for; of what was cut, where some parts were given.
        counts: Rows by part and class; by part alone under the key '' where there are no labels.
        findings: What is wrong with the result: a class missing from a part, fractions missed by far.
    """

    parts: Mapping[str, Rows]
    method: str
    reason: str
    seed: int
    fractions: Fractions
    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...] = field(default=())
    schema_version: int = 1

    def to_table(self, dataset: Dataset) -> pa.Table:
        """`example_id` and `part` of every row that is in a part, in the table's order: what `split.parquet` holds."""
        rows = np.sort(np.concatenate(list(self.parts.values())))
        names = dataset.with_parts(self.parts).part_of_row()[rows]
        return pa.table(
            {EXAMPLE_ID: dataset.table.column(EXAMPLE_ID).take(rows), "part": pa.array(names.tolist(), pa.string())}
        )


def parse_fractions(text: str) -> Fractions:
    """Percentages of train, validation and test, as fractions.

    Raises:
        SpecError: not three positive numbers that add up to 100.

    Example:
        >>> parse_fractions("80/10/10")
        (0.8, 0.1, 0.1)
        >>> parse_fractions("80/20")
        Traceback (most recent call last):
        ...
        luthier.errors.SpecError: --split takes three percentages (train/validation/test); '80/20' has 2.
          Try: --split 80/10/10
    """
    pieces = text.strip().split("/")
    if len(pieces) != 3:
        found = f"'{text}' has {len(pieces)}"
        raise SpecError(f"--split takes three percentages (train/validation/test); {found}.", remedy="--split 80/10/10")
    try:
        numbers = [float(piece.strip().removesuffix("%")) for piece in pieces]
    except ValueError:
        raise SpecError(f"--split takes three numbers; '{text}' has something else.", remedy="--split 80/10/10") from None
    total = sum(numbers)
    if not all(0 < number < np.inf for number in numbers):
        raise SpecError(
            f"Every part of --split must be above 0; found '{text}'. Validation stops training, test measures it.",
            remedy="--split 80/10/10",
        )
    if abs(total - 100) > 0.5 and abs(total - 1) > 0.005:
        scaled = [max(1, round(100 * number / total)) for number in numbers]
        scaled[0] = 100 - scaled[1] - scaled[2]
        raise SpecError(
            f"--split must add up to 100; '{text}' adds up to {total:g}.", remedy=f"--split {'/'.join(map(str, scaled))}"
        )
    train, validation, test = (number / total for number in numbers)
    return train, validation, test


def split(dataset: Dataset, *, fractions: Fractions, seed: int, keys: Keys) -> Split:
    """Make the parts that are not given.

    Args:
        dataset: Cleaned. From `{"all"}` three parts are made; from `{"train", "test"}` validation is cut from train in the
            ratio of their fractions; three given parts stay as they are.
        fractions: Of train, validation and test.
        seed: The same seed, rows and keys give the same parts.
        keys: One content key per row of the table; rows of equal key stay together, key 0 is equal to nothing.

    Raises:
        DataError: too few independent rows to have all three parts, or no readable time.
    """
    given = set(dataset.parts)
    if given == set(PARTS):
        parts = dict(dataset.parts)
        return _record(dataset, parts, method="given", reason="all three parts were given", seed=seed, fractions=_shares(parts))
    names: tuple[str, ...] = PARTS
    if given == {"train", "test"}:
        whole = fractions[0] + fractions[1]
        cut = (fractions[0] / whole, fractions[1] / whole, 0.0)
        source, names, intro = dataset.parts["train"], ("train", "validation"), "test was given, validation is cut from train: "
    elif given in ({"all"}, {"train"}):
        cut, source, names, intro = fractions, next(iter(dataset.parts.values())), PARTS, ""
    else:
        raise DataError(f"{dataset.name} has the parts {sorted(given)}, but none to test on.", remedy="--test FILE")
    made, method, reason, findings = _cut(dataset, source, keys=keys, seed=seed, fractions=cut[: len(names)])
    parts = dict(zip(names, made, strict=True)) | ({"test": dataset.parts["test"]} if "test" in given else {})
    return _record(dataset, parts, method=method, reason=intro + reason, seed=seed, fractions=cut, findings=findings)


def _cut(
    dataset: Dataset, rows: Rows, *, keys: Keys, seed: int, fractions: Sequence[float]
) -> tuple[list[Rows], str, str, list[Finding]]:
    unit_of_row = independent_units(dataset, rows, keys=keys)
    num_units = int(unit_of_row.max()) + 1 if len(rows) else 0
    if num_units < len(fractions):
        raise DataError(
            f"{dataset.name} has {count_of(num_units, 'independent row')} to split into {len(fractions)} parts.",
            remedy="add rows" + (", or leave --group out" if "group" in dataset.schema.roles else ""),
        )
    groups = f"; rows of one '{dataset.schema.roles['group']}' stay together" if "group" in dataset.schema.roles else ""
    if dataset.has_time:
        made, findings = by_time(dataset, rows, unit_of_row=unit_of_row, fractions=fractions)
        findings += _missed_fractions(made, fractions)
        by = "as rows stand, in order of time" if dataset.in_order else f"by '{dataset.schema.roles['time']}'"
        reason = f"{by}, the oldest rows train, the newest are held out{groups}"
        return made, "time", reason, findings
    strata = _strata(dataset, rows)
    draw = _draws(keys[rows], rows, unit_of_row=unit_of_row, num_units=num_units, seed=seed)
    part_of_unit = assign(Units(unit_of_row=unit_of_row, stratum_of_row=strata, draw=draw), fractions)
    part_of_row = part_of_unit[unit_of_row]
    made = [np.sort(rows[part_of_row == part]) for part in range(len(fractions))]
    spread = EVENLY.get(answer_kind(dataset), "")
    method = "grouped" if groups else "stratified" if spread else "random"
    even = f"at random, {spread} of '{dataset.schema.roles['target']}' in the same proportions" if spread else "at random"
    return made, method, f"{even}; equal rows stay together{groups}", _missed_fractions(made, fractions)


def independent_units(dataset: Dataset, rows: Rows, *, keys: Keys) -> Int64[np.ndarray, " rows"]:
    """The number of the unit of each of `rows`: what is linked by a key or a group, directly or through others, is one unit."""
    _, units = np.unique(keys[rows], return_inverse=True)
    units = units.astype(np.int64)
    unknown = np.flatnonzero(keys[rows] == 0)
    units[unknown] = len(rows) + np.arange(len(unknown))
    _, units = np.unique(units, return_inverse=True)
    if "group" not in dataset.schema.roles:
        return np.asarray(units, dtype=np.int64)
    column = dataset.column("group").take(pa.array(rows)).cast(pa.string())
    grouped = np.flatnonzero(~missing_cells(column))
    codes = column.combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    group = codes.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    num_units = int(units.max()) + 1 if len(units) else 0
    component = connected(units[grouped], num_units + group[grouped], size=num_units + len(codes.dictionary))
    _, linked = np.unique(component[units], return_inverse=True)
    return np.asarray(linked, dtype=np.int64)


def _draws(keys: Keys, rows: Rows, *, unit_of_row: Int64[np.ndarray, " rows"], num_units: int, seed: int) -> Keys:
    """A number per unit, drawn by the seed and the unit's smallest key, so that the order of rows does not matter."""
    own = np.where(keys == 0, mix(rows.astype(np.uint64)), keys)
    smallest = np.full(num_units, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, unit_of_row, own)
    return mix(smallest ^ np.uint64(seed_for(seed, "split")))


def _strata(dataset: Dataset, rows: Rows) -> Int64[np.ndarray, " rows"]:
    """What must be in the same proportions everywhere: the label, the rarest of several labels, or tenths of a quantity."""
    kind = answer_kind(dataset)
    if kind == "label":
        return np.asarray(label_codes(dataset).codes[rows] + 1, dtype=np.int64)
    if kind == "labels":
        return _rarest_labels(target_sets(dataset), rows)
    if kind != "number":
        return np.zeros(len(rows), dtype=np.int64)
    ranks = target_values(dataset)[rows]
    known = ~np.isnan(ranks)
    edges = np.unique(np.quantile(ranks[known], np.linspace(0, 1, 11)[1:-1])) if known.any() else np.empty(0)
    return np.where(known, np.searchsorted(edges, ranks, side="right") + 1, 0).astype(np.int64)


def _rarest_labels(sets: Sequence[Sequence[str]], rows: Rows) -> Int64[np.ndarray, " rows"]:
    """The rarest label of each row, as a number; 0 where a row has none.

    Source: the first step of Sechidis et al. 2011, "On the stratification of multi-label data": rare labels are dealt first.
    """
    counts = Counter(label for row in rows for label in sets[row])
    place = {label: number for number, label in enumerate(sorted(counts), 1)}
    rarest = [min(sets[row], key=lambda label: (counts[label], label)) if sets[row] else "" for row in rows]
    return np.array([place.get(label, 0) for label in rarest], dtype=np.int64)


def _missed_fractions(made: Sequence[Rows], fractions: Sequence[float]) -> list[Finding]:
    total = sum(map(len, made))
    shares = [len(rows) / total for rows in made]
    if max(abs(share - asked) for share, asked in zip(shares, fractions, strict=True)) <= max(MAX_MISSED_FRACTION, 1.5 / total):
        return []
    return [
        Finding(
            check="split",
            severity="warning",
            problem="Rows that stay together, or small classes that must be in every part, allow no better cut: "
            f"the parts have {' / '.join(map(percent, shares))} of the rows "
            f"instead of {' / '.join(map(percent, fractions))}.",
            remedy="group by something finer, or ask for other fractions with --split",
            evidence={"shares": shares},
        )
    ]


def _shares(parts: Mapping[str, Rows]) -> Fractions:
    total = max(1, sum(len(rows) for rows in parts.values()))
    train, validation, test = (len(parts[name]) / total for name in PARTS)
    return train, validation, test


def _record(
    dataset: Dataset,
    parts: Mapping[str, Rows],
    *,
    method: str,
    reason: str,
    seed: int,
    fractions: Fractions,
    findings: Sequence[Finding] = (),
) -> Split:
    counts: dict[str, dict[str, int]] = {}
    kind = answer_kind(dataset)
    if kind == "labels":
        sets = target_sets(dataset)
        names = sorted({label for rows in parts.values() for row in rows for label in sets[row]})
        for name, rows in parts.items():
            own = Counter(label for row in rows for label in sets[row])
            counts[name] = {label: own[label] for label in names}
    elif kind == "label":
        labels = label_codes(dataset)
        for name, rows in parts.items():
            codes = labels.codes[rows]
            numbers = np.bincount(codes[codes >= 0], minlength=len(labels.names))
            counts[name] = {label: int(number) for label, number in zip(labels.names, numbers, strict=True)}
    else:
        counts = {name: {"": len(rows)} for name, rows in parts.items()}
    ordered = {name: parts[name] for name in PARTS if name in parts}
    found = (*findings, *_absent_classes(counts))
    return Split(parts=ordered, method=method, reason=reason, seed=seed, fractions=fractions, counts=counts, findings=found)


def _absent_classes(counts: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    findings = []
    for part, numbers in counts.items():
        absent = [label for label, number in numbers.items() if label and not number]
        present_elsewhere = [label for label in absent if any(counts[other][label] for other in counts if other != part)]
        if present_elsewhere:
            named = ", ".join(f"'{label}'" for label in present_elsewhere[:3])
            more = f" and {len(present_elsewhere) - 3:,} more" if len(present_elsewhere) > 3 else ""
            consequence = "cannot be learnt" if part == "train" else "cannot be judged there"
            findings.append(
                Finding(
                    check="split",
                    severity="warning",
                    problem=f"{count_of(len(present_elsewhere), 'class', 'classes')} of {len(numbers):,} "
                    f"{'has' if len(present_elsewhere) == 1 else 'have'} no row in {part} ({named}{more}) and {consequence}.",
                    remedy="add rows of these classes, merge them into others, or ask for a larger part with --split",
                    count=len(present_elsewhere),
                    part=part,
                    evidence={"classes": present_elsewhere},
                )
            )
    return findings

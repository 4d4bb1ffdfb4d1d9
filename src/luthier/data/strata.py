"""Units into parts so that every stratum has its share of every part: big units first and greedily, single rows exactly.

Use when: some rows must stay together and classes must keep their proportions. Cost: a few microseconds per unit of several
rows, next to nothing for single rows. Single rows are dealt class by class; what rounding leaves over in one class is made up
for in the next, so that both every class and every part come out right to about one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt64

_EXCESS_COST = 10.0


@dataclass(frozen=True, kw_only=True)
class Units:
    """What is dealt into parts.

    Attributes:
        unit_of_row: Each row's unit.
        stratum_of_row: Each row's class (or whatever else must be spread evenly).
        draw: A number drawn for each unit: its place in the order of chance.
    """

    unit_of_row: Int64[np.ndarray, " rows"]
    stratum_of_row: Int64[np.ndarray, " rows"]
    draw: UInt64[np.ndarray, " units"]


def assign(units: Units, fractions: Sequence[float]) -> Int64[np.ndarray, " units"]:
    """The part of each unit.

    Every stratum that occurs in at least as many units as there are parts is in every part, as far as single-stratum units
    allow it.

    Args:
        units: At least as many as there are fractions.
        fractions: Of each part; they add up to 1.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    _, stratum = np.unique(units.stratum_of_row, return_inverse=True)
    sizes = np.bincount(units.unit_of_row, minlength=len(units.draw))
    need = np.bincount(stratum)[:, None] * shares
    part = np.full(len(units.draw), -1, dtype=np.int64)
    _deal_big_units(units, stratum, sizes=sizes, need=need, part=part)
    stratum_of_unit = np.full(len(sizes), -1, dtype=np.int64)
    stratum_of_unit[units.unit_of_row] = stratum
    _deal_single_rows(np.flatnonzero(sizes == 1), stratum_of_unit, draw=units.draw, need=need, part=part)
    _fill_gaps(units, stratum, sizes=sizes, part=part, num_parts=len(shares))
    return part


def _deal_big_units(
    units: Units,
    stratum: Int64[np.ndarray, " rows"],
    *,
    sizes: Int64[np.ndarray, " units"],
    need: Float[np.ndarray, "strata parts"],
    part: Int64[np.ndarray, " units"],
) -> None:
    """Units of several rows, the largest first, each to the part whose wants it fills best; `need` and `part` in place."""
    big = np.flatnonzero(sizes > 1)
    if not len(big):
        return
    order = big[np.lexsort((units.draw[big], -sizes[big]))]
    rows = np.argsort(units.unit_of_row, kind="stable")
    bounds = np.searchsorted(units.unit_of_row[rows], np.arange(len(sizes) + 1))
    wanted = np.maximum(need.copy(), 1e-9)
    total = need.sum(axis=0)
    left = total.copy()
    for unit in order:
        strata, counts = np.unique(stratum[rows[bounds[unit] : bounds[unit + 1]]], return_counts=True)
        # Relative wants: a part of 10 % that still lacks half of a class comes before one of 80 % that lacks a third.
        # Where it would not fit, a unit costs more than any want is worth: parts stay near their sizes.
        excess = np.maximum(sizes[unit] - left, 0)
        score = counts @ (need[strata] / wanted[strata]) / sizes[unit] + left / total - _EXCESS_COST * excess / sizes[unit]
        chosen = int(np.argmax(score))
        part[unit] = chosen
        need[strata, chosen] -= counts
        left[chosen] -= sizes[unit]


def _deal_single_rows(
    singles: Int64[np.ndarray, " singles"],
    stratum_of_unit: Int64[np.ndarray, " units"],
    *,
    draw: UInt64[np.ndarray, " units"],
    need: Float[np.ndarray, "strata parts"],
    part: Int64[np.ndarray, " units"],
) -> None:
    """Single rows, class by class, by what each part still needs of the class; rounding is carried over to the next class."""
    order = singles[np.lexsort((draw[singles], stratum_of_unit[singles]))]
    bounds = np.searchsorted(stratum_of_unit[order], np.arange(len(need) + 1))
    carried = np.zeros(need.shape[1])
    for number, wants in enumerate(need):
        members = order[bounds[number] : bounds[number + 1]]
        if not len(members):
            carried += wants
            continue
        open_wants = np.maximum(wants, 0)
        exact = len(members) * open_wants / open_wants.sum()
        counts = _round_to(exact, carried, total=len(members))
        carried += wants - counts
        part[members] = np.repeat(np.arange(len(counts)), counts)


def _round_to(
    exact: Float[np.ndarray, " parts"], carried: Float[np.ndarray, " parts"], *, total: int
) -> Int64[np.ndarray, " parts"]:
    """Whole numbers that add up to `total`: each the floor of its exact share, the rest to those owed most.

    The first part (train) gets at least one; all get at least one where there are enough.
    """
    least = np.ones_like(exact) if total >= len(exact) else np.eye(1, len(exact))[0]
    counts: Int64[np.ndarray, " parts"] = np.maximum(np.floor(exact + 1e-9), least).astype(np.int64)
    owed = exact - counts + carried
    while (missing := total - int(counts.sum())) != 0:
        chosen = int(np.argmax(owed) if missing > 0 else np.argmin(np.where(counts > least, owed, np.inf)))
        counts[chosen] += np.sign(missing)
        owed[chosen] -= np.sign(missing)
    return counts


def _fill_gaps(
    units: Units,
    stratum: Int64[np.ndarray, " rows"],
    *,
    sizes: Int64[np.ndarray, " units"],
    part: Int64[np.ndarray, " units"],
    num_parts: int,
) -> None:
    """Move the smallest unit of a stratum from where it has most units to where it has none; changes `part`.

    A stratum that is one unit can be learnt from or scored, not both: it trains.
    """
    num_strata = int(stratum.max()) + 1
    pairs = np.unique(stratum * len(sizes) + units.unit_of_row)
    strata, members = pairs // len(sizes), pairs % len(sizes)
    counts = np.bincount(strata * num_parts + part[members], minlength=num_strata * num_parts).reshape(num_strata, num_parts)
    enough = counts.sum(axis=1) >= num_parts
    bounds = np.searchsorted(strata, np.arange(num_strata + 1))
    gaps = (counts == 0) & (enough[:, None] | (np.arange(num_parts) == 0))
    for number, lacking in zip(*np.nonzero(gaps), strict=True):
        own = members[bounds[number] : bounds[number + 1]]
        present = np.bincount(part[own], minlength=num_parts)
        if present[lacking]:
            continue
        richest = int(np.argmax(present))
        movable = own[part[own] == richest]
        if lacking > 0:
            movable = movable[_replaceable(movable, strata, members=members, part=part, num_parts=num_parts)]
        if len(movable):
            part[movable[np.lexsort((units.draw[movable], sizes[movable]))[0]]] = lacking


def _replaceable(
    own: Int64[np.ndarray, " own"],
    strata: Int64[np.ndarray, " pairs"],
    *,
    members: Int64[np.ndarray, " pairs"],
    part: Int64[np.ndarray, " units"],
    num_parts: int,
) -> np.ndarray:
    """Units that can leave their part without any of their strata vanishing from it."""
    counts = np.bincount(strata * num_parts + part[members])
    last = counts[strata * num_parts + part[members]] <= 1
    return ~np.isin(own, members[last])

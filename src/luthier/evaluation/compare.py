"""Two models on the same examples: the difference, its interval, and whether chance alone would show as much.

Right-or-wrong measures of independent rows are tested by McNemar's exact test; everything else by swapping the two models'
answers unit by unit (approximate randomisation), which is exact where all swaps can be listed.

Source: McNemar, 1947; Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989; Yeh, More accurate tests for the
statistical significance of result differences, 2000; Holm, A simple sequentially rejective multiple test procedure, 1979.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from luthier.core.seeding import generator_for
from luthier.evaluation.bootstrap import Resampled, chunk_size, resample, unit_sums, weighted_score
from luthier.evaluation.intervals import interval_of
from luthier.evaluation.measures import AnyMeasure
from luthier.evaluation.measures.accuracy import Proportion
from luthier.evaluation.predictions import aligned, unit_indices
from luthier.evaluation.records import Comparison, IndexedMeasure, Measure, Predictions

MCNEMAR = "McNemar's exact test"
RANDOMISATION = "paired randomisation"
EXACT_RANDOMISATION = "exact paired randomisation"


def compare(
    a: Predictions,
    b: Predictions,
    measure: AnyMeasure,
    *,
    names: tuple[str, str] = ("a", "b"),
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """The score of `a` minus the score of `b`, with its bootstrap interval and a paired test.

    Raises:
        DataError: the two are not of the same examples.
    """
    b = aligned(a, b)
    resampled = resample({"a": a, "b": b}, [measure], samples=samples, seed=seed)
    difference = resampled["a"][measure.name] - resampled["b"][measure.name]
    p, test = paired_test(a, b, measure, samples=samples, seed=seed)
    return comparison_of(difference, names=names, measure=measure.name, p=p, test=test, confidence=confidence)


def comparison_of(
    difference: Resampled, *, names: tuple[str, str], measure: str, p: float, test: str, confidence: float
) -> Comparison:
    """The record of a resampled difference; `p_holm` is `p` until `holm` corrects it."""
    interval = interval_of(difference, confidence=confidence)
    return Comparison(
        a=names[0],
        b=names[1],
        measure=measure,
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        p=p,
        p_holm=p,
        standard_error=float(difference.draws.std(ddof=1)),
        test=test,
    )


def paired_standard_error(a: Predictions, b: Predictions, measure: AnyMeasure, *, samples: int = 500, seed: int = 0) -> float:
    """The bootstrap standard error of the difference between two models on the same examples.

    Raises:
        DataError: the two are not of the same examples.
    """
    resampled = resample({"a": a, "b": aligned(a, b)}, [measure], samples=samples, seed=seed)
    return float((resampled["a"][measure.name] - resampled["b"][measure.name]).draws.std(ddof=1))


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with `p_holm` filled in: what `p` becomes when all of them are looked at together.

    Example:
        >>> from luthier.evaluation.records import Comparison
        >>> facts = dict(a="x", b="y", measure="f1", difference=0.1, low=0, high=0.2, p_holm=1, standard_error=0.1, test="")
        >>> [item.p_holm for item in holm([Comparison(p=p, **facts) for p in (0.03, 0.01, 0.04)])]
        [0.06, 0.03, 0.06]
    """
    corrected = [0.0] * len(comparisons)
    so_far = 0.0
    for rank, place in enumerate(sorted(range(len(comparisons)), key=lambda place: comparisons[place].p)):
        so_far = max(so_far, min(1.0, (len(comparisons) - rank) * comparisons[place].p))
        corrected[place] = so_far
    return [replace(item, p_holm=p) for item, p in zip(comparisons, corrected, strict=True)]


def paired_test(
    a: Predictions, b: Predictions, measure: AnyMeasure, *, samples: int = 2000, seed: int = 0
) -> tuple[float, str]:
    """The two-sided p-value of "the two models are exchangeable", and the name of the test that gave it.

    The predictions must be aligned. Groups make the unit that is swapped.
    """
    units = unit_indices(a)
    num_units = int(units.max()) + 1
    if isinstance(measure, Proportion) and num_units == len(units):
        return mcnemar_p(measure.is_right(a), measure.is_right(b)), MCNEMAR
    if isinstance(measure, IndexedMeasure):
        differences = _swapped_rows(a, b, measure, samples=samples, seed=seed)
    else:
        differences = _swapped_sums(a, b, measure, samples=samples, seed=seed)
    observed = abs(differences[0])
    # Sums in another order differ in the last bits; what equals the observed difference must count as such.
    as_large = int(np.count_nonzero(np.abs(differences[1:]) >= observed - 1e-12 * max(1.0, observed)))
    if _can_list_swaps(num_units, samples):
        return as_large / (len(differences) - 1), EXACT_RANDOMISATION
    # The arrangement that was observed is one of those that can occur: p is never 0 (Phipson & Smyth, 2010).
    return (as_large + 1) / len(differences), RANDOMISATION


def mcnemar_p(a_right: Bool[np.ndarray, " N"], b_right: Bool[np.ndarray, " N"]) -> float:
    """McNemar's exact two-sided p-value: of the examples that only one model has right, each is a fair coin.

    Example:
        >>> mcnemar_p(np.array([True] * 8), np.array([False] * 8))
        0.0078125
    """
    from scipy.special import bdtr

    only_a = int(np.count_nonzero(a_right & ~b_right))
    only_b = int(np.count_nonzero(b_right & ~a_right))
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def _can_list_swaps(num_units: int, samples: int) -> bool:
    return num_units < samples.bit_length()


def swap_weights(num_units: int, *, samples: int, seed: int) -> Iterator[Float[np.ndarray, "U chunk"]]:
    """Which units swap their models (1) and which do not (0): all patterns where `samples` suffice, else random ones."""
    if _can_list_swaps(num_units, samples):
        yield ((np.arange(2**num_units) >> np.arange(num_units)[:, None]) & 1).astype(np.float64)
        return
    generator = generator_for(seed, "randomisation")
    size = chunk_size(num_units)
    for start in range(0, samples, size):
        shape = (num_units, min(size, samples - start))
        yield generator.integers(0, 2, size=shape, dtype=np.int8).astype(np.float64)


def _swapped_sums(a: Predictions, b: Predictions, measure: Measure, *, samples: int, seed: int) -> Float[np.ndarray, " S1"]:
    """The difference as observed, then after each pattern of swaps; swaps move sums from one model to the other."""
    units = unit_indices(a)
    sums_a, sums_b = unit_sums(a, measure, units), unit_sums(b, measure, units)
    total_a, total_b = sums_a.sum(axis=0), sums_b.sum(axis=0)
    gained = (sums_b - sums_a).T
    differences = [np.atleast_1d(measure.value(total_a) - measure.value(total_b))]
    for swaps in swap_weights(int(units.max()) + 1, samples=samples, seed=seed):
        moved = (gained @ swaps).T
        differences.append(measure.value(total_a + moved) - measure.value(total_b - moved))
    return np.concatenate(differences)


def _swapped_rows(
    a: Predictions, b: Predictions, measure: IndexedMeasure, *, samples: int, seed: int
) -> Float[np.ndarray, " S1"]:
    """As `_swapped_sums`, for measures that need the rows themselves: both models' rows stand in one table."""
    units = unit_indices(a)
    num_rows = len(units)
    both = replace(a, table=pa.concat_tables([a.table, b.table.select(a.table.column_names)]).combine_chunks())
    score = weighted_score(both, measure)

    def difference(swapped: Float[np.ndarray, " U"]) -> float:
        of_rows = swapped[units]
        first, second = np.concatenate([1 - of_rows, of_rows]), np.concatenate([of_rows, 1 - of_rows])
        return score(first) - score(second)

    chunks = swap_weights(int(units.max()) + 1, samples=samples, seed=seed)
    patterns = (column for chunk in chunks for column in chunk.T)
    return np.array([difference(np.zeros(num_rows)), *(difference(pattern) for pattern in patterns)])

"""The paired bootstrap: what a score would be on other test sets like this one.

What is drawn is the independent unit (the `group` of a row; the row itself by default), and the same draws serve all models
and measures, so that differences are paired. Measures that decompose are resampled as sums: one sparse product per chunk of
draws, whatever the number of classes.

Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993; units as clusters: Davison & Hinkley, 1997, section 3.8.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.core.seeding import generator_for
from luthier.evaluation.measures import AnyMeasure
from luthier.evaluation.predictions import unit_indices
from luthier.evaluation.records import IndexedMeasure, Measure, Predictions, PreparedMeasure

if TYPE_CHECKING:
    from scipy import sparse

# Elements of one chunk of weights: 16 MiB in float64, small enough to stay near the cache.
_CHUNK_ELEMENTS = 2**21
# Elements of one slice of dense per-example statistics.
_SLICE_ELEMENTS = 2**22


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """A score, and what it would have been.

    Attributes:
        value: The score of the examples as they are.
        draws: The score of each resample.
        left_out: The score without each unit in turn; None where that would cost too much (measures that do not decompose).
        num_units: How many independent units there are.
    """

    value: float
    draws: Float[np.ndarray, " S"]
    left_out: Float[np.ndarray, " U"] | None
    num_units: int

    def __sub__(self, other: "Resampled") -> "Resampled":
        """The paired difference: draw by draw, unit by unit."""
        both = self.left_out is not None and other.left_out is not None
        return Resampled(
            value=self.value - other.value,
            draws=self.draws - other.draws,
            left_out=np.subtract(self.left_out, other.left_out) if both else None,  # type: ignore[arg-type]
            num_units=self.num_units,
        )


def chunk_size(num_units: int) -> int:
    """How many draws are made at a time."""
    return max(1, _CHUNK_ELEMENTS // max(num_units, 1))


def bootstrap_weights(num_units: int, *, samples: int, seed: int) -> Iterator[Float[np.ndarray, "U chunk"]]:
    """How often each unit occurs in each resample: chunks of columns, `samples` columns in all, each summing to `num_units`.

    Example:
        >>> [chunk.sum(axis=0).tolist() for chunk in bootstrap_weights(5, samples=3, seed=0)]
        [[5.0, 5.0, 5.0]]
    """
    generator = generator_for(seed, "bootstrap")
    size = chunk_size(num_units)
    for start in range(0, samples, size):
        width = min(size, samples - start)
        drawn = generator.integers(0, num_units, size=(width, num_units))
        places = drawn * width + np.arange(width)[:, None]
        yield np.bincount(places.ravel(), minlength=num_units * width).reshape(num_units, width).astype(np.float64)


def unit_sums(predictions: Predictions, measure: Measure, units: Int[np.ndarray, " N"]) -> "sparse.csr_array":
    """The statistics of each independent unit, [U, k]; sparse, because with many classes nearly all are zero."""
    from scipy import sparse

    num_rows = predictions.table.num_rows
    parts = [sparse.csr_array(measure.stats(part)) for part in slices_of(predictions)]
    stats = sparse.vstack(parts, format="csr")
    members = sparse.csr_array((np.ones(num_rows), (units, np.arange(num_rows))), shape=(int(units.max()) + 1, num_rows))
    return members @ stats


def slices_of(predictions: Predictions) -> Iterator[Predictions]:
    """The predictions in pieces whose statistics are small, whatever the measure, in order; at least one."""
    step = max(1, _SLICE_ELEMENTS // (3 * len(predictions.labels) + 3))
    for start in range(0, max(1, predictions.table.num_rows), step):
        yield replace(predictions, table=predictions.table.slice(start, step))


def summed_stats(stats: Callable[[Predictions], Float[np.ndarray, "n k"]], predictions: Predictions) -> Float[np.ndarray, " k"]:
    """The sum of every example's statistics, which are never all in memory.

    To the bit the sum of all at once: what has been summed so far is added to the first row of the next piece.
    """
    summed: Float[np.ndarray, " k"] | None = None
    for part in slices_of(predictions):
        found = np.asarray(stats(part), dtype=np.float64)
        if summed is not None:
            found[0] += summed
        summed = found.sum(axis=0)
    assert summed is not None
    return np.asarray(summed)


def resample(
    predictions: Mapping[str, Predictions], measures: Sequence[AnyMeasure], *, samples: int, seed: int
) -> dict[str, dict[str, Resampled]]:
    """Every measure of every model under the same draws, by model and measure.

    All predictions must be of the same examples in the same order (see `aligned`), and of one example at least.
    """
    units = unit_indices(next(iter(predictions.values())))
    num_units = int(units.max()) + 1
    scored = [(model, score_of(said, measure, units)) for model, said in predictions.items() for measure in measures]
    draws: list[list[Float[np.ndarray, " chunk"]]] = [[] for _ in scored]
    for weights in bootstrap_weights(num_units, samples=samples, seed=seed):
        for values, (_, score) in zip(draws, scored, strict=True):
            values.append(score.values(weights))
    found: dict[str, dict[str, Resampled]] = {model: {} for model in predictions}
    for values, (model, score) in zip(draws, scored, strict=True):
        found[model][score.measure.name] = Resampled(
            value=score.values(np.ones((num_units, 1))).item(),
            draws=np.concatenate(values),
            left_out=score.left_out(),
            num_units=num_units,
        )
    return found


@dataclass(frozen=True, kw_only=True)
class SummedScore:
    """A measure that decomposes, on fixed predictions: the score under any weights of the units."""

    measure: Measure
    sums: "sparse.csr_array"

    def values(self, weights: Float[np.ndarray, "U chunk"]) -> Float[np.ndarray, " chunk"]:
        """The score under each column of weights."""
        return self.measure.value((self.sums.T @ weights).T)

    def left_out(self) -> Float[np.ndarray, " U"]:
        """The score without each unit in turn."""
        num_units, width = self.sums.shape
        total = self.sums.sum(axis=0)
        step = max(1, _SLICE_ELEMENTS // width)
        return np.concatenate(
            [self.measure.value(total - self.sums[start : start + step].toarray()) for start in range(0, num_units, step)]
        )


@dataclass(frozen=True, kw_only=True)
class IndexedScore:
    """A measure that does not decompose, on fixed predictions: rows are repeated as often as their unit was drawn."""

    measure: IndexedMeasure
    score: Callable[[Float[np.ndarray, " N"]], float]
    units: Int[np.ndarray, " N"]

    def values(self, weights: Float[np.ndarray, "U chunk"]) -> Float[np.ndarray, " chunk"]:
        """The score under each column of weights, which are whole numbers."""
        return np.array([self.score(column[self.units]) for column in weights.T])

    def left_out(self) -> Float[np.ndarray, " U"] | None:
        """Not computed: it would cost as much as U more resamples."""
        return None


def score_of(predictions: Predictions, measure: AnyMeasure, units: Int[np.ndarray, " N"]) -> SummedScore | IndexedScore:
    """The measure on these predictions, as a function of weights."""
    if isinstance(measure, IndexedMeasure):
        return IndexedScore(measure=measure, score=weighted_score(predictions, measure), units=units)
    return SummedScore(measure=measure, sums=unit_sums(predictions, measure, units))


def weighted_score(predictions: Predictions, measure: IndexedMeasure) -> Callable[[Float[np.ndarray, " N"]], float]:
    """From how often each row counts, in whole numbers, to the score."""
    if isinstance(measure, PreparedMeasure):
        return measure.prepare(predictions)
    rows = np.arange(predictions.table.num_rows)
    return lambda weights: measure.value_of(predictions, np.repeat(rows, weights.astype(np.int64)))

"""How optimistic the best score of a search is, by bootstrap: the choice is made again on resampled validation rows, and scored
on the rows that were left out.

The best of many trials is best partly by luck of the validation rows. Each bootstrap sample of the rows chooses its own best
trial; that trial's score on the third of the rows that the sample does not hold is free of this luck. The mean over the samples
estimates what the choice is worth. Early stopping inside a trial also looks at validation; that part is not in this number.

Source: Tsamardinos et al. 2018, "Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation";
Tibshirani & Tibshirani 2009, "A bias correction for the minimum error rate in cross-validation".
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from luthier.core.seeding import generator_for
from luthier.evaluation.records import Direction
from luthier.studies.records import Optimism

SAMPLES = 500
# Sums of per-example statistics -> scores, as `evaluation.records.Measure.value`
ScoreOfSums = Callable[[Float[np.ndarray, "*S k"]], Float[np.ndarray, "*S"]]


def estimate_optimism(
    stats: Mapping[int, Float[np.ndarray, "N k"]],
    value: ScoreOfSums,
    *,
    direction: Direction,
    seed: int,
    units: Sequence[int] | None = None,
    num_samples: int = SAMPLES,
) -> Optimism | None:
    """The optimism of choosing the best of some trials; None with fewer than two, or too few rows to leave some out.

    Args:
        stats: Trial -> per-example statistics of the deciding measure on validation, the same rows in the same order.
        value: Makes scores of their sums.
        direction: Of the measure.
        seed: Of the resampling.
        units: Which rows belong together (documents, groups) and are drawn together; each row on its own by default.
        num_samples: Bootstrap samples.

    Example:
        >>> luck = {k: generator_for(k, "doctest").integers(0, 2, (200, 1)).astype(float) for k in range(30)}
        >>> stats = {k: np.concatenate([right, np.ones_like(right)], axis=1) for k, right in luck.items()}
        >>> found = estimate_optimism(stats, lambda sums: sums[..., 0] / sums[..., 1], direction="higher", seed=0)
        >>> found.best > 0.55, round(found.corrected, 1)
        (True, 0.5)
    """
    numbers = sorted(stats)
    num_rows = len(stats[numbers[0]]) if numbers else 0
    if len(numbers) < 2 or num_rows < 10:
        return None
    sign = 1 if direction == "higher" else -1
    table = np.stack([stats[number] for number in numbers]).astype(np.float64)  # [T, N, k]
    whole = value(table.sum(axis=1))
    groups = np.arange(num_rows) if units is None else np.unique(np.asarray(units), return_inverse=True)[1]
    generator = generator_for(seed, "search/optimism")
    outside = []
    for _ in range(num_samples):
        drawn = np.bincount(generator.integers(0, groups.max() + 1, groups.max() + 1), minlength=groups.max() + 1)
        weights = drawn[groups].astype(np.float64)
        left = weights == 0
        if not left.any() or left.all():
            continue
        inside = np.einsum("n,tnk->tk", weights, table)
        chosen = int(np.argmax(sign * value(inside)))
        outside.append(float(value(table[chosen][left].sum(axis=0))))
    best, corrected = float(whole[np.argmax(sign * whole)]), float(np.mean(outside))
    low, high = np.quantile(outside, [0.025, 0.975])
    return Optimism(
        best=best,
        corrected=corrected,
        amount=sign * (best - corrected),
        low=float(low),
        high=float(high),
        num_trials=len(numbers),
        num_samples=len(outside),
    )

"""How far numbers are from the truth. All are functions of sums: of the errors, and of targets and answers with their squares.

Sums of squares lose digits where the targets hardly vary beside their size: R² and Pearson are right to about 1e-16 times the
squared mean over the variance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from luthier.evaluation.numbers import answered_numbers, target_numbers
from luthier.evaluation.records import Direction, Predictions

Sums = Float[np.ndarray, "*S"]


@dataclass(frozen=True, kw_only=True)
class NumberSums:
    """Summed over examples: how many, y (target), p (answer), their squares and product, and their absolute distance."""

    n: Sums
    y: Sums
    p: Sums
    yy: Sums
    pp: Sums
    yp: Sums
    distance: Sums

    @property
    def squared(self) -> Sums:
        """Summed squared errors."""
        return np.asarray(np.maximum(self.yy - 2 * self.yp + self.pp, 0.0))


@dataclass(frozen=True, kw_only=True)
class NumberMeasure:
    """A score of summed numbers."""

    name: str
    of_sums: Callable[[NumberSums], Sums]
    direction: Direction

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N 7"]:
        """1, y, p, y², p², y p and the distance of y and p, of each example."""
        y, p = target_numbers(predictions), answered_numbers(predictions)
        return np.stack([np.ones(len(y)), y, p, y * y, p * p, y * p, np.abs(y - p)], axis=1)

    def value(self, summed: Float[np.ndarray, "*S 7"]) -> Float[np.ndarray, "*S"]:
        """The score of summed numbers."""
        n, y, p, yy, pp, yp, distance = np.moveaxis(np.asarray(summed, dtype=np.float64), -1, 0)
        return np.asarray(self.of_sums(NumberSums(n=np.maximum(n, 1), y=y, p=p, yy=yy, pp=pp, yp=yp, distance=distance)))


def _r2(sums: NumberSums) -> Sums:
    """One minus squared errors over the spread of the targets; 0 where they do not vary and something is wrong."""
    spread = sums.yy - sums.y**2 / sums.n
    flat = _is_flat(spread, sums.yy)
    return np.asarray(1 - sums.squared / np.where(flat, np.maximum(sums.squared, 1e-300), spread))


def _pearson(sums: NumberSums) -> Sums:
    """The correlation; 0 where targets or answers do not vary."""
    of_y, of_p = sums.yy - sums.y**2 / sums.n, sums.pp - sums.p**2 / sums.n
    flat = _is_flat(of_y, sums.yy) | _is_flat(of_p, sums.pp)
    product = np.where(flat, 1.0, np.maximum(of_y, 0) * np.maximum(of_p, 0))
    return np.where(flat, 0.0, np.clip((sums.yp - sums.y * sums.p / sums.n) / np.sqrt(product), -1, 1))


def _is_flat(spread: Sums, squares: Sums) -> np.ndarray:
    """Whether what is left of a sum of squares is only the rounding of it."""
    return np.asarray(spread <= 1e-13 * np.abs(squares))


MAE = NumberMeasure(name="mae", of_sums=lambda sums: sums.distance / sums.n, direction="lower")
RMSE = NumberMeasure(name="rmse", of_sums=lambda sums: np.sqrt(sums.squared / sums.n), direction="lower")
R2 = NumberMeasure(name="r2", of_sums=_r2, direction="higher")
PEARSON = NumberMeasure(name="pearson", of_sums=_pearson, direction="higher")

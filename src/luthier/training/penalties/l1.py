"""L1: the sum of absolute weights of the head. Small weights become exactly zero, and the report counts them.

Use when: one wants to know which of the model's features a linear head needs; with `l2` beside it (elastic net) features that
say the same are kept or dropped together.
Cost: one pass over the head a step. An average of weights undoes the exact zeros.
Suggested values: 1e-4 to 1e-2.
Source: Zou & Hastie 2005, "Regularization and variable selection via the elastic net"; Parikh & Boyd 2014, "Proximal
algorithms".
"""

from luthier.training.penalties.penalty import Penalty, Weight


class L1(Penalty):
    """A proximal step, which is what makes zeros exact: a gradient would jump to and fro around them."""

    def concerns(self, weight: Weight) -> bool:
        """Matrices of the head."""
        return weight.item.ndim >= 2 and weight.name.startswith("head.")

    def shrink(self, weight: Weight, amount: float) -> None:
        """Every weight goes towards zero by the amount, and stays there if it arrives."""
        weight.item.sub_(weight.item.clamp(-amount, amount))


PENALTY = L1()

"""A number per row: learnt on a scale of its own (mean 0, deviation 1 in train) by squared errors, answered in its unit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.keys import MAX_NUMERIC_LABELS
from luthier.data.schema import Kind, Schema
from luthier.data.targets import to_numbers
from luthier.evaluation.baselines import mean_of_nearest, ridge
from luthier.evaluation.display import format_number
from luthier.evaluation.numbers import number_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings
from luthier.tasks.answers.label import groups_of
from luthier.tasks.protocol import FIT, HeadOrigin, LossRecipe, LossSum, ProbeLoss, TaskState

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

NEIGHBOURS = 10
MAYBE_NUMBERS = (Kind.CATEGORY, Kind.IDENTIFIER)  # ratings from 1 to 5; whole numbers that are all different
FEW_NUMBERS = 0.5  # how well this fits numbers of few different values, which may as well be labels


class Number:
    """A quantity: a score, a price, a count."""

    kind: str = "number"
    measures: Sequence[str] = ("mae", "pearson", "r2", "rmse", "spearman")
    primary_measure: str = "mae"
    probe: ProbeLoss = "squared"
    has_classes: bool = False
    baselines: Mapping[str, tuple[str, str]] = {
        "majority": ("Mean of training", "Always answers with the mean of the training examples."),
        "classic": ("Classic model", "Ridge regression on {features}: no neural network, the same examples."),
        "pretrained": (
            "Pre-trained, untuned",
            f"The pre-trained model as it comes: the mean of the {NEIGHBOURS} nearest neighbours in training.",
        ),
    }

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Numbers; of few different values they are rather labels, unless one asks for this."""
        name = schema.roles["target"]
        column = next(column for column in schema.columns if column.name == name)
        if column.kind is not Kind.NUMBER and not (column.kind in MAYBE_NUMBERS and column.has_number_examples):
            reason = f"'{name}' holds no numbers as they are to be written: 1234.5, without separators and units"
            return Decision(name="task", value=False, reason=reason)
        if column.distinct > MAX_NUMERIC_LABELS:
            reason = f"'{name}' holds numbers, {column.distinct:,} different ones"
            return Decision(name="task", value=True, reason=reason)
        reason = f"'{name}' holds numbers of {column.distinct:,} different values only"
        return Decision(name="task", value=True, reason=reason, evidence={FIT: FEW_NUMBERS})

    def fit_state(self, task: str, table: "pa.Table", target: str) -> TaskState:
        """Mean and deviation of the training part, and the span of its numbers."""
        numbers = to_numbers(table.column(target))
        numbers = numbers[np.isfinite(numbers)]
        values = {
            "mean": float(numbers.mean()),
            "deviation": float(numbers.std()) or 1.0,
            "low": float(numbers.min()),
            "high": float(numbers.max()),
        }
        return TaskState(task=task, values=values)

    def describe(self, state: TaskState) -> str:
        """What it has learnt from."""
        low, high = (format_number(state.values[name]) for name in ("low", "high"))
        return f"a number (it has learnt from numbers between {low} and {high})"

    def targets(self, table: "pa.Table", state: TaskState, target: str) -> Float[np.ndarray, "N 1"]:
        """Scaled numbers; NaN where there is none."""
        numbers = (to_numbers(table.column(target)) - state.values["mean"]) / state.values["deviation"]
        return np.asarray(numbers, dtype=np.float32)[:, None]

    def known(self, targets: Float[np.ndarray, "N 1"]) -> Bool[np.ndarray, " N"]:
        """Those that have a number."""
        return np.asarray(np.isfinite(targets[:, 0]))

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings, seed: int) -> "nn.Module":
        """A fresh head with one output."""
        from luthier.models.heads import build_head

        return build_head(settings, width, 1, seed=seed)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe) -> LossSum:
        """Squared errors of the scaled numbers in float32, summed over the rows."""
        from torch.nn import functional

        total = functional.mse_loss(outputs.float(), targets.float(), reduction="sum")
        return LossSum(sum=total, weight=float(len(targets)))

    def start_loss(self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe) -> tuple[float, float] | None:
        """Nothing certain: it is 1 over all of train for a fresh head, but of some rows it depends on which they are."""
        return None

    def decode(self, outputs: Float[np.ndarray, "B 1"]) -> Float[np.ndarray, "B 1"]:
        """As they are, on the scale of training; `columns` and `predictions`, which know the scale, give them their unit."""
        return np.asarray(outputs)

    def columns(self, decoded: Float[np.ndarray, "N 1"], state: TaskState, *, probs: bool) -> Mapping[str, Sequence[Any]]:
        """`prediction`, a number in the unit of the data. There are no probabilities."""
        return {"prediction": _in_unit(decoded, state)}  # type: ignore[dict-item]

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N 1"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Answers beside the true numbers."""
        return number_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=to_numbers(table.column(roles["target"])),
            answers=_in_unit(decoded, state),
            groups=groups_of(table, roles),
        )

    def majority(self, targets: Float[np.ndarray, "M 1"], num_rows: int, state: TaskState) -> Float[np.ndarray, "N 1"]:
        """The mean of train."""
        return np.full((num_rows, 1), float(targets[self.known(targets)].mean()))

    def persist(self, last: np.ndarray, train: tuple[np.ndarray, np.ndarray], state: TaskState) -> Float[np.ndarray, "N 1"]:
        """The number before."""
        return np.where(np.isnan(last), self.majority(train[0], len(last), state), last)

    def linear(
        self, train: Any, targets: Float[np.ndarray, "M 1"], others: Any, state: TaskState, *, strength: float, seed: int
    ) -> Float[np.ndarray, "N 1"]:
        """Ridge regression."""
        known = np.flatnonzero(self.known(targets))
        return ridge(train[known], targets[known], others)

    def nearest(
        self,
        train: Float[np.ndarray, "M D"],
        targets: Float[np.ndarray, "M 1"],
        others: Float[np.ndarray, "N D"],
        state: TaskState,
    ) -> Float[np.ndarray, "N 1"]:
        """The mean of the nearest neighbours."""
        known = self.known(targets)
        return mean_of_nearest(train[known], targets[known], others, neighbours=NEIGHBOURS)


def _in_unit(decoded: Float[np.ndarray, "N 1"], state: TaskState) -> Float[np.ndarray, " N"]:
    return np.asarray(decoded[:, 0].astype(np.float64) * state.values["deviation"] + state.values["mean"])


NUMBER = Number()

"""Any number of labels per row: a sigmoid for each, binary cross-entropy, micro F1.

A label is given from a probability of one half on. The threshold is not tuned: what is measured on test is what a threshold
gives that nobody has looked for.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.lists import label_sets
from luthier.data.schema import Kind, Schema
from luthier.evaluation.baselines import logistic_of_each, mean_of_nearest
from luthier.evaluation.label_sets import label_set_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings
from luthier.tasks.answers.label import groups_of, shown_labels
from luthier.tasks.protocol import HeadOrigin, LossRecipe, LossSum, ProbeLoss, TaskState

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

THRESHOLD = 0.5
NEIGHBOURS = 3
SET_MEASURES = ("micro_f1", "macro_f1", "micro_precision", "micro_recall", "subset_accuracy")


class Labels:
    """Those of a set of labels that fit, none of them included.

    Args:
        measures: The first decides.
    """

    kind: str = "labels"
    probe: ProbeLoss = "binary"
    has_classes: bool = False
    baselines: Mapping[str, tuple[str, str]] = {
        "majority": ("Most frequent labels", "Always gives the set of labels that is most common in training."),
        "classic": (
            "Classic model",
            "Logistic regression of each label on {features}: no neural network, the same examples.",
        ),
        "pretrained": (
            "Pre-trained, untuned",
            f"The pre-trained model as it comes: each example gets the labels that most of its {NEIGHBOURS} nearest "
            "neighbours in training have.",
        ),
    }

    def __init__(self, measures: Sequence[str] = SET_MEASURES) -> None:
        self.measures = measures
        self.primary_measure = measures[0]

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Lists of labels."""
        target = schema.roles["target"]
        if schema.kind_of(target) is Kind.LIST:
            return Decision(name="task", value=True, reason=f"'{target}' holds lists of labels")
        reason = f"'{target}' holds no lists of labels; --label-delimiter ';' says what stands between labels in one cell"
        return Decision(name="task", value=False, reason=reason)

    def fit_state(self, task: str, table: "pa.Table", target: str) -> TaskState:
        """The sorted labels of the training part."""
        labels = {label for labels in label_sets(table.column(target)) for label in labels}
        return TaskState(task=task, labels=tuple(sorted(labels)), values={"threshold": THRESHOLD})

    def describe(self, state: TaskState) -> str:
        """The labels, the first of many."""
        return f"any number of {len(state.labels)} labels: {shown_labels(state.labels)}"

    def targets(self, table: "pa.Table", state: TaskState, target: str) -> Float[np.ndarray, "N C"]:
        """1 where a row has a label, else 0; labels that the training part does not have are left out."""
        index = {label: place for place, label in enumerate(state.labels)}
        sets = label_sets(table.column(target))
        found = np.zeros((len(sets), len(state.labels)), dtype=np.float32)
        for row, labels in enumerate(sets):
            found[row, [index[label] for label in labels if label in index]] = 1
        return found

    def known(self, targets: Float[np.ndarray, "N C"]) -> Bool[np.ndarray, " N"]:
        """All: a row without labels is an answer too."""
        return np.ones(len(targets), dtype=bool)

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings, seed: int) -> "nn.Module":
        """A fresh head with an output for each label."""
        from luthier.models.heads import build_head

        return build_head(settings, width, len(state.labels), seed=seed)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe) -> LossSum:
        """Binary cross-entropy in float32, summed over labels and rows.

        Its weight is the number of rows: a row with many labels is one decision about each of them, and rows weigh alike.
        """
        from torch.nn import functional

        total = functional.binary_cross_entropy_with_logits(outputs.float(), targets.float(), reduction="sum")
        return LossSum(sum=total, weight=float(len(targets)))

    def start_loss(self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe) -> tuple[float, float] | None:
        """A fresh head must start near a coin for each label (ln 2 of each); a trained one below it."""
        chance = len(state.labels) * math.log(2)
        return (0.5 * chance, 2.0 * chance) if head_origin == "fresh" else (0.0, 1.2 * chance)

    def decode(self, outputs: Float[np.ndarray, "B C"]) -> Float[np.ndarray, "B C"]:
        """Sigmoid."""
        return np.asarray(0.5 * (1 + np.tanh(0.5 * outputs)))  # no overflow, whatever the outputs are

    def columns(self, decoded: Float[np.ndarray, "N C"], state: TaskState, *, probs: bool) -> Mapping[str, Sequence[Any]]:
        """`prediction`, a list of labels, the most probable first; with `probs` one column for each label."""
        threshold = float(state.values.get("threshold", THRESHOLD))
        columns: dict[str, Any] = {"prediction": [_chosen(row, state.labels, threshold) for row in decoded]}
        if probs:
            columns |= {f"prob_{label}": decoded[:, place].astype(np.float32) for place, label in enumerate(state.labels)}
        return columns

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N C"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Labels given, with the probability of each, beside the true ones."""
        return label_set_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=label_sets(table.column(roles["target"])),
            probs=decoded,
            labels=state.labels,
            threshold=float(state.values.get("threshold", THRESHOLD)),
            groups=groups_of(table, roles),
        )

    def majority(self, targets: Float[np.ndarray, "M C"], num_rows: int, state: TaskState) -> Float[np.ndarray, "N C"]:
        """The most frequent set of labels, for every row."""
        sets, counts = np.unique(targets, axis=0, return_counts=True)
        return np.tile(sets[counts.argmax()].astype(np.float64), (num_rows, 1))

    def persist(self, last: np.ndarray, train: tuple[np.ndarray, np.ndarray], state: TaskState) -> Float[np.ndarray, "N C"]:
        """The labels before."""
        return np.where(np.isnan(last), self.majority(train[0], len(last), state), last)

    def linear(
        self, train: Any, targets: Float[np.ndarray, "M C"], others: Any, state: TaskState, *, strength: float, seed: int
    ) -> Float[np.ndarray, "N C"]:
        """A logistic regression of each label."""
        return logistic_of_each(train, targets, others, strength=strength, seed=seed)

    def nearest(
        self,
        train: Float[np.ndarray, "M D"],
        targets: Float[np.ndarray, "M C"],
        others: Float[np.ndarray, "N D"],
        state: TaskState,
    ) -> Float[np.ndarray, "N C"]:
        """How many of the nearest neighbours have each label."""
        return mean_of_nearest(train, targets, others, neighbours=NEIGHBOURS)


def _chosen(probs: Float[np.ndarray, " C"], labels: Sequence[str], threshold: float) -> list[str]:
    """The labels at least as probable as the threshold, the most probable first.

    Probabilities are compared in float32, in which they are kept and scored.
    """
    ranked = np.argsort(-probs, kind="stable")
    return [labels[place] for place in ranked if np.float32(probs[place]) >= threshold]


LABELS = Labels()
LABELS_AND_RANKING = Labels((*SET_MEASURES[:2], "mean_average_precision", *SET_MEASURES[2:]))

"""One label per row: softmax, cross-entropy, accuracy and macro F1."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.keys import MAX_NUMERIC_LABELS
from luthier.data.schema import Kind, Schema
from luthier.evaluation.baselines import logistic, majority_probs, nearest_class_mean, repeated_label
from luthier.evaluation.predictions import classification_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings
from luthier.tasks.losses import build_loss
from luthier.tasks.protocol import FIT, HeadOrigin, LossRecipe, LossSum, ProbeLoss, TaskState

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

MOST_LABELS = 40
MANY_NUMBERS = 0.2  # how well this fits numbers of many different values
NO_LABELS = {
    Kind.TEXT: "free text, not labels",
    Kind.TEXTS: "lists of sentences, not labels",
    Kind.LIST: "lists of labels, not one label in each row",
    Kind.ANSWERS: "answers in a text, not labels",
    Kind.SLOTS: "slots in a text, not labels",
}
ALARM = "alarm"  # in the values of a state: from which probability on a label is answered, where errors have costs
MEASURES = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "log_loss")


class Label:
    """One label of a set that the training part gives.

    Args:
        measures: Of the card; the first one decides.
    """

    kind: str = "label"
    baselines: Mapping[str, tuple[str, str]] = {
        "majority": ("Most frequent label", "Always gives the label that is most common in training."),
        "classic": ("Classic model", "Logistic regression on {features}: no neural network, the same examples."),
        "pretrained": (
            "Pre-trained, untuned",
            "The pre-trained model as it comes: each example gets the label whose average is nearest.",
        ),
    }
    probe: ProbeLoss = "cross-entropy"
    has_classes: bool = True

    def __init__(self, *, measures: Sequence[str] = MEASURES) -> None:
        self.measures = measures
        self.primary_measure = measures[0]

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Anything but free text and lists; numbers of many different values are rather no labels, unless one asks for this."""
        target = schema.roles["target"]
        column = next(column for column in schema.columns if column.name == target)
        if column.kind in NO_LABELS:
            return Decision(name="task", value=False, reason=f"'{target}' holds {NO_LABELS[column.kind]}")
        are_numbers = column.kind is Kind.NUMBER or (column.kind is Kind.IDENTIFIER and column.has_number_examples)
        if are_numbers and column.distinct > MAX_NUMERIC_LABELS:
            reason = f"'{target}' holds labels that are numbers, {column.distinct:,} different ones"
            return Decision(name="task", value=True, reason=reason, evidence={FIT: MANY_NUMBERS})
        return Decision(name="task", value=True, reason=f"'{target}' holds labels")

    def fit_state(self, task: str, table: "pa.Table", target: str) -> TaskState:
        """The sorted labels of the training part."""
        values = table.column(target).drop_null().unique().to_pylist()
        return TaskState(task=task, labels=tuple(sorted({_label(value) for value in values} - {""})))

    def describe(self, state: TaskState) -> str:
        """The labels, the first of many."""
        said = f"one of {len(state.labels)} labels: {shown_labels(state.labels)}"
        if alarm := state.values.get(ALARM):
            said += f" (`{alarm['positive']}` from a probability of {alarm['threshold']:.3g} on, as the costs of errors ask)"
        return said

    def targets(self, table: "pa.Table", state: TaskState, target: str) -> Int[np.ndarray, " N"]:
        """Index of each row's label; -1 for labels that the training part does not have."""
        index = {label: place for place, label in enumerate(state.labels)}
        return np.array([index.get(_label(value), -1) for value in table.column(target).to_pylist()], dtype=np.int64)

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " N"]:
        """Those whose label train has."""
        return np.asarray(targets >= 0)

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings, seed: int) -> "nn.Module":
        """A fresh head with an output for each label."""
        from luthier.models.heads import build_head

        return build_head(settings, width, len(state.labels), seed=seed)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe) -> LossSum:
        """Cross-entropy, or what the recipe says, in float32, summed over the rows; over the weight it is their mean."""
        import torch

        logits, weights = outputs.float(), None
        if recipe.class_weights:
            weights = torch.tensor(recipe.class_weights, dtype=torch.float32, device=logits.device)
        total = build_loss(recipe.name).total(logits, targets, weights, recipe.label_smoothing)
        weight = float(len(targets)) if weights is None else float(weights.double()[targets].sum())
        return LossSum(sum=total, weight=weight)

    def start_loss(self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe) -> tuple[float, float] | None:
        """A fresh head must start near what chance gives (ln C for cross-entropy); a trained one below it."""
        chance = build_loss(recipe.name).at_chance(len(state.labels))
        return (0.5 * chance, 2.0 * chance) if head_origin == "fresh" else (0.0, 1.2 * chance)

    def decode(self, outputs: Float[np.ndarray, "B C"]) -> Float[np.ndarray, "B C"]:
        """Softmax."""
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def columns(self, decoded: Float[np.ndarray, "N C"], state: TaskState, *, probs: bool) -> Mapping[str, Sequence[Any]]:
        """`prediction` and `confidence`; with `probs` one column for each label.

        The likeliest label; where errors had costs, the one that the threshold they asked for says.
        """
        best = decoded.argmax(axis=1)
        if alarm := state.values.get(ALARM):
            place = state.labels.index(str(alarm["positive"]))
            best = np.where(decoded[:, place] >= float(alarm["threshold"]), place, 1 - place)
        columns: dict[str, Any] = {
            "prediction": [state.labels[place] for place in best],
            "confidence": decoded[np.arange(len(decoded)), best].astype(np.float32),
        }
        if probs:
            columns |= {f"prob_{label}": decoded[:, place].astype(np.float32) for place, label in enumerate(state.labels)}
        return columns

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N C"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Probabilities beside the true labels; a `group` column is what the bootstrap resamples."""
        return classification_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[_label(value) for value in table.column(roles["target"]).to_pylist()],
            probs=decoded,
            labels=state.labels,
            groups=groups_of(table, roles),
        )

    def majority(self, targets: np.ndarray, num_rows: int, state: TaskState) -> Float[np.ndarray, "N C"]:
        """The label frequencies of the training part, for every row."""
        return majority_probs(targets, len(state.labels), num_rows)

    def persist(self, last: np.ndarray, train: tuple[np.ndarray, np.ndarray], state: TaskState) -> Float[np.ndarray, "N C"]:
        """The label before, with the probability with which it came again in train (but always the likeliest)."""
        return repeated_label(last, *train, num_labels=len(state.labels))

    def linear(
        self, train: Any, targets: np.ndarray, others: Any, state: TaskState, *, strength: float, seed: int
    ) -> Float[np.ndarray, "N C"]:
        """Logistic regression."""
        return logistic(train, targets, others, num_labels=len(state.labels), strength=strength, seed=seed)

    def nearest(
        self, train: Float[np.ndarray, "M D"], targets: np.ndarray, others: Float[np.ndarray, "N D"], state: TaskState
    ) -> Float[np.ndarray, "N C"]:
        """The nearest class mean."""
        return nearest_class_mean(train, targets, others, num_labels=len(state.labels))


def shown_labels(labels: Sequence[str]) -> str:
    """The first of some labels, and how many more there are.

    Example:
        >>> shown_labels(["a", "b"])
        '`a`, `b`'
    """
    shown = ", ".join(f"`{label}`" for label in labels[:MOST_LABELS])
    return shown + (f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else "")


def groups_of(table: "pa.Table", roles: Mapping[str, str]) -> list[str | None] | None:
    """What the bootstrap resamples together, where there is a `group` column."""
    if "group" not in roles:
        return None
    return [None if group is None else str(group) for group in table.column(roles["group"]).to_pylist()]


def _label(value: object) -> str:
    return "" if value is None else str(value).strip()


LABEL = Label()

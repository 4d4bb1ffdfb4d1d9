"""What all problems with one label per row have in common, whatever the rows are. Not a task itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.evaluation.predictions import classification_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings
from luthier.tasks.losses import build_loss
from luthier.tasks.protocol import LINEAR, PLAIN, Baseline, HeadOrigin, LossRecipe, LossSum, TaskState

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn


class SingleLabel(ABC):
    """One label per row: softmax, cross-entropy, accuracy and macro F1."""

    name: str
    modality: Literal["text", "image"]
    input_role: str
    baselines: Sequence[Baseline]
    measures = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "log_loss")
    primary_measure = "accuracy"
    absent: Mapping[str, str] = {
        "scratch": "not asked for: training the same network from a random start is not part of this run"
    }

    @property
    def roles(self) -> Sequence[str]:
        """The roles that must be played."""
        return (self.input_role, "target")

    @abstractmethod
    def match(self, schema: Schema) -> Decision[bool]:
        """Whether a table with these columns and roles is a problem of this kind."""

    def match_roles(self, schema: Schema) -> Decision[bool]:
        """`match` for an input column beside a label column."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        target = schema.roles["target"]
        if schema.kind_of(target) is Kind.TEXT:
            return Decision(name="task", value=False, reason=f"'{target}' holds free text, not labels")
        reason = f"'{schema.roles[self.input_role]}' holds {self.input_role}s and '{target}' holds labels"
        return Decision(name="task", value=True, reason=reason, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table."""
        return []

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """The sorted labels of the training part."""
        column = table.column(schema.roles["target"]).drop_null()
        return TaskState(task=self.name, labels=tuple(sorted({_label(value) for value in column.unique().to_pylist()} - {""})))

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The raw input of each row; missing ones become empty."""
        return ["" if value is None else str(value) for value in table.column(roles[self.input_role]).to_pylist()]

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str]) -> Int[np.ndarray, " N"]:
        """Index of each row's label; -1 for labels that the training part does not have."""
        index = {label: place for place, label in enumerate(state.labels)}
        values = table.column(roles["target"]).to_pylist()
        return np.array([index.get(_label(value), -1) for value in values], dtype=np.int64)

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A fresh head with an output for each label."""
        from luthier.models.heads import build_head

        return build_head(settings, width, len(state.labels), seed=seed)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Cross-entropy, or what the recipe says, in float32, summed over the rows; over the weight it is their mean."""
        import torch

        logits, weights = outputs.float(), None
        if recipe.class_weights:
            weights = torch.tensor(recipe.class_weights, dtype=torch.float32, device=logits.device)
        total = build_loss(recipe.name).total(logits, targets, weights, recipe.label_smoothing)
        weight = float(len(targets)) if weights is None else float(weights.double()[targets].sum())
        return LossSum(sum=total, weight=weight)

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """A fresh head must start near what chance gives (ln C for cross-entropy); a trained one below it."""
        chance = build_loss(recipe.name).at_chance(len(state.labels))
        return (0.5 * chance, 2.0 * chance) if head_origin == "fresh" else (0.0, 1.2 * chance)

    def decode(self, outputs: Float[np.ndarray, "N C"]) -> Float[np.ndarray, "N C"]:
        """Softmax."""
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def columns(self, decoded: Float[np.ndarray, "N C"], state: TaskState, *, probs: bool) -> Mapping[str, Sequence[Any]]:
        """`prediction` and `confidence`; with `probs` one column for each label."""
        best = decoded.argmax(axis=1)
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
        groups = table.column(roles["group"]).to_pylist() if "group" in roles else None
        return classification_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[_label(value) for value in table.column(roles["target"]).to_pylist()],
            probs=decoded,
            labels=state.labels,
            groups=None if groups is None else [str(group) for group in groups],
        )


def _label(value: object) -> str:
    return "" if value is None else str(value).strip()

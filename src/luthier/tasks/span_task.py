"""Tasks that answer with pieces of the text they read: windows, head, loss and decoding; what is looked for differs (`sought`).

A long text is read in windows that overlap, each behind the question where there is one. Of each window the best pieces and the
probability that there is none are kept; of a row the best of all its windows counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings, NetworkKind
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import (
    LINEAR,
    PLAIN,
    Baseline,
    Generate,
    HeadOrigin,
    LossRecipe,
    LossSum,
    Modality,
    ProbeLoss,
    TaskState,
)
from luthier.tasks.row_task import NO_SCRATCH
from luthier.tasks.sought import ONE, Sought
from luthier.tasks.span_checks import check_marked
from luthier.tasks.span_inputs import SpanInputs, span_targets
from luthier.tasks.span_scores import best_spans, merge_spans, span_loss

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

NO_POINTER = "the pre-trained model as it comes gives vectors and points at nothing"
LONGER = 1.5  # than the longest answer of train: so long may an answer be


@dataclass(frozen=True, kw_only=True)
class SpanTask:
    """Pieces of a text; a unit is a window.

    Attributes:
        name: As `--task` takes it.
        sought: What is looked for.
        absent: By model: why there is none.
    """

    name: str
    sought: Sought
    absent: Mapping[str, str] = field(default_factory=lambda: {"pretrained": NO_POINTER, "scratch": NO_SCRATCH})

    modality: Modality = "text"
    probe: ProbeLoss | None = None
    has_classes: bool = False
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None
    reads_windows: bool = True
    unknown_means: str = "what they say stands in no window of their text, or nowhere in it"

    @property
    def answer_kind(self) -> str:
        """Of what is sought."""
        return self.sought.answer_kind

    @property
    def roles(self) -> Sequence[str]:
        """Of what is sought."""
        return self.sought.roles

    @property
    def optional_roles(self) -> Sequence[str]:
        """Of what is sought."""
        return self.sought.optional_roles

    @property
    def measures(self) -> Sequence[str]:
        """Of what is sought."""
        return self.sought.measures

    @property
    def primary_measure(self) -> str:
        """The first of the measures."""
        return self.sought.measures[0]

    @property
    def example(self) -> str:
        """Of what is sought."""
        return self.sought.example

    @property
    def baselines(self) -> Sequence[Baseline]:
        """Of what is sought."""
        return self.sought.baselines

    def match(self, schema: Schema) -> Decision[bool]:
        """Columns of such roles, and a target that says where the pieces stand."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        return self.sought.accepts(schema)

    def check(self, dataset: Dataset) -> list[Finding]:
        """Cells that say something else than their texts, named by row."""
        return check_marked(dataset, self.sought)

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """The labels, how long answers may be, whether some rows have none, and whether two columns are read."""
        marked = self.sought.marked(table, schema.roles)
        sizes = [span.end - span.start for said in marked for span in said.spans]
        labels = self.sought.labels_of(marked)
        return TaskState(
            task=self.name,
            labels=() if labels == ONE else labels,
            values={
                "longest": max(1, round(LONGER * max(sizes, default=1))),
                "may_be_absent": any(said.is_usable and len(said.spans) < len(labels) for said in marked),
                "reads_pair": "text_pair" in schema.roles,
            },
        )

    def describe(self, state: TaskState) -> str:
        """Of what is sought."""
        return self.sought.describe(state)

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """Of what is sought."""
        return self.sought.pairs(table, roles)

    def count_tokens(self, rows: Sequence[Any], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """Of the text and what is read with it, before it is cut into windows."""
        reads_pair = bool(len(rows)) and not isinstance(rows[0], str)
        texts, questions = self.sought.parts(rows, TaskState(task=self.name, values={"reads_pair": reads_pair}))
        return processor.count_tokens(texts, questions)

    def encode(self, rows: Sequence[Any], processor: TextProcessor, state: TaskState) -> SpanInputs:
        """Windows."""
        texts, questions = self.sought.parts(rows, state)
        windows = processor.encode_windows(texts, questions)
        longest = int(state.values["longest"])
        return SpanInputs.build(windows, pad_id=processor.pad_id, longest=longest, best=self.sought.best)

    def targets(
        self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs
    ) -> Float[np.ndarray, "U K"]:
        """The places of the pieces in each window."""
        assert isinstance(inputs, SpanInputs)
        return span_targets(inputs, self.sought.marked(table, roles), labels_in(state))

    def known(self, targets: Float[np.ndarray, "U K"]) -> Bool[np.ndarray, " U"]:
        """Windows that weigh something."""
        return np.asarray(targets[:, 0] > 0)

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """Two scores for each label and token."""
        from luthier.models.heads import build_span_head

        return build_span_head(settings, width, len(labels_in(state)), seed=seed)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Of one micro-batch."""
        return span_loss(outputs, targets)

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """None: a fresh head's loss is the logarithm of the number of places, which differs from window to window."""
        return None

    def decode(
        self, outputs: Float[np.ndarray, "B P L2"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B K"]:
        """The best pieces of each window."""
        assert isinstance(inputs, SpanInputs)
        return best_spans(outputs, inputs, units)

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """The best of all windows of each row."""
        return merge_spans(decoded, row_of, num_labels=decoded.shape[1] // (1 + 3 * self.sought.best))

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """What `predict` adds to a table."""
        return self.sought.columns(decoded, self.sought.parts(rows, state)[0], state, probs=probs)

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The text with what is right and what was answered marked in it."""
        return self.sought.show(rows, said)

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """What `Model.predict` gives."""
        return self.sought.answers(decoded, self.sought.parts(rows, state)[0], state)

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Answers beside what is accepted."""
        return self.sought.predictions(table, decoded, state, roles)


def labels_in(state: TaskState) -> tuple[str, ...]:
    """The labels looked for; one without a name for the answer to a question."""
    return state.labels or ONE

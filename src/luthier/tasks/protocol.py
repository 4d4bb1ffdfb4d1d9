"""What a kind of problem must say about itself. One file per kind; everything else asks these questions only.

Modules of `tasks` import no torch at the top: heads and losses import it when they are called, so that a torch-free
server can use the same file to encode rows and to decode outputs.

A **row** is an example of the table. A **unit** is one encoded input: a row has one, or several where it is cut into windows
(`Inputs.row_of`). Training, the store and batches know units; parts, predictions and measures know rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings, NetworkKind
from luthier.tasks.inputs import Inputs

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

    from luthier.models.backbone import Backbone
    from luthier.models.processors import Processor

HeadOrigin = Literal["fresh", "probe", "previous"]
ProbeLoss = Literal["cross-entropy", "binary", "squared"]
Modality = Literal["text", "image", "audio", "table"]
LINEAR = HeadSettings()
BEAMS = "num_beams"  # in the values of the state of a task that searches with several
FIT = "fit"  # in the evidence of `match`: how well a task fits where several do, 1 if it does not say


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """What a task learns from the training part before any model does: plain JSON, kept in the model folder.

    Attributes:
        task: Name of the task.
        labels: For classification: the label of each place of the logits.
        values: Anything else the task needs (scalers, anchors).
        decisions: What was read into the training part, where that could be read in more than one way.
    """

    task: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    decisions: tuple[Decision[Any], ...] = ()
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class LossRecipe:
    """How a task is to compute its loss.

    Attributes:
        name: As a user writes it: `cross-entropy`, `focal:2`; `auto` is the task's own.
        label_smoothing: Probability mass spread over all labels.
        class_weights: Of each label, in their order; none: all weigh 1.
    """

    name: str = "auto"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()


PLAIN = LossRecipe()


@dataclass(frozen=True, kw_only=True)
class LossSum:
    """A loss as a sum with its weight, so that micro-batches add up to exactly the loss of the whole batch.

    Attributes:
        sum: Sum of the losses of all that counts (examples, tokens, boxes); a scalar with a gradient.
        weight: How many; where classes have weights, the sum of their own.
    """

    sum: "Tensor"
    weight: float


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What had been answered when some rows came up, where rows have an order in time.

    Attributes:
        targets: Of the rows of all parts.
        row: For each row of a sample the place among these of the row before it; -1 where none was.
    """

    targets: np.ndarray
    row: Int[np.ndarray, " N"]

    def last(self) -> np.ndarray:
        """The target of the row before each row; where there is none -1 for labels, NaN for what is a float."""
        unknown = np.nan if self.targets.dtype.kind == "f" else -1
        is_told = (self.row >= 0).reshape(-1, *[1] * (self.targets.ndim - 1))
        return np.where(is_told, self.targets[self.row], np.asarray(unknown, dtype=self.targets.dtype))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows, as a baseline sees them.

    Attributes:
        table: The rows of the table.
        roles: Role -> column.
        rows: Their raw inputs, as `Task.rows` gives them.
        targets: Of their units.
        features: Pooled features of the pre-trained model of their units, for baselines that need them.
        row_of: The place among `rows` of each unit; None if each row is one.
        earlier: Where rows have an order in time: the answers that were known by then, for baselines that need them.
        corpus: The documents that answers are found among, for tasks that search.
        inputs: The encoded inputs of all parts, for baselines that read what the network reads.
        units: Which of them are those of these rows.
    """

    table: "pa.Table"
    roles: Mapping[str, str]
    rows: Sequence[Any]
    targets: np.ndarray
    features: Float[np.ndarray, "U D"] | None = None
    row_of: Int[np.ndarray, " U"] | None = None
    earlier: Earlier | None = None
    corpus: "Sample | None" = None
    inputs: Inputs | None = None
    units: Int[np.ndarray, " U"] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def first_units(self) -> Int[np.ndarray, " N"]:
        """The first unit of each row."""
        return np.arange(len(self.rows)) if self.row_of is None else np.searchsorted(self.row_of, np.arange(len(self.rows)))


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A model that needs no tuning: predicts for rows from what the training rows say.

    Attributes:
        name: `majority`, `classic`, `pretrained` or `persistence`.
        needs_features: Whether it is given pooled features of the pre-trained model.
        needs_order: Whether it only makes sense where rows have an order in time: then it is given what was answered earlier.
        fit_predict: (train, others, state, seed) -> what `Task.merge` gives for the others.
        title: What it is called in the report, where that is not what it is for one label.
        about: What it does, in a sentence, for the report.
    """

    name: str
    needs_features: bool
    fit_predict: Callable[[Sample, Sample, TaskState, int], Float[np.ndarray, "N K"]]
    title: str = ""
    about: str = ""
    needs_order: bool = False


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Who writes answers: a network with its own head, what cuts texts into its tokens, and where it runs."""

    backbone: "Backbone"
    processor: "Processor"
    device: str = "cpu"


Generate = Callable[[Writer, Inputs, Int[np.ndarray, " B"]], Float[np.ndarray, "B G"]]


class Task(Protocol):
    """One kind of problem. `tasks/shaping.py` names members that a task may have beside these.

    The calls come in this order: `match` and `check` on the table; `fit_state` on the training part; `rows`, `encode` and
    `targets` for all parts; `build_head`, `loss` in training; `decode` on what the model says of a batch, `merge` on what was
    decoded of all units of some rows; `predictions` for evaluation, `columns` for users.

    Attributes:
        name: As `--task` takes it.
        modality: What its rows are made of: decides the processor and the default model.
        roles: Of the columns it needs, the inputs first, `target` last.
        optional_roles: Of columns that it reads where they are there.
        measures: Names of `MEASURES`.
        primary_measure: The one that decides.
        baselines: What tuning has to beat.
        absent: By model of the card: why this task has none such.
        probe: The loss of the linear model on pooled features that its head can start from; None where a head stands on more
            than a pooled vector: then the ladder's first rung trains the head alone.
        example: A row as one writes it in Python, for the model card.
        unknown_means: Why a row of train may have no target that can be learnt (see `known`), for people.
        answer_kind: Of the target column: one `label`, a list of `labels`, or a `number`; or a name of the task's own. The
            checks and splits of the data, measures and the card go by it.
        reads_windows: Whether inputs that are too long are read in several windows, and not cut.
        network: What of a model's folder it takes: the encoder, on which it puts a head, or the whole with its own head, which
            gives logits of tokens; then nothing is pooled, and `build_head` gives an `OwnHead`.
        steers_by: The measure that early stopping and the ladder look at on validation, where that is another than the one that
            decides in the end: it is computed from what `decode` keeps, without generating anything.
        generate: (writer, inputs, units) -> what the model writes for these units, as numbers (`written.as_numbers`); they are
            put behind those of `decode` when test is scored and when a model is asked. None: it writes nothing. Inputs of
            such tasks are `AnsweredInputs`.
        has_classes: Whether each unit has one label, an index into `TaskState.labels`: what class weights, balanced sampling,
            mixup and other losses are made for.
    """

    name: str
    modality: Modality
    roles: Sequence[str]
    optional_roles: Sequence[str]
    reads_windows: bool
    measures: Sequence[str]
    primary_measure: str
    baselines: Sequence[Baseline]
    absent: Mapping[str, str]
    probe: ProbeLoss | None
    answer_kind: str
    network: NetworkKind
    steers_by: str
    generate: Generate | None
    has_classes: bool
    example: str
    unknown_means: str

    def match(self, schema: Schema) -> Decision[bool]:
        """Whether a table with these columns and roles is a problem of this kind, and why."""

    def check(self, dataset: Dataset) -> list[Finding]:
        """What only this task can find wrong with a table."""

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """Labels, scalers and the like, from the training part."""

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """The raw input of each row: a text, the path of an image, a pair of texts, ..."""

    def describe(self, state: TaskState) -> str:
        """What it answers with, to follow "it answers with": `one of 3 labels: ...`."""

    def count_tokens(self, rows: Sequence[Any], processor: Any) -> Int[np.ndarray, " N"]:
        """Tokens of each row before anything is cut; for modalities with a longest input."""

    def encode(self, rows: Sequence[Any], processor: Any, state: TaskState) -> Inputs:
        """Model inputs of raw rows."""

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> np.ndarray:
        """Targets of all units as numbers, [U] or [U, ...]; see `known` for rows without one."""

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " U"]:
        """Which units have a target that training can use."""

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A fresh head on pooled features [B, width], or on all hidden states (`reads_states`), of the shape asked for."""

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """The loss of one micro-batch."""

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """Range in which the first loss must lie if all is well; None where nothing can be said."""

    def decode(
        self, outputs: Float[np.ndarray, "B ..."], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B K"]:
        """What is kept of the outputs of a batch: K numbers for each unit (probabilities, places of spans, ...).

        K is the same for all batches of the same inputs; what has less to say is filled up with `EMPTY`.
        """

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """What was decoded of the units of some rows, as one row of numbers for each of them, in order of first appearance."""

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """What `predict` adds to a table; the first column is the answer."""

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """What a report shows of some rows; `said` are their rows of predictions, None where there are none."""

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """What `Model.predict` gives for each row."""

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Merged answers beside their targets, for evaluation."""


def has_own_head(task: Task) -> bool:
    """Whether the network brings its head along: nothing is pooled, and no new head is trained."""
    return task.network != "encoder"


def searches_beams(task: Task) -> bool:
    """Whether answers can be looked for with beams when test is scored and a model is asked: `search`, in place of `decode`."""
    return hasattr(task, "search")


def with_beams(task: Task, state: TaskState, num_beams: int) -> TaskState:
    """The state, which says how many beams there are, if there are several and the task searches itself."""
    return replace(state, values={**state.values, BEAMS: num_beams}) if num_beams > 1 and searches_beams(task) else state


def steering_measure(task: Task) -> str:
    """The measure that early stopping and the ladder look at."""
    return task.steers_by or task.primary_measure


class Companions(Protocol):
    """What belongs into one batch beside the examples drawn for it, where a loss compares examples with each other.

    Attributes:
        anchors: The units that batches are drawn from.
    """

    @property
    def anchors(self) -> Int[np.ndarray, " a"]:
        """Units that have something to learn."""

    def among(self, units: Int[np.ndarray, " u"]) -> "Companions":
        """The same, drawing from some units only: those of a part."""

    def around(self, anchors: Int[np.ndarray, " A"], *, seed: int) -> tuple[Int[np.ndarray, " M"], np.ndarray]:
        """All units of a batch, the anchors first, and the targets [M, ...] by which the loss knows who belongs to whom.

        Args:
            anchors: Drawn for the batch.
            seed: Decides which companions are taken, where an anchor has several.
        """

    def lengths(self, anchors: Int[np.ndarray, " a"], lengths: Int[np.ndarray, " U"]) -> Int[np.ndarray, " a"]:
        """The length of the longest unit that comes with each anchor, for batches of like length."""


@runtime_checkable
class Contrastive(Protocol):
    """A task whose loss is over a whole batch, and no sum over its examples: each is learnt by comparison with the others.

    Its `loss` is given the outputs of all units of a batch [M, D] and the targets that its companions made for them. Its head
    stands on the pooled vector.
    """

    def companions(
        self,
        table: "pa.Table",
        state: TaskState,
        roles: Mapping[str, str],
        inputs: Inputs,
        *,
        corpus: Int[np.ndarray, " C"],
    ) -> Companions:
        """Who belongs to whom among the units of a table's rows, of which some are the corpus."""


@runtime_checkable
class Searching(Protocol):
    """A task whose answers are found among a corpus: rows that belong to no part, and that nobody is asked about."""

    def arrange(self, dataset: Dataset) -> Dataset:
        """The data set with its corpus, once its parts are made."""

    def rank(self, own: Float[np.ndarray, "N K"], corpus: Float[np.ndarray, "C K"]) -> Float[np.ndarray, "N R"]:
        """The answers to some rows, from what was merged of them and of the corpus; these are what `predictions` is given,
        with a table that ends with the corpus."""


def stands_on_vector(task: Task) -> bool:
    """Whether a task's head stands on one pooled vector of each unit, and not on all its hidden states."""
    return task.probe is not None or isinstance(task, Contrastive)

"""Tasks whose examples are single rows: how a row is read, and what is answered about it, put together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.schema import FEATURES, Schema
from luthier.evaluation.baselines import chosen_rows
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings, NetworkKind
from luthier.tasks.answers.answer import Answer
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import (
    FIT,
    LINEAR,
    PLAIN,
    Baseline,
    Generate,
    HeadOrigin,
    LossRecipe,
    LossSum,
    Modality,
    ProbeLoss,
    Sample,
    TaskState,
)
from luthier.tasks.readings.reading import Reading
from luthier.tasks.readings.table_as_text import sentence_of

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

Classic = Callable[[Reading, Answer, Sample, Sample, TaskState, int], Float[np.ndarray, "N K"]]
COLUMNS = "columns"  # in the values of the state of a task that reads several columns: name and kind of each
PERSISTENCE = (
    "Last answer",
    "Gives each row the answer of the row before it in time. It is told each answer as soon as the next row comes, which no "
    "other model here is.",
)
NO_SCRATCH = "not asked for: training the same network from a random start is not part of this run"


def shown_rows(rows: Sequence[Any]) -> list[str]:
    """Texts as they are; several inputs of a row beside each other, columns of a table as a sentence.

    Example:
        >>> shown_rows(["a text", ("one", "another")])
        ['a text', 'one ⟷ another']
    """
    return [_shown(row) for row in rows]


def _shown(row: Any) -> str:
    if isinstance(row, Mapping):
        return sentence_of(row)
    return row if isinstance(row, str) else " ⟷ ".join(map(str, row))


@dataclass(frozen=True, kw_only=True)
class RowTask:
    """One answer about each row; a unit is a row, or a window of one where the reading cuts long rows: then each window has the
    row's answer to learn from, and what is decoded of a row is the mean over its windows.

    Attributes:
        name: As `--task` takes it.
        reading: What is read of a row.
        answer: What is said about it.
        unknown_means: Why a row may have no target that can be learnt.
        absent: By model of the card: why there is none.
        fit: How well the columns of a table fit, from 0 on, and what they are in words, where having the roles says too little.
        classic: (reading, answer, train, others, state, seed) -> the classic's answers, where it is no linear model.

    Example:
        >>> from luthier.tasks.answers.label import LABEL
        >>> from luthier.tasks.readings.text import TEXT
        >>> task = RowTask(name="text-classification", reading=TEXT, answer=LABEL)
        >>> task.roles, task.primary_measure
        (('text', 'target'), 'accuracy')
    """

    name: str
    reading: Reading
    answer: Answer
    unknown_means: str = "train has no such answer"
    absent: Mapping[str, str] = field(default_factory=lambda: {"scratch": NO_SCRATCH})
    fit: Callable[[Schema], tuple[float, str]] | None = None
    classic: Classic | None = None

    optional_roles: Sequence[str] = ()
    reads_windows: bool = False
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None

    @property
    def modality(self) -> Modality:
        """What is read."""
        return self.reading.modality

    @property
    def roles(self) -> tuple[str, ...]:
        """The inputs, then the target."""
        return (*self.reading.roles, "target")

    @property
    def measures(self) -> Sequence[str]:
        """Of the answer."""
        return self.answer.measures

    @property
    def primary_measure(self) -> str:
        """Of the answer."""
        return self.answer.primary_measure

    @property
    def probe(self) -> ProbeLoss:
        """Of the answer."""
        return self.answer.probe

    @property
    def answer_kind(self) -> str:
        """Of the answer."""
        return self.answer.kind

    @property
    def has_classes(self) -> bool:
        """Of the answer."""
        return self.answer.has_classes

    @property
    def example(self) -> str:
        """Of the reading."""
        return self.reading.example

    @property
    def baselines(self) -> Sequence[Baseline]:
        """The most frequent answer; a linear model that knows no pre-trained one; what lies near in the features of one.

        For rows in order of time also the answer of the row before.
        """
        made: tuple[tuple[str, Callable[[Sample, Sample, TaskState, int], Any]], ...] = (
            ("majority", self._majority),
            ("classic", self._classic),
            ("pretrained", self._nearest),
        )
        return [
            Baseline(
                name=name,
                needs_features=name == "pretrained",
                fit_predict=function,
                title=self.answer.baselines[name][0],
                about=self._about(name),
            )
            for name, function in made
            if name not in self.absent
        ] + [
            Baseline(
                name="persistence",
                needs_features=False,
                needs_order=True,
                fit_predict=self._persistence,
                title=PERSISTENCE[0],
                about=PERSISTENCE[1],
            )
        ]

    def _about(self, name: str) -> str:
        """What a baseline does, for people."""
        if name == "classic" and self.classic is not None:
            return f"{self.reading.classic[:1].upper()}{self.reading.classic[1:]}: no neural network, the same examples."
        return self.answer.baselines[name][1].format(features=self.reading.classic)

    def match(self, schema: Schema) -> Decision[bool]:
        """Input columns beside a target that holds such answers."""
        missing = [role for role in self.roles if not schema.has(role)]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        accepted = self.answer.accepts(schema)
        if not accepted.value:
            return accepted
        if self.fit is not None:
            fit, reason = self.fit(schema)
            evidence = {**accepted.evidence, FIT: fit * accepted.evidence.get(FIT, 1.0)}
            reason = f"{reason} and {accepted.reason}"
            return Decision(name="task", value=fit > 0, reason=reason, evidence=evidence, override="--task")
        reads = " and ".join(f"'{schema.roles[role]}'" for role in self.reading.roles)
        holds = "holds" if len(self.reading.roles) == 1 else "hold"
        reason = f"{reads} {holds} {self.reading.noun}s and {accepted.reason}"
        return Decision(name="task", value=True, reason=reason, evidence=accepted.evidence, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table."""
        return []

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """What the answer learns from train; of tables also which columns are read, and what they hold."""
        state = self.answer.fit_state(self.name, table, schema.roles["target"])
        if FEATURES not in self.roles:
            return state
        columns = [[name, schema.kind_of(name).value] for name in schema.features]
        return replace(state, values={**state.values, COLUMNS: columns})

    def describe(self, state: TaskState) -> str:
        """Of the answer."""
        return self.answer.describe(state)

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """What is read of each row."""
        return self.reading.rows(table, roles)

    def count_tokens(self, rows: Sequence[Any], processor: Any) -> Int[np.ndarray, " N"]:
        """Tokens of each row before anything is cut."""
        return self.reading.count_tokens(rows, processor)

    def encode(self, rows: Sequence[Any], processor: Any, state: TaskState) -> Inputs:
        """Model inputs, one unit of each row or several."""
        return self.reading.encode(rows, processor)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> np.ndarray:
        """The target of each unit: that of its row."""
        return np.asarray(self.answer.targets(table, state, roles["target"])[inputs.row_of])

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " U"]:
        """Which can be trained on."""
        return self.answer.known(targets)

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A fresh head."""
        return self.answer.build_head(width, state, settings=settings, seed=seed)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Of one micro-batch."""
        return self.answer.loss(outputs, targets, recipe=recipe)

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """Range of the first loss."""
        return self.answer.start_loss(state, head_origin, recipe=recipe)

    def decode(
        self, outputs: Float[np.ndarray, "B C"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B K"]:
        """What the answer makes of the outputs."""
        return self.answer.decode(outputs)

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """The mean over the units of each row."""
        _, starts, counts = np.unique(row_of, return_index=True, return_counts=True)
        if len(starts) == len(decoded):
            return decoded
        order = np.argsort(starts)  # rows in order of first appearance, their units side by side
        starts, counts = starts[order], counts[order]
        sums = np.add.reduceat(np.asarray(decoded, dtype=np.float64), starts)
        return np.asarray(sums / counts[:, None], dtype=decoded.dtype)

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """What `predict` adds to a table."""
        return self.answer.columns(decoded, state, probs=probs)

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The row itself."""
        return shown_rows(rows)

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The first of the columns."""
        answers: Any = next(iter(self.columns(decoded, rows, state, probs=False).values()))
        return answers.tolist() if isinstance(answers, np.ndarray) else list(answers)

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Answers beside their targets."""
        return self.answer.predictions(table, decoded, state, roles)

    def _majority(self, train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        return self.answer.majority(train.targets[train.first_units], len(others), state)

    def _classic(self, train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        if self.classic is not None:
            return self.classic(self.reading, self.answer, train, others, state, seed)
        kept, targets = chosen_rows(len(train), seed), train.targets[train.first_units]
        found = self.reading.classic_features([train.rows[row] for row in kept], others.rows, seed=seed)
        if found is None:
            return self.answer.majority(targets, len(others), state)
        features, other_features, strength = found
        return self.answer.linear(features, targets[kept], other_features, state, strength=strength, seed=seed)

    def _persistence(self, train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        targets = train.targets[train.first_units]
        if train.earlier is None or others.earlier is None:
            return self.answer.majority(targets, len(others), state)
        return self.answer.persist(others.earlier.last(), (targets, train.earlier.last()), state)

    def _nearest(self, train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
        assert train.features is not None
        assert others.features is not None
        near = self.answer.nearest(train.features, train.targets, others.features, state)
        return near if others.row_of is None else self.merge(near, others.row_of)

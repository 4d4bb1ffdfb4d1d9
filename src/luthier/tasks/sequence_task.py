"""Tasks that write one text from another: columns, inputs of both sides, loss, and what is made of the texts written.

A row is a source and its target; of several right targets the first is learnt, and the best counts when test is scored. The
network is an encoder-decoder with its own head; test is scored on texts that it writes, while early stopping looks at the loss
of the right text's tokens. Source and target are cut where they are longer than `max_length` tokens.

Source: Sutskever et al. 2014, "Sequence to sequence learning with neural networks".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.data.text_pairs import accepted_of, source_of
from luthier.evaluation.language_predictions import language_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import NetworkKind
from luthier.models.text_processor import TextProcessor
from luthier.tasks.answers.label import groups_of
from luthier.tasks.inputs import Inputs, TokenInputs
from luthier.tasks.own_head import OwnHeadTask
from luthier.tasks.protocol import (
    FIT,
    Baseline,
    Generate,
    Modality,
    ProbeLoss,
    TaskState,
)
from luthier.tasks.row_task import NO_SCRATCH
from luthier.tasks.sequence_baselines import TOLD
from luthier.tasks.sequence_checks import check_pairs
from luthier.tasks.sequence_inputs import SequenceInputs, answer_tokens, start_of
from luthier.tasks.sequence_writing import write
from luthier.tasks.token_losses import told
from luthier.tasks.written import as_texts

if TYPE_CHECKING:
    import pyarrow as pa

SourceRow = tuple[str, str | None]  # a source, and what is to be learnt of it


@dataclass(frozen=True, kw_only=True)
class SequenceTask(OwnHeadTask):
    """One text from another.

    Attributes:
        name: As `--task` takes it.
        measures: The first decides.
        baselines: As of `Task`.
        fit: How well texts of these mean numbers of words, source and target, fit, from 0 on.
        verb: What is done to a text, for descriptions.
        example: As of `Task`.
    """

    name: str
    measures: Sequence[str]
    baselines: Sequence[Baseline]
    fit: Callable[[float, float], float]
    verb: str
    example: str

    modality: Modality = "text"
    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = False
    probe: ProbeLoss | None = None
    has_classes: bool = False
    network: NetworkKind = "seq2seq-lm"
    steers_by: str = "token_loss"
    answer_kind: str = "text"
    unknown_means: str = "they have no text to be written"
    absent: Mapping[str, str] = field(default_factory=lambda: {"scratch": NO_SCRATCH})

    @property
    def primary_measure(self) -> str:
        """The first of the measures."""
        return self.measures[0]

    @property
    def generate(self) -> Generate | None:
        """By the network's own decoder."""
        return write

    def match(self, schema: Schema) -> Decision[bool]:
        """Two columns of texts; short answers that come again are labels, not texts to be written."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        text, target = (schema.roles[role] for role in ("text", "target"))
        for name in (text, target):
            if (kind := schema.kind_of(name)) not in (Kind.TEXT, Kind.TEXTS):
                return Decision(name="task", value=False, reason=f"'{name}' holds no free texts ({kind})")
        if "text_pair" in schema.roles:
            return Decision(
                name="task", value=False, reason=f"two columns are read: '{text}' and '{schema.roles['text_pair']}'"
            )
        words = {column.name: column.mean_words for column in schema.columns}
        reason = f"'{target}' holds texts of {words[target]:.0f} words, to be written from '{text}' with {words[text]:.0f}"
        fit = self.fit(words[text], words[target])
        return Decision(name="task", value=True, reason=reason, evidence={FIT: fit}, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Pairs that cannot be learnt from, and pairs that hardly belong together."""
        return check_pairs(dataset)

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """Nothing is learnt of train before a model is there."""
        return TaskState(task=self.name)

    def describe(self, state: TaskState) -> str:
        """A text."""
        return f"a text that {self.verb} it"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[SourceRow]:
        """Each source with the first of its targets; None where there is no column of targets, or its cell is empty."""
        sources = [source_of(cell) for cell in table.column(roles["text"]).to_pylist()]
        if "target" not in roles:
            return [(source, None) for source in sources]
        targets = [accepted_of(cell) for cell in table.column(roles["target"]).to_pylist()]
        return [(source, next(iter(accepted), None)) for source, accepted in zip(sources, targets, strict=True)]

    def count_tokens(self, rows: Sequence[Any], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """Of the longer of the two sides."""
        sides = list(zip(*map(as_row, rows), strict=True))
        counted = [processor.count_tokens([text or "" for text in side]) for side in sides]
        return np.asarray(np.maximum.reduce(counted))

    def encode(self, rows: Sequence[Any], processor: TextProcessor, state: TaskState) -> SequenceInputs:
        """One unit of each row; rows are texts, lists of sentences, or what `rows` gives."""
        pairs = [as_row(row) for row in rows]
        encoded = processor.encode([source for source, _ in pairs])
        sources = TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id)
        answers = answer_tokens([target for _, target in pairs], processor)
        return SequenceInputs.build(sources, answers, start_id=start_of(processor), pad_id=processor.pad_id)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U L"]:
        """The tokens of the answers, filled up with `IGNORED`."""
        assert isinstance(inputs, SequenceInputs)
        return inputs.labels(np.arange(len(inputs.lengths)))

    def decode(
        self, outputs: Float[np.ndarray, "B T V"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B 2"]:
        """The loss of each right text, and its tokens."""
        assert isinstance(inputs, SequenceInputs)
        return told(outputs, inputs.labels(units))

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """Units are rows."""
        return decoded

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`prediction`."""
        return {"prediction": as_texts(decoded[:, TOLD:])}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The sources."""
        return [as_row(row)[0] for row in rows]

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The texts written."""
        return as_texts(decoded[:, TOLD:])

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """What was written beside the first right text (`target`) and all of them (`answers`).

        Rows with one source are resampled together, where no other group is given: their answers are the same.
        """
        accepted = [accepted_of(cell) for cell in table.column(roles["target"]).to_pylist()]
        return language_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[next(iter(texts), "") for texts in accepted],
            predictions=as_texts(decoded[:, TOLD:]),
            told=decoded[:, :TOLD],
            accepted=accepted,
            answer_kind=self.answer_kind,
            groups=groups_of(table, roles) or first_of_each(table, roles["text"]),
        )


def as_row(row: Any) -> SourceRow:
    """A row as `predict` takes it: a text, a list of sentences, or a source with its target.

    Example:
        >>> as_row("Hello."), as_row(["One.", "Two."]), as_row(("Hello.", None))
        (('Hello.', None), ('One. Two.', None), ('Hello.', None))
    """
    return row if isinstance(row, tuple) else (source_of(row), None)


def first_of_each(table: "pa.Table", column: str) -> list[str]:
    """Of each row the id of the first row with the same source."""
    firsts: dict[str, str] = {}
    pairs = zip(table.column(column).to_pylist(), table.column(EXAMPLE_ID).to_pylist(), strict=True)
    return [firsts.setdefault(source_of(source), str(name)) for source, name in pairs]

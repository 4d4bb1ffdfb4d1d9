"""Tasks whose answer is a text that a causal language model writes: what chat and instructions have in common.

The loss is that of the next token, over tokens of answers only. Early stopping looks at the perplexity of the right answers on
validation; on test the model also writes each answer itself. Where right answers are short, it is these that decide: how many
are the right text. Where they are long, hardly any is ever the same, and the perplexity decides.

A row longer than the model's longest input loses the beginning of its context; see `reply_inputs.kept_part`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.evaluation.language_predictions import language_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import NetworkKind
from luthier.models.text_processor import TextProcessor
from luthier.tasks.answers.label import groups_of
from luthier.tasks.inputs import Inputs
from luthier.tasks.own_head import OwnHeadTask
from luthier.tasks.protocol import (
    Baseline,
    Generate,
    Modality,
    ProbeLoss,
    TaskState,
)
from luthier.tasks.reply_baselines import reply_baselines
from luthier.tasks.reply_inputs import ReplyInputs
from luthier.tasks.reply_preview import preview
from luthier.tasks.reply_reading import ReplyReading, answer_ends
from luthier.tasks.reply_writing import write
from luthier.tasks.row_task import NO_SCRATCH
from luthier.tasks.token_losses import told
from luthier.tasks.written import as_texts

if TYPE_CHECKING:
    import pyarrow as pa

TOLD = 2  # numbers in front of what was written: the loss of the right answer, and its tokens
SHORT_WORDS = 8  # answers of so many words on average can be right or wrong as a whole
LOOKED_AT = 2_000
MEASURES = ("perplexity", "same_text", "token_loss")
OF_SHORT_ANSWERS = ("same_text", "perplexity", "token_loss")


@dataclass(frozen=True, kw_only=True)
class ReplyTask(OwnHeadTask):
    """A text to be continued.

    Attributes:
        name: As `--task` takes it.
        reading: How rows are read.
        measures: The first decides; `suited` puts another first where answers are short.
    """

    name: str
    reading: ReplyReading
    measures: Sequence[str] = MEASURES

    modality: Modality = "text"
    reads_windows: bool = False
    probe: ProbeLoss | None = None
    has_classes: bool = False
    network: NetworkKind = "causal-lm"
    steers_by: str = "perplexity"
    answer_kind: str = "text"
    unknown_means: str = "no token of an answer would be learnt; look at their messages, and at the model's chat template"
    absent: Mapping[str, str] = field(default_factory=lambda: {"scratch": NO_SCRATCH})

    @property
    def primary_measure(self) -> str:
        """The first of the measures."""
        return self.measures[0]

    @property
    def roles(self) -> Sequence[str]:
        """Of the reading."""
        return self.reading.roles

    @property
    def optional_roles(self) -> Sequence[str]:
        """Of the reading."""
        return self.reading.optional_roles

    @property
    def example(self) -> str:
        """Of the reading."""
        return self.reading.example

    @property
    def baselines(self) -> Sequence[Baseline]:
        """Frequent answers and those of near prompts."""
        return reply_baselines(self.reading)

    @property
    def generate(self) -> Generate | None:
        """Token by token."""
        return write

    def match(self, schema: Schema) -> Decision[bool]:
        """Of the reading."""
        return self.reading.match(schema)

    def suited(self, dataset: Dataset) -> tuple["ReplyTask", Decision[str]]:
        """The same task with the measure that says most about answers of this length."""
        rows = np.unique(np.linspace(0, dataset.table.num_rows - 1, LOOKED_AT).astype(np.int64))
        answers = [self.reading.answer(row) for row in self.reading.rows(dataset.table.take(rows), dataset.schema.roles)]
        words = float(np.mean([len(answer.split()) for answer in answers if answer] or [0]))
        is_short = 0 < words <= SHORT_WORDS
        measures = OF_SHORT_ANSWERS if is_short else MEASURES
        reason = f"answers have {words:.1f} words on average: " + (
            "each can be right or wrong as a whole" if is_short else "hardly any would be the same word by word"
        )
        decided = Decision(name="decides", value=measures[0], reason=reason, evidence={"mean_words": round(words, 2)})
        return replace(self, measures=measures), decided

    def check(self, dataset: Dataset) -> list[Finding]:
        """Of the reading."""
        return self.reading.check(dataset)

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """Of the reading."""
        values, decisions = self.reading.fit_values(table, schema)
        return TaskState(task=self.name, values=values, decisions=decisions)

    def describe(self, state: TaskState) -> str:
        """A text."""
        return f"a text that answers the {self.reading.noun}"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """Of the reading."""
        return self.reading.rows(table, roles)

    def count_tokens(self, rows: Sequence[Any], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """Of each whole row."""
        marked = processor.encode_marked([self.reading.spelt(row, processor, {}).text for row in rows])
        return np.diff(marked.offsets)

    def encode(self, rows: Sequence[Any], processor: TextProcessor, state: TaskState) -> ReplyInputs:
        """One unit of each row; rows are texts, lists of messages, or what `rows` gives."""
        return ReplyInputs.build([self.reading.spelt(row, processor, state.values) for row in rows], processor)

    def preview(self, inputs: Inputs, units: Int[np.ndarray, " u"], processor: TextProcessor) -> list[Decision[Any]]:
        """How much of what is learnt from is answers, and one example of it."""
        assert isinstance(inputs, ReplyInputs)
        return preview(inputs, units, processor)

    def ends(self, processor: TextProcessor) -> list[int]:
        """Tokens that end an answer."""
        return answer_ends(processor)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U T"]:
        """Of each place the next token, where it is learnt."""
        assert isinstance(inputs, ReplyInputs)
        return inputs.targets()

    def decode(
        self, outputs: Float[np.ndarray, "B T V"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B 2"]:
        """The loss of each unit, summed over its learnt tokens, and how many these are."""
        assert isinstance(inputs, ReplyInputs)
        return told(outputs, inputs.targets(units))

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """Each unit is a row."""
        return decoded

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`prediction`."""
        return {"prediction": _written(decoded)}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """What was asked."""
        return [self.reading.prompt(row) for row in rows]

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """What was written."""
        return list(_written(decoded))

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """What was written beside what is right, and how well that was told."""
        return language_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[self.reading.answer(row) for row in self.reading.rows(table, roles)],
            predictions=_written(decoded),
            told=np.asarray(decoded[:, :TOLD], dtype=np.float64),
            answer_kind=self.answer_kind,
            groups=groups_of(table, roles),
        )


def _written(decoded: Float[np.ndarray, "N K"]) -> list[str]:
    """What was written; nothing where nothing was asked for."""
    return as_texts(decoded[:, TOLD:]) if decoded.shape[1] > TOLD else [""] * len(decoded)

"""Tasks that tell the tokens of a text themselves: what is learnt and answered is how likely the text is.

A row is a document: a text of any length, or a JSON list of its words. It is cut into blocks that the network can read (its
units); no block holds two documents. The network keeps its own head over all tokens, so that what comes out is the model that
came in, at home in these texts. There is no column with answers: the text is what is to be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.data.words import read_words
from luthier.evaluation.measures.language import LOSS, TOKENS
from luthier.evaluation.predictions import with_ids
from luthier.evaluation.records import Predictions
from luthier.models.processors import TextProcessor
from luthier.models.settings import NetworkKind
from luthier.tasks.answers.label import groups_of
from luthier.tasks.inputs import Inputs
from luthier.tasks.language_inputs import CausalInputs, LanguageInputs, MaskedInputs
from luthier.tasks.ngrams import NGRAM, UNIGRAM
from luthier.tasks.own_head import OwnHeadTask
from luthier.tasks.protocol import (
    FIT,
    Baseline,
    Modality,
    ProbeLoss,
    TaskState,
)
from luthier.tasks.row_task import NO_SCRATCH
from luthier.tasks.token_losses import told

if TYPE_CHECKING:
    import pyarrow as pa

LIKELIHOOD = "likelihood"


@dataclass(frozen=True, kw_only=True)
class LanguageTask(OwnHeadTask):
    """The tokens of a text, from those before them or from all others.

    Attributes:
        name: As `--task` takes it.
        network: Of which kind the network is, head included.
        what: How a text is told, for people.
    """

    name: str
    network: NetworkKind
    what: str

    modality: Modality = "text"
    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = True
    measures: Sequence[str] = ("perplexity", "token_loss")
    primary_measure: str = "perplexity"
    steers_by: str = ""
    generate: None = None
    probe: ProbeLoss | None = None
    answer_kind: str = LIKELIHOOD
    has_classes: bool = False
    baselines: Sequence[Baseline] = (UNIGRAM, NGRAM)
    example: str = '"the text whose perplexity is wanted"'
    unknown_means: str = "they have no token that could be told"

    @property
    def absent(self) -> Mapping[str, str]:
        """What the card has no row of."""
        return {"scratch": NO_SCRATCH}

    def match(self, schema: Schema) -> Decision[bool]:
        """A text that is its own target."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        text, target = (schema.roles[role] for role in ("text", "target"))
        if text != target:
            return Decision(name="task", value=False, reason=f"'{target}' is an answer, and here the text itself is told")
        reason = f"'{text}' holds texts, and nothing is to be answered about them"
        return Decision(name="task", value=True, reason=reason, evidence={FIT: 0.1}, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table: those for repeated and nearly repeated texts are what counts here."""
        return []

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """Nothing is learnt but by the network."""
        return TaskState(task=self.name)

    def describe(self, state: TaskState) -> str:
        """What is said of a text."""
        return f"how likely a text is: its perplexity, {self.what}"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The texts; of a list of words the text that they make."""
        return [as_text("" if cell is None else str(cell)) for cell in table.column(roles["text"]).to_pylist()]

    def count_tokens(self, rows: Sequence[str], processor: Any) -> Int[np.ndarray, " N"]:
        """Of each text in one piece."""
        counted: Int[np.ndarray, " N"] = processor.count_tokens(list(rows))
        return counted

    def encode(self, rows: Sequence[str], processor: TextProcessor, state: TaskState) -> LanguageInputs:
        """Each text as one block or several.

        Raises:
            ModelError: the tokenizer cannot hide tokens, where that is what is wanted.
        """
        blocks = processor.encode_documents(list(rows), forwards=self.network == "causal-lm")
        kind = CausalInputs if self.network == "causal-lm" else MaskedInputs
        return kind.build(blocks, processor)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U T"]:
        """The tokens that are to be told, where the network tells them."""
        assert isinstance(inputs, LanguageInputs)
        return inputs.labels(np.arange(len(inputs.lengths)))

    def decode(
        self, outputs: Float[np.ndarray, "B T V"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B 2"]:
        """The loss of each unit, summed over the tokens that are told, and how many these are."""
        assert isinstance(inputs, LanguageInputs)
        return told(outputs, inputs.labels(units))

    def merge(self, decoded: Float[np.ndarray, "U 2"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N 2"]:
        """Sums over the blocks of each document."""
        _, starts = np.unique(row_of, return_index=True)
        return np.asarray(np.add.reduceat(np.asarray(decoded, dtype=np.float64), np.sort(starts)), dtype=decoded.dtype)

    def columns(
        self, decoded: Float[np.ndarray, "N 2"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`perplexity`, `token_loss` and `tokens`, the number of tokens behind them; null where there is none."""
        import pyarrow as pa

        sums, tokens = decoded[:, 0].astype(np.float64), decoded[:, 1].astype(np.int64)
        loss = sums / np.maximum(tokens, 1)
        empty = tokens == 0
        return {
            "perplexity": pa.array(np.exp(np.minimum(loss, 700.0)), mask=empty),
            "token_loss": pa.array(loss, mask=empty),
            "tokens": pa.array(tokens),
        }

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The text."""
        return [as_text(row) for row in rows]

    def answers(self, decoded: Float[np.ndarray, "N 2"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The perplexity of each text; None where it has no token."""
        first: Any = self.columns(decoded, rows, state, probs=False)["perplexity"]
        return list(first.to_pylist())

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N 2"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """The loss of each text and its tokens; nothing is answered, so that there are no answers beside targets."""
        import pyarrow as pa

        columns = {name: pa.array(decoded[:, place].astype(np.float64)) for place, name in enumerate((LOSS, TOKENS))}
        ids = table.column(EXAMPLE_ID).to_pylist()
        return Predictions(table=with_ids(ids, columns, groups=groups_of(table, roles)), answer_kind=self.answer_kind)


def as_text(cell: str) -> str:
    """A document: a text as it is, or what a JSON list of words reads as.

    Example:
        >>> as_text('["It", "rains", "."]'), as_text("It rains.")
        ('It rains .', 'It rains.')
    """
    return read_words(cell).text if cell.startswith("[") else cell

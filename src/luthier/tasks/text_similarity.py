"""Text similarity: vectors of single texts whose cosine goes up with a score that people gave to pairs of them.

Columns: `text`, `text_pair` and, as `target`, a number. Unlike `text-pair-regression`, which reads both texts at once and
answers in the unit of the target, each text gets a vector by itself, once: so that it can be compared with a million others.
The answer to a pair is the cosine; only its order counts (Spearman's and Pearson's correlation).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Schema
from luthier.data.targets import to_numbers
from luthier.evaluation.baselines import word_features
from luthier.evaluation.nearest import unit_vectors
from luthier.evaluation.predictions import refuse_repeated_ids, with_ids
from luthier.evaluation.records import Predictions
from luthier.models.settings import NetworkKind
from luthier.tasks.answers.label import groups_of
from luthier.tasks.answers.number import NUMBER
from luthier.tasks.companions import Scored
from luthier.tasks.contrastive import order_loss
from luthier.tasks.inputs import Inputs, TokenInputs
from luthier.tasks.protocol import (
    FIT,
    PLAIN,
    Baseline,
    Companions,
    Generate,
    LossRecipe,
    LossSum,
    Modality,
    ProbeLoss,
    Sample,
    TaskState,
)
from luthier.tasks.readings.text_pair import TEXT_PAIR
from luthier.tasks.row_task import NO_SCRATCH, shown_rows
from luthier.tasks.vector_task import VectorTask

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

SIMILARITY = "similarity"
RATHER_READ_TOGETHER = 0.3  # how well it fits scored pairs: who reads both texts at once is nearer to the score


def _same_for_all(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N 1"]:
    return np.zeros((len(others), 1), dtype=np.float32)


def _by_words(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N 1"]:
    """Cosines of TF-IDF vectors; the weights of words are those of train."""
    known = [text for row in train.rows for text in row]
    firsts, seconds = ([row[place] for row in others.rows] for place in (0, 1))
    found = word_features([known], [[*firsts, *seconds]])
    if found is None:
        return _same_for_all(train, others, state, seed)
    from sklearn.preprocessing import normalize

    vectors = normalize(found[1])
    half = len(firsts)
    return np.asarray(vectors[:half].multiply(vectors[half:]).sum(axis=1), dtype=np.float32).reshape(-1, 1)


def _by_features(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N 1"]:
    assert others.features is not None
    return cosines(others.features)


def cosines(vectors: Float[np.ndarray, "U D"]) -> Float[np.ndarray, "N 1"]:
    """Of the two vectors of each pair, which stand side by side."""
    vectors = unit_vectors(vectors)
    return np.asarray((vectors[::2] * vectors[1::2]).sum(axis=1, keepdims=True), dtype=np.float32)


BASELINES = (
    Baseline(
        name="majority",
        needs_features=False,
        fit_predict=_same_for_all,
        title="The same for all",
        about="The same answer for every pair, which orders nothing.",
    ),
    Baseline(
        name="classic",
        needs_features=False,
        fit_predict=_by_words,
        title="TF-IDF cosine",
        about="The cosine of both texts' TF-IDF vectors: no neural network.",
    ),
    Baseline(
        name="pretrained",
        needs_features=True,
        fit_predict=_by_features,
        title="Pre-trained, untuned",
        about="The pre-trained model as it comes: the cosine of both texts' vectors.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class TextSimilarity(VectorTask):
    """Attributes as of `Task`."""

    name: str = "text-similarity"
    modality: Modality = "text"
    roles: Sequence[str] = ("text", "text_pair", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = False
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None
    measures: Sequence[str] = ("spearman", "pearson")
    primary_measure: str = "spearman"
    baselines: Sequence[Baseline] = BASELINES
    absent: Mapping[str, str] = field(default_factory=lambda: {"scratch": NO_SCRATCH})
    probe: ProbeLoss | None = None
    answer_kind: str = "number"
    has_classes: bool = False
    example: str = '("a man plays a flute", "somebody makes music")'
    unknown_means: str = "they have no number as their score"

    def match(self, schema: Schema) -> Decision[bool]:
        """Two texts beside a number."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        accepted = NUMBER.accepts(schema)
        if not accepted.value:
            return accepted
        first, second = schema.roles["text"], schema.roles["text_pair"]
        reason = f"'{first}' and '{second}' hold texts to be compared by their vectors, and {accepted.reason}"
        return Decision(name="task", value=True, reason=reason, evidence={FIT: RATHER_READ_TOGETHER}, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table."""
        return []

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """The span of the scores."""
        scores = to_numbers(table.column(schema.roles["target"]))
        scores = scores[np.isfinite(scores)]
        return TaskState(task=self.name, values={"low": float(scores.min()), "high": float(scores.max())})

    def describe(self, state: TaskState) -> str:
        """What it has learnt from."""
        low, high = state.values["low"], state.values["high"]
        return f"the cosine of both texts' vectors, from -1 to 1 (it has learnt from scores between {low:g} and {high:g})"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """Both texts."""
        return TEXT_PAIR.rows(table, roles)

    def count_tokens(self, rows: Sequence[Any], processor: Any) -> Int[np.ndarray, " N"]:
        """Of the longer text of each pair."""
        counts = processor.count_tokens([text for row in rows for text in row])
        return np.asarray(counts.reshape(-1, 2).max(axis=1))

    def encode(self, rows: Sequence[Any], processor: Any, state: TaskState) -> TokenInputs:
        """Two units of each row: its texts."""
        encoded = processor.encode([text for row in rows for text in row])
        row_of = np.repeat(np.arange(len(rows)), 2)
        return TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id, row_of=row_of)

    def targets(
        self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs
    ) -> Float[np.ndarray, "U 1"]:
        """The score of each text's pair; NaN where there is none."""
        scores = to_numbers(table.column(roles["target"])).astype(np.float32)
        return np.asarray(scores[inputs.row_of][:, None])

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " U"]:
        """Pairs with a score."""
        return np.asarray(np.isfinite(targets[:, 0]))

    def companions(
        self,
        table: "pa.Table",
        state: TaskState,
        roles: Mapping[str, str],
        inputs: Inputs,
        *,
        corpus: Int[np.ndarray, " C"],
    ) -> Companions:
        """The other text of each pair."""
        return Scored(scores=self.targets(table, state, roles, inputs)[:, 0])

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """How far the cosines of a batch are out of the order of its scores."""
        return order_loss(outputs, targets)

    def merge(self, decoded: Float[np.ndarray, "U D"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N 1"]:
        """The cosine of each pair."""
        return cosines(decoded)

    def columns(
        self, decoded: Float[np.ndarray, "N 1"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`similarity`."""
        return {"similarity": [float(value) for value in decoded[:, 0]]}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """Both texts."""
        return shown_rows(rows)

    def answers(self, decoded: Float[np.ndarray, "N 1"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The cosine of each pair."""
        return [float(value) for value in decoded[:, 0]]

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N 1"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Cosines beside scores."""
        import pyarrow as pa

        ids = table.column(EXAMPLE_ID).to_pylist()
        refuse_repeated_ids(ids)
        columns = {
            "target": pa.array(to_numbers(table.column(roles["target"])), pa.float64()),
            "prediction": pa.array(np.asarray(decoded[:, 0], dtype=np.float64), pa.float64()),
        }
        return Predictions(table=with_ids(ids, columns, groups=groups_of(table, roles)), answer_kind=SIMILARITY)


TASK = TextSimilarity()

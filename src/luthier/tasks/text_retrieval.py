"""Text retrieval: vectors by which the texts that belong to a text are found among many others.

Columns, in one of three forms:

- **judged**: queries, documents and which of them are relevant (a folder in BEIR's layout);
- **pairs**: `text` and, as `target`, a text that belongs to it; perhaps `negative`, one that only looks so (triplets);
- **labels**: `text` and a label as `target`: texts of one label belong to each other, and are found among those of train.

Answers are rankings of all documents, judged by nDCG@10; a query of test is never seen in training, its documents may be.
`predict` gives the vector of each text; `luthier find`, `recommend` and `segment` use it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.relevance import read_relevance
from luthier.data.schema import Kind, Schema
from luthier.evaluation.nearest import products, ranked, unit_vectors
from luthier.evaluation.ranked_predictions import MOST_RANKED, RELEVANCE, Judgements, ranked_predictions
from luthier.evaluation.records import Predictions
from luthier.models.settings import NetworkKind
from luthier.tasks.answers.label import groups_of
from luthier.tasks.companions import Judged, SameLabel, twins_of
from luthier.tasks.contrastive import ranking_loss
from luthier.tasks.inputs import Inputs
from luthier.tasks.pairs import arranged_pairs, read_names
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
    TaskState,
)
from luthier.tasks.readings.text import TEXT
from luthier.tasks.retrieval_baselines import BASELINES
from luthier.tasks.retrieval_checks import check_retrieval
from luthier.tasks.row_task import NO_SCRATCH, shown_rows
from luthier.tasks.vector_task import VectorTask

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

JUDGED, LABELS = "judged", "labels"
FREE_TEXT, CATEGORY = (
    0.3,
    0.1,
)  # how well it fits texts beside texts, and labels: rather something else, unless one asks for this
NEGATIVE = "negative"


@dataclass(frozen=True, kw_only=True)
class TextRetrieval(VectorTask):
    """Attributes as of `Task`."""

    name: str = "text-retrieval"
    modality: Modality = "text"
    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ("negative", "document")
    reads_windows: bool = False
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None
    measures: Sequence[str] = ("ndcg_at_10", "recall_at_10", "recall_at_100", "mrr_at_10")
    primary_measure: str = "ndcg_at_10"
    baselines: Sequence[Baseline] = BASELINES
    absent: Mapping[str, str] = field(default_factory=lambda: {"scratch": NO_SCRATCH})
    probe: ProbeLoss | None = None
    answer_kind: str = RELEVANCE
    has_classes: bool = False
    example: str = '"how do I change my password?"'
    unknown_means: str = "no document is known to belong to them"

    def match(self, schema: Schema) -> Decision[bool]:
        """Texts beside documents that are relevant to them, texts that belong to them, or labels."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        text, target = (schema.roles[role] for role in self.roles)
        kind = schema.kind_of(target)
        if kind is Kind.RELEVANCE:
            return _fits(f"'{target}' says which documents are relevant to '{text}'", 1.0)
        if NEGATIVE in schema.roles:
            negative = schema.roles[NEGATIVE]
            return _fits(f"'{target}' holds texts that belong to '{text}', and '{negative}' texts that do not", 1.0)
        if target.lower() == "positive":
            return _fits(f"'{target}' holds texts that belong to '{text}'", 1.0)
        if kind in (Kind.TEXT, Kind.IDENTIFIER):
            return _fits(f"'{target}' holds texts that belong to '{text}'", FREE_TEXT)
        if kind is Kind.CATEGORY:
            return _fits(f"texts of '{text}' belong together where '{target}' is the same", CATEGORY)
        return Decision(name="task", value=False, reason=f"'{target}' holds neither texts that belong to '{text}', nor labels")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Documents that are empty or there twice, queries without any, negatives that are positives."""
        return check_retrieval(dataset)

    def arrange(self, dataset: Dataset) -> Dataset:
        """With its corpus: given, made of the texts that belong to others, or the rows of train where labels are compared."""
        kind = dataset.schema.kind_of(dataset.schema.roles["target"])
        if kind is Kind.RELEVANCE:
            return dataset
        if kind is Kind.CATEGORY and NEGATIVE not in dataset.schema.roles:
            return replace(dataset, corpus=dataset.parts["train"])
        return arranged_pairs(dataset)

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """The form of the data, and the labels of train if it has any."""
        target = schema.roles["target"]
        if schema.kind_of(target) is Kind.RELEVANCE:
            return TaskState(task=self.name, values={"form": JUDGED})
        labels = sorted({str(cell).strip() for cell in table.column(target).drop_null().to_pylist()} - {""})
        return TaskState(task=self.name, values={"form": LABELS, "labels": labels})

    def describe(self, state: TaskState) -> str:
        """What the numbers are for."""
        return "a vector for each text, of length one: the nearer two vectors, the more their texts belong together"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """The text of each row."""
        return TEXT.rows(table, roles)

    def count_tokens(self, rows: Sequence[Any], processor: Any) -> Int[np.ndarray, " N"]:
        """Of each text."""
        return TEXT.count_tokens(rows, processor)

    def encode(self, rows: Sequence[Any], processor: Any, state: TaskState) -> Inputs:
        """One unit of each text."""
        return TEXT.encode(rows, processor)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U 1"]:
        """Whether something belongs to a query (1) or nothing is known to (-1); of labels their number."""
        cells = table.column(roles["target"]).to_pylist()
        if state.values["form"] == LABELS:
            codes = {label: code for code, label in enumerate(state.values["labels"])}
            return np.array([[codes.get(str(cell or "").strip(), -1)] for cell in cells], dtype=np.int64)
        return np.array([[1 if read_relevance(cell) else -1] for cell in cells], dtype=np.int64)

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " U"]:
        """Queries that something belongs to."""
        return np.asarray(targets[:, 0] >= 0)

    def companions(
        self,
        table: "pa.Table",
        state: TaskState,
        roles: Mapping[str, str],
        inputs: Inputs,
        *,
        corpus: Int[np.ndarray, " C"],
    ) -> Companions:
        """Which units belong to which: each row is one."""
        twins = twins_of(inputs.keys)
        if state.values["form"] == LABELS:
            return SameLabel(codes=self.targets(table, state, roles, inputs)[:, 0], twins=twins)
        places = {name: int(row) for name, row in zip(names_of(table.take(corpus), roles), corpus, strict=True)}
        cells = table.column(roles["target"]).to_pylist()
        positives = {row: _places_of(read_relevance(cell) or (), places) for row, cell in enumerate(cells)}
        hard = table.column(roles[NEGATIVE]).to_pylist() if NEGATIVE in roles else []
        negatives = {row: _places_of(read_names(cell), places) for row, cell in enumerate(hard)}
        kept = {row: units[~np.isin(twins[units], twins[positives[row]])] for row, units in negatives.items()}
        return Judged(positives=positives, negatives=kept, twins=twins)

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Each query must find its document among those of the whole batch."""
        return ranking_loss(outputs, targets)

    def merge(self, decoded: Float[np.ndarray, "U D"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N D"]:
        """Each row is one unit."""
        return decoded

    def rank(self, own: Float[np.ndarray, "N D"], corpus: Float[np.ndarray, "C D"]) -> Float[np.ndarray, "N R"]:
        """The places of the documents nearest to each query, and then their cosines."""
        return ranked(products(unit_vectors(own), unit_vectors(corpus)), MOST_RANKED)

    def columns(
        self, decoded: Float[np.ndarray, "N D"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`vector`."""
        from luthier.evaluation.predictions import list_array

        return {"vector": list_array(np.ascontiguousarray(decoded, dtype=np.float32))}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The query."""
        return shown_rows(rows)

    def answers(self, decoded: Float[np.ndarray, "N D"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The vector of each text."""
        return list(decoded)

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N R"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Rankings of the corpus, which stands at the end of the table, beside what is relevant."""
        number, half = len(decoded), decoded.shape[1] // 2
        queries, corpus = table.slice(0, number), table.slice(number)
        places, names = decoded[:, :half].astype(np.int64), names_of(corpus, roles)
        wanted = queries.column(roles["target"]).to_pylist()
        if state.values["form"] == LABELS:
            targets = [str(cell or "").strip() for cell in wanted]
            judged = _judged_by_label(targets, corpus.column(roles["target"]).to_pylist(), places)
        else:
            relevance = [read_relevance(cell) or {} for cell in wanted]
            targets = [", ".join(sorted(grades, key=lambda name: -grades[name])) for grades in relevance]
            judged = _judged_by_name(relevance, names, places)
        return ranked_predictions(
            example_ids=queries.column(EXAMPLE_ID).to_pylist(),
            targets=targets,
            places=places,
            scores=decoded[:, half:],
            judged=judged,
            names=names,
            groups=groups_of(queries, roles),
        )


def _fits(reason: str, fit: float) -> Decision[bool]:
    return Decision(name="task", value=True, reason=reason, evidence={FIT: fit}, override="--task")


def names_of(table: "pa.Table", roles: Mapping[str, str]) -> list[str]:
    """What documents are called: their own ids, or those of their rows."""
    names: list[str] = table.column(roles.get("document", EXAMPLE_ID)).to_pylist()
    return names


def _places_of(names: Any, places: Mapping[str, int]) -> Int[np.ndarray, " n"]:
    return np.array([places[name] for name in names if name in places], dtype=np.int64)


def _judged_by_name(
    relevance: Sequence[Mapping[str, float]], names: Sequence[str], places: Int[np.ndarray, "N R"]
) -> Judgements:
    """Grades of what is ranked, the best there are, and how many: by the ids of the relevant documents."""
    grades = [[wanted.get(names[place], 0.0) for place in row] for wanted, row in zip(relevance, places.tolist(), strict=True)]
    ideal = [sorted(wanted.values(), reverse=True)[:MOST_RANKED] for wanted in relevance]
    return Judgements(grades=grades, ideal=ideal, num_relevant=[len(wanted) for wanted in relevance])


def _judged_by_label(targets: Sequence[str], labels: Sequence[Any], places: Int[np.ndarray, "N R"]) -> Judgements:
    """The same where texts of the same label are what is relevant."""
    known, codes = np.unique([str(label or "").strip() for label in labels], return_inverse=True)
    code_of = {label: code for code, label in enumerate(known.tolist())}
    own = np.array([code_of.get(target, -1) for target in targets])
    number = np.append(np.bincount(codes, minlength=len(known)), 0)[own]
    grades = (codes[places] == own[:, None]).astype(float)
    ideal = [[1.0] * min(int(count), MOST_RANKED) for count in number]
    return Judgements(grades=grades.tolist(), ideal=ideal, num_relevant=[int(count) for count in number])


TASK = TextRetrieval()

"""Tasks that give every word of a text a tag: columns, targets, head, loss and answers; what counts as right differs.

A row is a sentence, or a whole document: a JSON list of words with a list of tags, or a text with spans of characters. Words
are cut into the model's own tokens; a word's label stands on its first token, and the others count in no loss. Rows that are
too long for the model are read in windows. Entities are answered in IOB2, however the data write them.

Source: Devlin et al., BERT, 2019, section 5.3 (first sub-token); Ratinov & Roth 2009 (schemes of tags).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.data.words import OUTSIDE, Words, join_words, read_list, read_spans, read_words, split_words, tags_of_spans
from luthier.evaluation.records import Predictions
from luthier.models.settings import HeadSettings, NetworkKind
from luthier.tasks.answers.label import groups_of, shown_labels
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
from luthier.tasks.tag_schemes import PLAIN as PLAIN_TAGS
from luthier.tasks.tag_schemes import SPANS, as_iob2, recognise_scheme
from luthier.tasks.tagged_words import entities_in, marked_type, words_in
from luthier.tasks.token_baselines import BASELINES
from luthier.tasks.token_checks import check_tags
from luthier.tasks.word_inputs import IGNORED, WordInputs, join_windows, unpack

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

NO_VECTOR = "the frozen model gives vectors of words, not tags, and no way to compare them that needs no fitting is usual"
UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class TokenTask:
    """A tag for each word.

    Attributes:
        name: As `--task` takes it.
        measures: The first decides.
        kinds: What the target column may hold: tags of entities, spans, or lists of any tags.
        answer_kind: `entities`, or `tags` where every word counts alike.
        example: As of `Task`.
    """

    name: str
    measures: Sequence[str]
    kinds: Sequence[Kind]
    answer_kind: str
    example: str

    modality: Modality = "text"
    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = True
    probe: ProbeLoss | None = None
    has_classes: bool = False
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None
    baselines: Sequence[Baseline] = BASELINES

    @property
    def primary_measure(self) -> str:
        """The first of the measures."""
        return self.measures[0]

    @property
    def absent(self) -> Mapping[str, str]:
        """What the card has no row of."""
        return {"pretrained": NO_VECTOR, "scratch": NO_SCRATCH}

    def match(self, schema: Schema) -> Decision[bool]:
        """Words with a list of tags for each row, or texts with spans."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        text, target = (schema.roles[role] for role in ("text", "target"))
        kind, is_list = schema.kind_of(target), schema.kind_of(text) is Kind.LIST
        if kind not in self.kinds:
            wanted = " or ".join(_HOLDS[item] for item in self.kinds)
            return Decision(name="task", value=False, reason=f"'{target}' does not hold {wanted}")
        if kind is not Kind.SPANS and not is_list:
            reason = f"'{target}' holds tags of words, and '{text}' no lists of words"
            return Decision(name="task", value=False, reason=reason)
        reads = f"'{text}' holds {'words' if is_list else 'texts'}"
        reason = f"{reads} and '{target}' {_HOLDS[kind]}"
        return Decision(name="task", value=True, reason=reason, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Rows whose tags or spans do not fit their words: they are named, and left out."""
        return check_tags(dataset)

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """How train writes its tags, and which there are."""
        column = schema.roles["target"]
        if schema.kind_of(column) is Kind.SPANS:
            scheme = Decision(name="tag_scheme", value=SPANS, reason="spans of characters; the words they touch get IOB2 tags")
            cells = table.column(column).to_pylist()
            kinds = {span.label for cell in cells if cell for span in _spans(cell)}
            return self._state(scheme, [f"B-{kind}" for kind in kinds])
        lists = [read_list(cell) or [] for cell in table.column(column).to_pylist()]
        if self.kinds == (Kind.LIST,):
            scheme = Decision(name="tag_scheme", value=PLAIN_TAGS, reason="each tag says what its word is")
        else:
            scheme = recognise_scheme(lists)
        return self._state(scheme, {tag for tags in lists for tag in as_iob2(tags, scheme.value)})

    def _state(self, scheme: Decision[str], tags: Any) -> TaskState:
        found = set(tags)
        if scheme.value != PLAIN_TAGS:
            found = {f"{letter}{tag[1:]}" for tag in found - {OUTSIDE} for letter in "BI"}
        labels = sorted(found, key=lambda tag: (tag[2:], tag)) if scheme.value != PLAIN_TAGS else sorted(found)
        labels = labels if scheme.value == PLAIN_TAGS else [OUTSIDE, *labels]
        return TaskState(task=self.name, labels=tuple(labels), values={"scheme": scheme.value}, decisions=(scheme,))

    def describe(self, state: TaskState) -> str:
        """What is found in a text."""
        if state.values["scheme"] == PLAIN_TAGS:
            return f"a tag for each word, one of {len(state.labels)}: {shown_labels(state.labels)}"
        kinds = sorted({tag[2:] for tag in state.labels if tag != OUTSIDE})
        return f"the entities in them, of {len(kinds)} types: {shown_labels(kinds)}"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Words]:
        """The words of each row."""
        return [read_words("" if cell is None else str(cell)) for cell in table.column(roles["text"]).to_pylist()]

    def count_tokens(self, rows: Sequence[Any], processor: Any) -> Int[np.ndarray, " N"]:
        """Of each row in one piece."""
        counted: Int[np.ndarray, " N"] = processor.count_word_tokens([as_words(row).words for row in rows])
        return counted

    def encode(self, rows: Sequence[Any], processor: Any, state: TaskState) -> WordInputs:
        """One unit of each row, or several windows; rows are texts, lists of words, or what `rows` gives."""
        tags = () if state.values["scheme"] == PLAIN_TAGS else state.labels
        return WordInputs.build([as_words(row) for row in rows], processor, tags=tags)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U T"]:
        """A label on the first token of each word; tags that train does not have are `IGNORED`."""
        assert isinstance(inputs, WordInputs)
        index = {tag: place for place, tag in enumerate(state.labels)}
        tagged = tags_of(table, state, roles)
        return inputs.spread([np.array([index.get(tag, IGNORED) for tag in tags], dtype=np.int64) for tags in tagged])

    def known(self, targets: np.ndarray) -> Bool[np.ndarray, " U"]:
        """Units with a word whose tag train has."""
        return np.asarray((targets != IGNORED).any(axis=1))

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A fresh head on every token."""
        from luthier.models.heads import TokenHead, build_head

        return TokenHead(build_head(settings, width, len(state.labels), seed=seed))

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Cross-entropy over the words that have a label."""
        from torch.nn.functional import cross_entropy

        logits, targets = outputs.float(), targets[:, : outputs.shape[1]]
        counted = targets != IGNORED
        total = cross_entropy(logits[counted], targets[counted], reduction="sum")
        return LossSum(sum=total, weight=float(counted.sum()))

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """A fresh head must start near ln C."""
        chance = float(np.log(max(len(state.labels), 2)))
        return (0.5 * chance, 2.0 * chance) if head_origin == "fresh" else (0.0, 1.2 * chance)

    def decode(
        self, outputs: Float[np.ndarray, "B T C"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B K"]:
        """The labels of the words of each unit, the best that fit together, and their probabilities."""
        assert isinstance(inputs, WordInputs)
        shifted = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return inputs.gathered(shifted / shifted.sum(axis=-1, keepdims=True), units)

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """Windows joined: of a word seen twice the answer with more context."""
        return join_windows(decoded, row_of)

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`entities` (or, for tags that are none, `words`) with their place in the text; the `tags` and the words they are of.

        With `probs` also the probability of the tag of each word.
        """
        import pyarrow as pa

        sentences = [as_words(row) for row in rows]
        answers = [unpack(decoded, number, num_words=len(row.words)) for number, row in enumerate(sentences)]
        tags = [[state.labels[label] for label in labels] for labels, _ in answers]
        plain = state.values["scheme"] == PLAIN_TAGS
        marked = [
            (words_in if plain else entities_in)(row, said, sure)
            for row, said, (_, sure) in zip(sentences, tags, answers, strict=True)
        ]
        texts = pa.list_(pa.string())
        found: dict[str, Any] = {
            "words" if plain else "entities": pa.array(marked, marked_type()),
            "tags": pa.array(tags, texts),
        }
        if not plain:
            found["tagged_words"] = pa.array([row.words for row in sentences], texts)
        if probs:
            found["tag_probs"] = pa.array([sure for _, sure in answers], pa.list_(pa.float32()))
        return found

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The text."""
        return [as_words(row).text for row in rows]

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The first of the columns: the entities of each row, or its words with their tags."""
        first: Any = next(iter(self.columns(decoded, rows, state, probs=False).values()))
        return list(first.to_pylist())

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """The tags of each row beside those it has, and the probability of each given one; all as lists."""
        import pyarrow as pa

        targets = tags_of(table, state, roles)
        said = [unpack(decoded, row, num_words=len(tags)) for row, tags in enumerate(targets)]
        ids, groups = table.column(EXAMPLE_ID).cast(pa.string()), groups_of(table, roles)
        lists = pa.list_(pa.string())
        columns = {
            "example_id": ids,
            "group": ids
            if groups is None
            else pa.array([own or name for own, name in zip(groups, ids.to_pylist(), strict=True)]),
            "target": pa.array(targets, lists),
            "prediction": pa.array([[state.labels[label] for label in labels] for labels, _ in said], lists),
            "confidence": pa.array([sure for _, sure in said], pa.list_(pa.float32())),
        }
        return Predictions(table=pa.table(columns), answer_kind=self.answer_kind)


_HOLDS = {
    Kind.TAGS: "tags that say where entities begin and end",
    Kind.SPANS: "spans of characters",
    Kind.LIST: "a tag for each word",
}


def as_words(row: Any) -> Words:
    """A row as `predict` takes it: a text, a list of words, or words already."""
    if isinstance(row, Words):
        return row
    return split_words(row) if isinstance(row, str) else join_words([str(word) for word in row])


def _spans(cell: str) -> Any:
    try:
        return read_spans(cell)
    except ValueError:
        return []


def tags_of(table: "pa.Table", state: TaskState, roles: Mapping[str, str]) -> list[list[str]]:
    """The tags of each row, one for each word, in the form the task answers with; `UNREAD` where a row has none that fit."""
    words = [read_words("" if cell is None else str(cell)) for cell in table.column(roles["text"]).to_pylist()]
    cells = table.column(roles["target"]).to_pylist()
    scheme = state.values["scheme"]
    return [_row_tags(row, None if cell is None else str(cell), scheme) for row, cell in zip(words, cells, strict=True)]


UNREAD = "?"


def _row_tags(words: Words, cell: str | None, scheme: str) -> list[str]:
    if scheme == SPANS:
        try:
            return tags_of_spans(words, read_spans(cell))
        except ValueError:
            return [UNREAD] * len(words.words)
    tags = read_list(cell)
    if tags is None or len(tags) != len(words.words):
        return [UNREAD] * len(words.words)
    return as_iob2(tags, scheme)

"""The answer to a question, as a piece of a context, or none. Columns: a question, a context, and answers.

Answers are a JSON list of `{"text", "start"}` (SQuAD's files are read so), or a plain text, with a column for its start or
without. Where train has questions without an answer, "no answer" is given if it is more probable than the best piece; else
the best piece is always given.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from luthier.core.decision import Decision
from luthier.core.records import to_json
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.schema import Kind, Schema
from luthier.data.spans import Marked, read_answers
from luthier.evaluation.measures.answer_text import ANSWERS
from luthier.evaluation.predictions import with_ids
from luthier.evaluation.records import Predictions
from luthier.tasks.answer_baselines import FIRST_WORDS, NEAREST_WORDS
from luthier.tasks.answers.label import groups_of
from luthier.tasks.protocol import FIT, Baseline, TaskState
from luthier.tasks.readings.text import cells
from luthier.tasks.shown_spans import GIVEN, RIGHT, Piece, marked_text
from luthier.tasks.sought import Found, answer_of, by_label, found_of, refuse_rows
from luthier.tasks.span_task import SpanTask

if TYPE_CHECKING:
    import pyarrow as pa

Asked = tuple[str, str]
_NO_ANSWERS = (Kind.SPANS, Kind.SLOTS, Kind.TAGS, Kind.LIST, Kind.TEXTS, Kind.NUMBER, Kind.DATETIME, Kind.IMAGE, Kind.EMPTY)
ONLY_IF_NAMED = 0.2  # how well it fits a table whose answers look like labels


class Answer:
    """One answer to each question."""

    answer_kind: str = "answer"
    roles: Sequence[str] = ("text", "text_pair", "target")
    optional_roles: Sequence[str] = ("answer_start",)
    measures: Sequence[str] = ("answer_f1", "exact_match")
    example: str = '("Who wrote it?", "It was written by Ada.")'
    best: int = 3
    baselines: Sequence[Baseline] = (FIRST_WORDS, NEAREST_WORDS)

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Answers in JSON, answers with a start, or free text; labels only where the task is asked for by name."""
        target, kind = schema.roles["target"], schema.kind_of(schema.roles["target"])
        if kind in _NO_ANSWERS and "answer_start" not in schema.roles:
            return Decision(name="task", value=False, reason=f"'{target}' holds no answers that could stand in a text ({kind})")
        is_plain = kind is not Kind.ANSWERS and "answer_start" not in schema.roles
        fit = ONLY_IF_NAMED if is_plain and kind is not Kind.TEXT else 1.0
        asked, read = schema.roles["text"], schema.roles["text_pair"]
        reason = f"'{asked}' holds questions, '{read}' what is to be read, and '{target}' answers"
        return Decision(name="task", value=True, reason=reason, evidence={FIT: fit}, override="--task")

    def pairs(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Asked]:
        """Question and context."""
        return list(zip(cells(table, roles["text"]), cells(table, roles["text_pair"]), strict=True))

    def parts(self, rows: Sequence[Asked], state: TaskState) -> tuple[list[str], list[str]]:
        """The contexts are searched; each stands behind its question.

        Raises:
            DataError: a row is no pair.
        """
        refuse_rows(rows, lambda row: not isinstance(row, str) and len(row) == 2, "a question with its context", self.example)
        return [str(context) for _, context in rows], [str(question) for question, _ in rows]

    def marked(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Marked]:
        """Where the answers stand."""
        starts = table.column(roles["answer_start"]).to_pylist() if "answer_start" in roles else [None] * table.num_rows
        told = table.column(roles["target"]).to_pylist()
        contexts = cells(table, roles["text_pair"])
        return [read_answers(*item) for item in zip(told, contexts, starts, strict=True)]

    def labels_of(self, marked: Sequence[Marked]) -> tuple[str, ...]:
        """One thing is looked for, without a name."""
        return ("",)

    def describe(self, state: TaskState) -> str:
        """A piece of the context."""
        return "a piece of the context" + (", or no answer" if state.values["may_be_absent"] else "")

    def columns(
        self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`prediction` (null: no answer), `start`, `end`, `confidence`; with `probs` also `prob_no_answer` and `candidates`."""
        import pyarrow as pa

        found = self._best(decoded, texts, state)
        said = [None if item is None else _words(item, text) for item, text in zip(found, texts, strict=True)]
        columns: dict[str, Any] = {
            "prediction": pa.array(said, pa.string()),
            "start": pa.array([None if item is None else item.span.start for item in found], pa.int64()),
            "end": pa.array([None if item is None else item.span.end for item in found], pa.int64()),
            "confidence": self._confidence(decoded, found),
        }
        if probs:
            columns["prob_no_answer"] = decoded[:, 0].astype(np.float32)
            columns["candidates"] = [
                to_json([_plain(item, text) for item in found_of(row, text, "")])
                for row, text in zip(decoded, texts, strict=True)
            ]
        return columns

    def show(self, rows: Sequence[Asked], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The question and what stands around the right answer ⟦so⟧ and the one given «so»."""
        shown = []
        for (question, context), row in zip(rows, said, strict=True):
            pieces = [] if row is None else _piece(row["target_start"], row["target"], RIGHT)
            pieces += [] if row is None else _piece(row["start"], row["prediction"], GIVEN)
            shown.append(f"{question} ⟷ {marked_text(context, pieces)}")
        return shown

    def answers(self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState) -> list[dict[str, Any]]:
        """Of each row the answer's text, start, end and confidence; the text is None where there is no answer."""
        found: list[Any] = list(self.columns(decoded, texts, state, probs=False).values())
        columns = [column.tolist() for column in found]
        return [dict(zip(("text", "start", "end", "confidence"), values, strict=True)) for values in zip(*columns, strict=True)]

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """The answer beside the first accepted wording (`target`, empty for no answer) and all of them (`answers`)."""
        import pyarrow as pa

        marked = self.marked(table, roles)
        accepted = [list(said.answers) for said in marked]
        texts = cells(table, roles["text_pair"])
        found = self._best(decoded, texts, state)
        said = ["" if item is None else _words(item, text) for item, text in zip(found, texts, strict=True)]
        columns = {
            "target": pa.array([next(iter(wordings), "") for wordings in accepted], pa.string()),
            ANSWERS: pa.array(accepted, pa.list_(pa.string())),
            "prediction": pa.array(said, pa.string()),
            "start": pa.array([None if item is None else item.span.start for item in found], pa.int64()),
            "target_start": pa.array([said.spans[0].start if said.spans else None for said in marked], pa.int64()),
            "confidence": pa.array(self._confidence(decoded, found), pa.float32()),
        }
        table = with_ids(table.column(EXAMPLE_ID).to_pylist(), columns, groups=groups_of(table, roles))
        return Predictions(table=table, answer_kind=self.answer_kind)

    def _best(self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState) -> list[Found | None]:
        may_be_absent = bool(state.values["may_be_absent"])
        kept = by_label(decoded, 1)[:, 0]
        return [answer_of(row, text, "", may_be_absent=may_be_absent) for row, text in zip(kept, texts, strict=True)]

    def _confidence(self, decoded: Float[np.ndarray, "N K"], found: Sequence[Found | None]) -> np.ndarray:
        return np.array(
            [float(row[0]) if item is None else item.prob for row, item in zip(decoded, found, strict=True)], dtype=np.float32
        )


def _piece(start: int | None, words: str, marks: tuple[str, str]) -> list[Piece]:
    return [] if start is None else [Piece(start=start, end=start + len(words), before=marks[0], behind=marks[1])]


def _words(found: Found, text: str) -> str:
    return text[found.span.start : found.span.end]


def _plain(found: Found, text: str) -> dict[str, Any]:
    prob = round(found.prob, 6)
    return {"text": _words(found, text), "start": found.span.start, "end": found.span.end, "confidence": prob}


TASK = SpanTask(name="question-answering", sought=Answer())

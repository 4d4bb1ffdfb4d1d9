"""Named pieces of a text, at most one of each name: slots of a request, fields of a message. Columns: a text and its slots.

Slots are a JSON list of `{"slot", "start", "end"}`; an empty list is a text without any. All labels are looked for in one pass
over the text. A second text may say what was asked for (`--text-pair`); it is read in front. Where a label can stand several
times in a text, this is the wrong task: a token classifier names each of them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from luthier.core.decision import Decision
from luthier.core.records import to_json
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.schema import Kind, Schema
from luthier.data.spans import Marked, Span, read_spans
from luthier.evaluation.measures.spans import pieces_of
from luthier.evaluation.predictions import with_ids
from luthier.evaluation.records import Predictions
from luthier.tasks.answers.label import groups_of, shown_labels
from luthier.tasks.protocol import FIT, Baseline, TaskState
from luthier.tasks.readings.text import cells
from luthier.tasks.shown_spans import GIVEN, RIGHT, Piece, marked_text
from luthier.tasks.slot_baselines import NOTHING, WORD_MODEL
from luthier.tasks.sought import Found, answer_of, by_label, refuse_rows
from luthier.tasks.span_task import SpanTask, labels_in

if TYPE_CHECKING:
    import pyarrow as pa

SECOND_BEST = 0.5


class Slots:
    """One piece of each label, or none."""

    answer_kind: str = "slots"
    roles: Sequence[str] = ("text", "target")
    optional_roles: Sequence[str] = ("text_pair",)
    measures: Sequence[str] = ("span_f1", "span_precision", "span_recall", "span_macro_f1")
    example: str = '"a table for two at 7pm"'
    best: int = 1
    baselines: Sequence[Baseline] = (NOTHING, WORD_MODEL)

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Slots in JSON; spans that are called labels fit too, but token classification fits them better."""
        target, kind = schema.roles["target"], schema.kind_of(schema.roles["target"])
        if kind not in (Kind.SLOTS, Kind.SPANS):
            reason = f"'{target}' holds no lists of slots with start and end"
            return Decision(name="task", value=False, reason=reason)
        reason = f"'{schema.roles['text']}' holds texts and '{target}' named pieces of them"
        evidence = {FIT: 1.0 if kind is Kind.SLOTS else SECOND_BEST}
        return Decision(name="task", value=True, reason=reason, evidence=evidence, override="--task")

    def pairs(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Any]:
        """The texts, each with what is read in front of it if there is a column for that."""
        texts = cells(table, roles["text"])
        return list(zip(texts, cells(table, roles["text_pair"]), strict=True)) if "text_pair" in roles else texts

    def parts(self, rows: Sequence[Any], state: TaskState) -> tuple[list[str], list[str] | None]:
        """The texts; one without a second text stands behind an empty one where the model was trained with two.

        Raises:
            DataError: a row is neither a text nor a pair.
        """
        refuse_rows(
            rows, lambda row: isinstance(row, str) or len(row) == 2, "a text, or one with what was asked for", self.example
        )
        pairs = [(row, "") if isinstance(row, str) else (str(row[0]), str(row[1])) for row in rows]
        return [text for text, _ in pairs], [asked for _, asked in pairs] if state.values["reads_pair"] else None

    def marked(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Marked]:
        """Where the pieces stand."""
        told = table.column(roles["target"]).to_pylist()
        return [read_spans(*item) for item in zip(told, cells(table, roles["text"]), strict=True)]

    def labels_of(self, marked: Sequence[Marked]) -> tuple[str, ...]:
        """Those of train, sorted."""
        return tuple(sorted({span.label for said in marked for span in said.spans}))

    def describe(self, state: TaskState) -> str:
        """The labels, the first of many."""
        return f"where each of {len(state.labels)} labels stands in the text, if it does: {shown_labels(state.labels)}"

    def columns(
        self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`prediction` as JSON and a column with the words of each label; with `probs` how probable each piece, or none, is."""
        import pyarrow as pa

        found = self._best(decoded, texts, state)
        columns: dict[str, Any] = {"prediction": [self._cell(items, text) for items, text in zip(found, texts, strict=True)]}
        for place, label in enumerate(state.labels):
            columns[label] = pa.array(
                [_words(items[place], text) for items, text in zip(found, texts, strict=True)], pa.string()
            )
        if probs:
            nowhere = by_label(decoded, len(labels_in(state)))[:, :, 0]
            for place, label in enumerate(state.labels):
                columns[f"prob_{label}"] = [
                    float(nowhere[row, place]) if item is None else item.prob
                    for row, item in enumerate(items[place] for items in found)
                ]
        return columns

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The text with the right pieces ⟦so⟧ and those given «so», each with its name."""
        texts = [row if isinstance(row, str) else str(row[0]) for row in rows]
        asked = ["" if isinstance(row, str) else f"{row[1]} ⟷ " for row in rows]
        shown = []
        for text, row in zip(texts, said, strict=True):
            pieces = [] if row is None else [*_pieces(row["target"], RIGHT), *_pieces(row["prediction"], GIVEN)]
            shown.append(marked_text(text, pieces))
        return [first + text for first, text in zip(asked, shown, strict=True)]

    def answers(self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState) -> list[dict[str, Any]]:
        """Of each text a dictionary of the labels found: text, start, end and confidence."""
        return [
            {
                item.span.label: {
                    "text": _words(item, text),
                    "start": item.span.start,
                    "end": item.span.end,
                    "confidence": item.prob,
                }
                for item in items
                if item is not None
            }
            for items, text in zip(self._best(decoded, texts, state), texts, strict=True)
        ]

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """Pieces found beside those to be found, both as JSON in the order of the text."""
        import pyarrow as pa

        texts = cells(table, roles["text"])
        found = self._best(decoded, texts, state)
        marked = self.marked(table, roles)
        columns = {
            "target": pa.array([span_cell(said.spans, text) for said, text in zip(marked, texts, strict=True)], pa.string()),
            "prediction": pa.array([self._cell(items, text) for items, text in zip(found, texts, strict=True)], pa.string()),
        }
        table = with_ids(table.column(EXAMPLE_ID).to_pylist(), columns, groups=groups_of(table, roles))
        return Predictions(table=table, labels=state.labels, answer_kind=self.answer_kind)

    def _best(self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState) -> list[list[Found | None]]:
        """Of each text one entry for each label."""
        labels = labels_in(state)
        kept = by_label(decoded, len(labels))
        return [
            [answer_of(row[place], text, label, may_be_absent=True) for place, label in enumerate(labels)]
            for row, text in zip(kept, texts, strict=True)
        ]

    def _cell(self, items: Sequence[Found | None], text: str) -> str:
        return span_cell([item.span for item in items if item is not None], text)


def span_cell(spans: Sequence[Span], text: str) -> str:
    """Spans as a cell says them, in the order of the text.

    Example:
        >>> span_cell([Span(start=4, end=9, label="date")], "for today")
        '[{"slot": "date", "start": 4, "end": 9, "text": "today"}]'
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.end, span.label))
    return to_json(
        [{"slot": span.label, "start": span.start, "end": span.end, "text": text[span.start : span.end]} for span in ordered]
    )


def _pieces(cell: str, marks: tuple[str, str]) -> list[Piece]:
    return [
        Piece(start=start, end=end, before=f"{marks[0]}{label}: ", behind=marks[1])
        for label, start, end in sorted(pieces_of(cell))
    ]


def _words(found: Found | None, text: str) -> str | None:
    return None if found is None else text[found.span.start : found.span.end]


TASK = SpanTask(name="span-extraction", sought=Slots())

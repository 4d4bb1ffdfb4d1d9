"""What is looked for in a text: the answer to a question, or labelled pieces. They share everything else (`span_task`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.data.spans import Marked, Span
from luthier.errors import DataError
from luthier.evaluation.records import Predictions
from luthier.tasks.inputs import EMPTY
from luthier.tasks.protocol import Baseline, TaskState

if TYPE_CHECKING:
    import pyarrow as pa

ONE = ("",)  # the label of the only thing looked for


@dataclass(frozen=True, kw_only=True)
class Found:
    """One piece that a model names.

    Attributes:
        span: Where it stands, without white space around it.
        prob: Of its start times that of its end.
    """

    span: Span
    prob: float


class Sought(Protocol):
    """One kind of thing looked for. Members that `Task` has too mean the same here.

    Attributes:
        best: How many pieces of each label are kept of a text.
    """

    answer_kind: str
    roles: Sequence[str]
    optional_roles: Sequence[str]
    measures: Sequence[str]
    example: str
    best: int
    baselines: Sequence[Baseline]

    def accepts(self, schema: Schema) -> Decision[bool]:
        """Whether the target column holds such answers, and why."""

    def pairs(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Any]:
        """The raw input of each row."""

    def parts(self, rows: Sequence[Any], state: TaskState) -> tuple[list[str], list[str] | None]:
        """The texts that are searched, and what is read in front of each; None for nothing."""

    def marked(self, table: "pa.Table", roles: Mapping[str, str]) -> list[Marked]:
        """What the target column says of each row."""

    def labels_of(self, marked: Sequence[Marked]) -> tuple[str, ...]:
        """Of the pieces to look for."""

    def describe(self, state: TaskState) -> str:
        """As of `Task`."""

    def columns(
        self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """As of `Task`."""

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """As of `Task`."""

    def answers(self, decoded: Float[np.ndarray, "N K"], texts: Sequence[str], state: TaskState) -> list[Any]:
        """What `Model.predict` gives."""

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """As of `Task`."""


def refuse_rows(rows: Sequence[Any], fits: Callable[[Any], bool], wanted: str, example: str) -> None:
    """Raise DataError for rows, as they come from Python, of another form; names the first."""
    for number, row in enumerate(rows):
        if not fits(row):
            shown = f"{row!r:.60}"
            raise DataError(f"Row {number} is {shown}; each row is {wanted}.", remedy=f"model.predict([{example}])")


def found_of(kept: Float[np.ndarray, " k"], text: str, label: str) -> list[Found]:
    """The pieces kept of one label of one text, the most probable first."""
    found = []
    for prob, start, end in kept[1:].reshape(-1, 3).tolist():
        if prob == EMPTY:
            break
        piece = text[int(start) : int(end)]
        left = int(start) + len(piece) - len(piece.lstrip())
        found.append(Found(span=Span(start=left, end=left + len(piece.strip()), label=label), prob=prob))
    return found


def answer_of(kept: Float[np.ndarray, " k"], text: str, label: str, *, may_be_absent: bool) -> Found | None:
    """The most probable piece; None where "nowhere" is more probable, or there is no piece."""
    found = found_of(kept, text, label)
    if not found or (may_be_absent and kept[0] > found[0].prob):
        return None
    return found[0]


def by_label(decoded: Float[np.ndarray, "N K"], num_labels: int) -> Float[np.ndarray, "N S k"]:
    """What was decoded, label by label."""
    return decoded.reshape(len(decoded), num_labels, -1)


def pieces_as_decoded(pieces: Sequence[Sequence[Span | None]], *, best: int) -> Float[np.ndarray, "N K"]:
    """Certain answers in the form of what is decoded: for baselines. One piece of each label for each row, or None.

    Example:
        >>> pieces_as_decoded([[Span(start=2, end=5)], [None]], best=1).tolist()
        [[0.0, 1.0, 2.0, 5.0], [1.0, -1.0, -1.0, -1.0]]
    """
    num_labels = len(pieces[0]) if pieces else 1
    decoded = np.full((len(pieces), num_labels, 1 + 3 * best), EMPTY, dtype=np.float32)
    for row, spans in enumerate(pieces):
        for place, span in enumerate(spans):
            decoded[row, place, 0] = float(span is None)
            if span is not None:
                decoded[row, place, 1:4] = 1.0, span.start, span.end
    return decoded.reshape(len(pieces), -1)

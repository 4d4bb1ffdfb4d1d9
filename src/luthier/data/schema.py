"""What the columns of a table are: their kinds, and the roles they play. Nothing here looks at a task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

FEATURES = "features"  # the role that several columns play together


class Kind(StrEnum):
    """What a column holds, judged from its values.

    Six are JSON: lists of words or labels, lists of texts, lists of tags that mark entities (`B-LOC`), lists of spans of
    characters, conversations (lists of messages), boxes on pictures, and objects that say how relevant documents are
    (`{"17": 2}`).
    """

    TEXT = "text"
    CATEGORY = "category"
    LIST = "list of labels"
    TEXTS = "list of texts"
    NUMBER = "number"
    IDENTIFIER = "identifier"
    DATETIME = "datetime"
    IMAGE = "image"
    AUDIO = "audio"
    ANSWERS = "answers"
    SLOTS = "slots"
    TAGS = "tags"
    SPANS = "spans"
    MESSAGES = "messages"
    RELEVANCE = "relevant documents"
    BOXES = "boxes"
    CONSTANT = "constant"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column as it was found.

    Attributes:
        name: Its header.
        kind: What it holds.
        missing: Rows in which it is null or only white space.
        distinct: Number of distinct values (an estimate above 100,000).
        mean_words: Mean number of words of its non-missing values.
        examples: A few of its values, shortened.
    """

    name: str
    kind: Kind
    missing: int
    distinct: int
    mean_words: float
    examples: tuple[str, ...] = field(default=())

    @property
    def has_number_examples(self) -> bool:
        """Whether every example is a finite number: categories and identifiers may be numbers too.

        Example:
            >>> facts = {"missing": 0, "distinct": 5, "mean_words": 1}
            >>> Column(name="stars", kind=Kind.CATEGORY, examples=("4", "5"), **facts).has_number_examples
            True
        """
        return bool(self.examples) and all(_is_number(value) for value in self.examples)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of a table and the roles they play.

    Attributes:
        columns: In the table's order, without `example_id`.
        roles: Role name -> column name. Roles: text, text_pair, negative, target, image, audio, group, time, id.
        num_rows: Rows of the table.
        answer_kind: What the target holds, as the task reads it (`Task.answer_kind`); empty until a task is chosen: then it is
            judged from the column.
        features: Columns that a model of tables reads; none where the rows are read in another way.
    """

    columns: tuple[Column, ...]
    roles: Mapping[str, str]
    num_rows: int
    answer_kind: str = ""
    features: tuple[str, ...] = field(default=())
    schema_version: int = 1

    def has(self, role: str) -> bool:
        """Whether some column plays a role; `features` are several columns."""
        return bool(self.features) if role == FEATURES else role in self.roles

    def kind_of(self, name: str) -> Kind:
        """The kind of a column."""
        return next(column.kind for column in self.columns if column.name == name)

    def with_kind(self, name: str, kind: Kind) -> "Schema":
        """The same with another kind of one column."""
        columns = tuple(replace(column, kind=kind) if column.name == name else column for column in self.columns)
        return replace(self, columns=columns)

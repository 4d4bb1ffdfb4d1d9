"""The records of loading: what a source is once it is read, and what readers of single files hand over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Rows
from luthier.data.findings import Finding
from luthier.data.mixture import Mixture
from luthier.data.settings import DataSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from luthier.data.load.faults import FaultLog

ROW_FAULT = "row_fault"
RESERVED = (EXAMPLE_ID, ROW_FAULT)

SourceKind = Literal["table", "image-folder", "audio-folder", "retrieval-folder", "voc"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source as it was read: nothing inferred, nothing checked, nothing split.

    Attributes:
        name: Short name, for titles and run folders (`tickets`).
        kind: `table`; `image-folder` or `audio-folder` (one sub-folder per class; columns `image` or `audio`, and `label`);
            `retrieval-folder` (queries, documents, and which belong together); or `voc` (columns `image` and `boxes`).
        table: The first column is `example_id`: the file's path below `root`, a colon and a number. The number is the
            physical line on which the row starts in CSV, TSV and JSONL files (the first line of the file is 1, and the header
            counts), and the row in Parquet files (the first is 1). For files it is the path below `root`, without a
            number. So ids name no folder of this machine. Paths of pictures and recordings in other columns are absolute.
        parts: Row numbers: `{"all": ...}`, or train and test, or train, validation and test.
        findings: What is wrong with the files, or remarkable.
        decisions: What was chosen while reading: which file is which part, the delimiter, what was ignored.
        files: The files read, in reading order.
        root: The folder that ids are relative to.
        roles: Role -> column, where the format itself says what its columns are.
        corpus: Rows that belong to no part: documents, among which answers are found.
        mixture: Where several sources are mixed: which, and their weights.
    """

    name: str
    kind: SourceKind
    table: "pa.Table"
    parts: Mapping[str, Rows]
    findings: tuple[Finding, ...] = ()
    decisions: tuple[Decision[Any], ...] = ()
    files: tuple[str, ...] = ()
    root: Path = field(default_factory=Path)
    roles: Mapping[str, str] = field(default_factory=dict)
    corpus: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    mixture: Mixture | None = None
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some consecutive rows of one file.

    Attributes:
        table: The file's own columns.
        numbers: For each row, the number its `example_id` ends with.
        faults: Row of this piece -> what is wrong with it, for bad rows that were kept.
    """

    table: "pa.Table"
    numbers: Int[np.ndarray, " rows"]
    faults: Mapping[int, str] = field(default_factory=dict)


class Reader(Protocol):
    """Reads one kind of table file, piece by piece, in the file's order."""

    def __call__(self, path: Path, settings: DataSettings, *, log: "FaultLog") -> Iterator[Piece]:
        """Yield the rows; what is wrong goes to `log`. Only `LuthierError` leaves."""


def unique_names(names: Sequence[str], taken: Sequence[str] = RESERVED) -> list[str]:
    """Column names that are neither empty nor repeated nor reserved.

    Example:
        >>> unique_names(["text", "", "text", "example_id"])
        ['text', 'column_2', 'text_2', 'example_id_2']
    """
    seen = set(taken)
    result = []
    for number, given in enumerate(names, 1):
        base = given or f"column_{number}"
        name, repeat = base, 2
        while name in seen or (name != given and name in names):
            name, repeat = f"{base}_{repeat}", repeat + 1
        seen.add(name)
        result.append(name)
    return result

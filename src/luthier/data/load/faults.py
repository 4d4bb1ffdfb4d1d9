"""What can be wrong with the rows of a file, and how it is told: one finding for each kind of fault in each file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.data.dataset import Rows
from luthier.data.findings import Finding
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError

SHOWN_LINES = 5
KEPT_LINES = 1_000

BadRows = Literal["drop", "keep", "error"]


@dataclass(frozen=True, kw_only=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        one: The rest of the sentence that begins with "1 row".
        many: The rest of the sentence that begins with "3 rows".
        kept_as: What becomes of the row when bad rows are kept.
        harmless: The row is right without losing anything; it stays whatever the policy.
    """

    one: str
    many: str
    kept_as: str = ""
    harmless: bool = False


FAULTS: Mapping[str, FaultKind] = {
    "unclosed_quote": FaultKind(
        one="opens a quote that is never closed",
        many="open a quote that is never closed",
        kept_as="the quote is taken for text",
    ),
    "nul_byte": FaultKind(one="holds NUL bytes", many="hold NUL bytes", kept_as="they became U+FFFD"),
    "bad_utf8": FaultKind(one="is not UTF-8", many="are not UTF-8", kept_as="what cannot be read became U+FFFD"),
    "ragged_row": FaultKind(
        one="has more or fewer cells than the header",
        many="have more or fewer cells than the header",
        kept_as="filled up or cut off",
    ),
    "ragged_line": FaultKind(
        one="has a line with more or fewer columns than the rest of the file",
        many="have a line with more or fewer columns than the rest of the file",
        kept_as="its first column is the word, and its last, if there are two, the tag; else O",
    ),
    "bad_json": FaultKind(one="is not a JSON object", many="are not JSON objects", kept_as="all cells are empty"),
    "bad_entry": FaultKind(
        one="lacks a part, or has one of the wrong kind",
        many="lack a part, or have one of the wrong kind",
        kept_as="what is missing is empty",
    ),
    "blank_line": FaultKind(one="is blank and was skipped", many="are blank and were skipped", harmless=True),
    "stray_mark": FaultKind(
        one="began with a byte-order mark, which was removed (were files joined?)",
        many="began with byte-order marks, which were removed (were files joined?)",
        harmless=True,
    ),
    "mixed_line_ends": FaultKind(
        one="ends differently from the rest of the file (LF, CRLF or CR)",
        many="end differently from the rest of the file (LF, CRLF or CR)",
        harmless=True,
    ),
    "huge_row": FaultKind(one="is longer than 1,000,000 bytes", many="are longer than 1,000,000 bytes", harmless=True),
}


class FaultLog:
    """Collects what is wrong with one file while it is read.

    Args:
        file: The file's name as the user knows it.

    Attributes:
        unit: What the numbers of `example_id` count in this file.
        roles: Role -> column, if the file's format says it.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.unit = "line"
        self.roles: dict[str, str] = {}
        self.num_rows = 0
        self.findings: list[Finding] = []
        self.decisions: list[Decision[Any]] = []
        self._counts: dict[str, int] = {}
        self._numbers: dict[str, list[int]] = {}

    def add(self, fault: str, numbers: Sequence[int], *, count: int | None = None) -> None:
        """Note rows, or lines, with a fault.

        Args:
            fault: A key of `FAULTS`.
            numbers: Those of `example_id`; the first thousand are kept.
            count: How many rows it is about, if more than are given.
        """
        new = list(numbers)
        if not new:
            return
        self._counts[fault] = self._counts.get(fault, 0) + (len(new) if count is None else count)
        known = self._numbers.setdefault(fault, [])
        known.extend(new[: KEPT_LINES - len(known)])

    def count(self, fault: str) -> int:
        """How many rows have this fault."""
        return self._counts.get(fault, 0)

    @property
    def num_bad(self) -> int:
        """Rows that cannot be used as they are."""
        return sum(number for fault, number in self._counts.items() if not FAULTS[fault].harmless)

    def finish(self, settings: DataSettings, kept: Mapping[str, list[int]] | None = None) -> list[Finding]:
        """The findings of this file, now that it is read.

        Args:
            settings: `bad_rows` decides what is said, and whether a `DataError` is raised.
            kept: For each fault, the rows of the data set's table that have it.

        Raises:
            DataError: there are bad rows and the policy is to stop; or more than half of the rows would be dropped.
        """
        if settings.bad_rows == "error" and self.num_bad:
            raise self._refused()
        if settings.bad_rows == "drop" and self.num_bad * 2 > self.num_rows:
            raise self._hopeless()
        rows = kept or {}
        return self.findings + [self._finding(fault, settings.bad_rows, rows=rows.get(fault, [])) for fault in self._counts]

    def where(self, fault: str) -> str:
        """The first lines with this fault, for a sentence."""
        numbers = self._numbers[fault]
        shown = ", ".join(str(number) for number in numbers[:SHOWN_LINES])
        return f"{self.unit}{'s' if len(numbers) > 1 else ''} {shown}{', …' if self._counts[fault] > SHOWN_LINES else ''}"

    def _sentence(self, fault: str) -> str:
        noun = "line" if fault == "blank_line" else "row"
        number = self._counts[fault]
        does = FAULTS[fault].one if number == 1 else FAULTS[fault].many
        return f"{count_of(number, noun)} of {self.file} {does}: {self.where(fault)}"

    def _finding(self, fault: str, policy: BadRows, *, rows: list[int]) -> Finding:
        kind = FAULTS[fault]
        outcome = "" if kind.harmless else f". Kept: {kind.kept_as}" if policy == "keep" else ". Dropped"
        array: Rows = np.array(rows, dtype=np.int64)
        return Finding(
            check=fault,
            severity="info" if kind.harmless else "warning",
            problem=self._sentence(fault) + outcome + ".",
            remedy=self._remedy(fault, policy),
            count=self._counts[fault],
            rows=array,
            evidence={"file": self.file, "lines": list(self._numbers[fault])},
        )

    def _remedy(self, fault: str, policy: BadRows) -> str:
        if FAULTS[fault].harmless:
            return "nothing needs to be done"
        other = "--bad-rows keep" if policy == "drop" else "--bad-rows drop"
        if fault == "bad_utf8":
            return f"iconv -f WINDOWS-1252 -t UTF-8 {self.file} (if it was saved by an older program), or {other}"
        return f"correct these lines, or {other}"

    def _refused(self) -> LuthierError:
        faults = [self._sentence(fault) for fault in self._counts if not FAULTS[fault].harmless]
        return DataError("; ".join(faults) + ".", remedy="correct these lines, or --bad-rows drop, or --bad-rows keep")

    def _hopeless(self) -> LuthierError:
        faults = [self._sentence(fault) for fault in self._counts if not FAULTS[fault].harmless]
        remedy = "look at these lines; name the right --delimiter, or use --bad-rows keep"
        if self.count("bad_utf8") * 2 > self.num_bad:
            remedy = f"iconv -f WINDOWS-1252 -t UTF-8 {self.file} > utf8.csv, or --bad-rows keep"
        return DataError(
            f"{self.num_bad:,} of {self.num_rows:,} rows of {self.file} cannot be used, so it is probably misread: "
            + "; ".join(faults)
            + ".",
            remedy=remedy,
        )

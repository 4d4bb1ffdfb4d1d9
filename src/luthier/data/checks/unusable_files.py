"""What the checks of pictures and recordings say of files: which are left out, and what to do about the others."""

from collections.abc import Mapping
from dataclasses import dataclass

from luthier.core.names import count_of
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.wording import name_rows, share_of


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What can be found out about a file.

    Attributes:
        words: After "3 of 90 pictures are".
        is_unusable: Whether its row is left out of train and validation, and cannot be scored in test.
        is_scored: Whether it is scored in test all the same.
    """

    words: str
    is_unusable: bool
    is_scored: bool = False


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """One check of files.

    Attributes:
        name: Of the check.
        noun: What a file is.
        flag: Names the column with the paths.
        look: What to do with files that stay.
        states: By name, the worst first.
    """

    name: str
    noun: str
    flag: str
    look: str
    states: Mapping[str, FileState]

    def finding(self, dataset: Dataset, part: str, *, state: str, rows: Rows, cell: str | None = None) -> Finding:
        """What is said of the files of a part that are in one state: an error where that is all of them.

        Args:
            cell: The column, where it is one of several that a model reads: then the row stays, without its file.
        """
        found, whole = self.states[state], len(dataset.parts[part])
        named = name_rows(dataset, rows)
        if found.is_unusable and len(rows) == whole:
            return Finding(
                check=self.name,
                severity="error",
                problem=f"All {count_of(whole, self.noun)} of {dataset.name} ({part}) are {found.words}. {named}",
                remedy=f"check the paths in the column named by {self.flag}; they are read from the folder of the table",
                count=whole,
                rows=rows,
                part=part,
            )
        if cell is not None:
            return self._in_cells(dataset, part, state=state, rows=rows, cell=cell)
        is_dropped = found.is_unusable and part != "test"
        is_lost = found.is_unusable and part == "test" and not found.is_scored
        remedy = "nothing to do: they are left out" if is_dropped else self.look
        if is_lost:
            remedy = "replace these files, or remove them from the test part; they cannot be scored"
        noun = f"{self.noun}s" if part == "all" else f"{part} {self.noun}s"
        verb = "is" if len(rows) == 1 else "are"
        return Finding(
            check=self.name,
            severity="warning" if found.is_unusable else "info",
            problem=f"{share_of(len(rows), whole, noun=noun)} {verb} {found.words}. {named}",
            remedy=remedy,
            count=len(rows),
            rows=rows,
            part=part,
            action=Action(kind="drop_rows", rows=rows) if is_dropped else None,
            by_default=is_dropped,
            evidence={"state": state} | ({"excluded_from_scoring": True} if is_lost else {}),
        )

    def _in_cells(self, dataset: Dataset, part: str, *, state: str, rows: Rows, cell: str) -> Finding:
        """Files of one column among others: what is said of them, and that such cells count as missing."""
        found, whole = self.states[state], len(dataset.parts[part])
        is_lost = found.is_unusable and not found.is_scored
        noun = f"{self.noun}s" if part == "all" else f"{part} {self.noun}s"
        consequence = "; such cells count as missing" if is_lost else ""
        return Finding(
            check=self.name,
            severity="warning" if found.is_unusable else "info",
            problem=f"{share_of(len(rows), whole, noun=noun)} of column '{cell}' {'is' if len(rows) == 1 else 'are'} "
            f"{found.words}{consequence}. {name_rows(dataset, rows)}",
            remedy="replace these files, or leave the cells empty" if is_lost else self.look,
            count=len(rows),
            rows=rows,
            part=part,
            evidence={"state": state, "column": cell},
        )

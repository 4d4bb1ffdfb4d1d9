"""What can be wrong with boxes: each kind of fault is one finding for each part, with its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.core.names import count_of
from luthier.data.boxes import Boxes, faults_of_boxes, read_boxes
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.pictures import picture_size
from luthier.data.wording import name_rows, share_of

NAME = "boxes"
SIZE_COLUMNS = ("width", "height")
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class BoxFault:
    """What is said of pictures with one kind of fault.

    Attributes:
        words: After "2 of 90 pictures have".
        outcome: What becomes of the boxes.
        remedy: What to do.
        is_harmless: Whether the boxes stay.
    """

    words: str
    outcome: str
    remedy: str
    is_harmless: bool = False


LEFT_OUT = "these boxes are left out"
FAULTS: Mapping[str, BoxFault] = {
    "no_area": BoxFault(
        words="boxes without width or height", outcome=LEFT_OUT, remedy="draw these boxes again, or take them out"
    ),
    "outside": BoxFault(
        words="boxes that lie outside of the picture",
        outcome=LEFT_OUT,
        remedy="look whether the boxes are in pixels of this picture, from its upper left corner",
    ),
    "no_label": BoxFault(
        words="boxes without a label, or of a category that is not listed",
        outcome=LEFT_OUT,
        remedy="give these boxes a label, or add the category to the list",
    ),
    "repeated": BoxFault(words="a box twice", outcome="it counts once", remedy="take the second one out"),
    "over_border": BoxFault(
        words="boxes that reach over the border",
        outcome="they are cut there",
        remedy="nothing to do, if things really go on beyond the picture",
        is_harmless=True,
    ),
}


def check_boxes(dataset: Dataset) -> list[Finding]:
    """Cells that cannot be read, boxes with faults, sizes that are not the file's, and labels that train does not have."""
    read = _read(dataset)
    sizes = [picture_size(path or "") for path in dataset.column("image").to_pylist()]
    findings: list[Finding] = []
    for part, rows in dataset.parts.items():
        findings += _unreadable(dataset, part, np.array([row for row in rows if isinstance(read[row], str)], dtype=np.int64))
        boxes = {int(row): found for row in rows if isinstance(found := read[row], Boxes)}
        faults = {row: faults_of_boxes(found, sizes[row]) for row, found in boxes.items()}
        for fault in FAULTS:
            faulty = np.array([row for row in boxes if faults[row][fault].any()], dtype=np.int64)
            if len(faulty):
                count = sum(int(faults[row][fault].sum()) for row in faulty.tolist())
                findings.append(_finding(dataset, part, fault, rows=faulty, count=count))
        findings += _other_sizes(dataset, part, rows, sizes)
    return [*findings, *_labels(dataset, read)]


def _read(dataset: Dataset) -> list[Boxes | str]:
    """The boxes of each row, or why they cannot be read."""
    found: list[Boxes | str] = []
    for cell in dataset.column("target").to_pylist():
        try:
            found.append(read_boxes(cell))
        except ValueError as error:
            found.append(str(error))
    return found


def _said(dataset: Dataset, part: str, rows: Rows) -> str:
    """`2 of 90 train pictures (2.2 %) have`."""
    share = share_of(len(rows), len(dataset.parts[part]), noun="pictures" if part == "all" else f"{part} pictures")
    return f"{share} {'has' if len(rows) == 1 else 'have'}"


def _finding(dataset: Dataset, part: str, fault: str, *, rows: Rows, count: int) -> Finding:
    kind = FAULTS[fault]
    said = _said(dataset, part, rows)
    return Finding(
        check=NAME,
        severity="info" if kind.is_harmless else "warning",
        problem=f"{said} {kind.words} ({count_of(count, 'box', 'boxes')}); {kind.outcome}. {name_rows(dataset, rows)}",
        remedy=kind.remedy,
        count=len(rows),
        rows=rows,
        part=part,
        evidence={"fault": fault, "boxes": count},
    )


def _unreadable(dataset: Dataset, part: str, rows: Rows) -> list[Finding]:
    if not len(rows):
        return []
    held, cells = part == "test", dataset.column("target")
    outcome = "they are not scored" if held else "they are left out"
    example = " ".join(str(cells[int(rows[0])].as_py()).split())[:60]
    said = _said(dataset, part, rows)
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{said} boxes that cannot be read, the first '{example}'; {outcome}. {name_rows(dataset, rows)}",
            remedy='write [{"label": "cat", "x": 4, "y": 8, "width": 20, "height": 10}], and [] for a picture without boxes',
            count=len(rows),
            rows=rows,
            part=part,
            action=None if held else Action(kind="drop_rows", rows=rows),
            by_default=not held,
            evidence={"fault": "bad_cell", **({"excluded_from_scoring": True} if held else {})},
        )
    ]


def _other_sizes(dataset: Dataset, part: str, rows: Rows, sizes: Sequence[tuple[int, int] | None]) -> list[Finding]:
    """Pictures whose file has another size than the annotation says: its boxes may belong to another version of them."""
    names = [name for name in SIZE_COLUMNS if name in dataset.table.column_names]
    if len(names) < len(SIZE_COLUMNS):
        return []
    said = list(zip(*(dataset.table.column(name).to_pylist() for name in names), strict=True))
    other = np.array([row for row in rows if (size := sizes[row]) and _differs(said[row], size)], dtype=np.int64)
    if not len(other):
        return []
    first = int(other[0])
    width, height = sizes[first] or (0, 0)
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{_said(dataset, part, other)} another size than the annotation says, the "
            f"first {width} x {height} instead of {said[first][0]} x {said[first][1]}; their boxes are read as pixels of the "
            f"file. {name_rows(dataset, other)}",
            remedy="look at some of them: boxes of another version of a picture are wrong by its scale",
            count=len(other),
            rows=other,
            part=part,
            evidence={"fault": "other_size"},
        )
    ]


def _differs(said: tuple[object, object], size: tuple[int, int]) -> bool:
    try:
        return [float(str(value)) for value in said] != list(size)
    except ValueError:
        return False  # the annotation does not say


def _labels(dataset: Dataset, read: Sequence[Boxes | str]) -> list[Finding]:
    """Nothing to learn, or labels in other parts that train does not have."""
    seen = {part: _counted(read, rows) for part, rows in dataset.parts.items()}
    learnt = seen.get("train", seen.get("all", set()))
    if not learnt:
        return [
            Finding(
                check=NAME,
                severity="error",
                problem=f"No picture of {dataset.name} has a box to learn from in '{dataset.schema.roles['target']}'.",
                remedy="name another column with --target",
            )
        ]
    findings = []
    for part, labels in seen.items():
        if unknown := sorted(labels - learnt):
            rows = np.array([row for row in dataset.parts[part] if _counted(read, [row]) - learnt], dtype=np.int64)
            shown = ", ".join(f"'{label}'" for label in unknown[:SHOWN]) + (", …" if len(unknown) > SHOWN else "")
            findings.append(
                Finding(
                    check=NAME,
                    severity="warning",
                    problem=f"{_said(dataset, part, rows)} boxes with labels "
                    f"that train does not know ({shown}); no model can find them. {name_rows(dataset, rows)}",
                    remedy="write labels alike in all parts, or add such pictures to train",
                    count=len(rows),
                    rows=rows,
                    part=part,
                    evidence={"fault": "unknown_label", "labels": unknown},
                )
            )
    return findings


def _counted(read: Sequence[Boxes | str], rows: Rows | Sequence[int]) -> set[str]:
    """The labels of boxes to be found."""
    return {
        label
        for row in rows
        if isinstance(boxes := read[row], Boxes)
        for label, counted in zip(boxes.labels, boxes.counted.tolist(), strict=True)
        if counted and label
    }

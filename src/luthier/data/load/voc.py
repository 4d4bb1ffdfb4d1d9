"""Pascal VOC: one XML file of boxes for each picture, and lists of names that say which part each picture is of.

    FOLDER/Annotations/NAME.xml    FOLDER/JPEGImages/NAME.jpg    FOLDER/ImageSets/Main/{train,val,trainval,test}.txt

Columns: `image`, `boxes` (as `data/boxes.py` writes them), and `width` and `height` as the annotation gives them. Corners are
taken as they stand: a box is as wide as `xmax - xmin`.

XML is read by the parser of the standard library, of files of at most a megabyte, and without document types: so it has no
entities, and asks for no other file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from luthier.core.decision import Decision
from luthier.data.boxes import boxes_of, write_boxes
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.findings import Finding
from luthier.data.load.faults import FaultLog
from luthier.data.load.files import IMAGE_SUFFIXES
from luthier.data.load.layout import Layout
from luthier.data.load.source import Source
from luthier.data.load.tables import name_below, rows_of_parts
from luthier.data.settings import DataSettings
from luthier.errors import DataError

ANNOTATIONS, PICTURES, LISTS = "Annotations", "JPEGImages", "ImageSets/Main"
MAX_BYTES = 1 << 20
MAX_DEPTH = 20
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(kw_only=True)
class Element:
    """One element of an XML document."""

    name: str
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def first(self, name: str) -> "Element":
        """The first child of a name; an empty one if there is none."""
        return next((child for child in self.children if child.name == name), Element(name=name))


def parse_xml(content: bytes) -> Element:
    """The elements of a document.

    Raises:
        ValueError: it is no sound XML, has a document type, or is nested too deeply.

    Example:
        >>> parse_xml(b"<size><width>640</width></size>").first("width").text
        '640'
    """
    stack = [Element(name="")]

    def refuse(*details: Any) -> None:
        raise ValueError("it declares a document type, which annotations have no use for")

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        element = Element(name=name)
        stack[-1].children.append(element)
        stack.append(element)

    def add(text: str) -> None:
        stack[-1].text += text

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = add
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no sound XML ({error})") from error
    return stack[0].children[0]


def load_voc(layout: Layout, settings: DataSettings) -> Source:
    """Read the annotations of a layout; `example_id` is the path of the annotation below the source's folder.

    Raises:
        DataError: a list names nothing, or most annotations cannot be read.
    """
    import pyarrow as pa

    log = FaultLog(f"{layout.name}/{ANNOTATIONS}")
    log.unit = "annotation"
    rows: list[dict[str, str | None]] = []
    sizes = []
    absent: list[str] = []
    for part, lists in layout.parts.items():
        before = len(rows)
        for name in _names(layout.root, lists):
            path = layout.root / ANNOTATIONS / f"{name}.xml"
            log.num_rows += 1
            if not path.is_file():
                absent.append(name)
                continue
            row = _read(path, layout.root, log)
            if row is not None:
                rows.append(row)
        sizes.append((part, len(rows) - before))
    if not rows:
        raise DataError(
            f"{layout.root} has no annotation that can be used.",
            remedy=f"{layout.root}/{ANNOTATIONS}/NAME.xml for each picture",
        )
    columns = [EXAMPLE_ID, "image", "boxes", "width", "height"]
    return Source(
        name=layout.name,
        kind="voc",
        table=pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in columns}),
        parts=rows_of_parts(sizes),
        findings=(*log.finish(settings), *_absent(absent, log.num_rows)),
        decisions=(*layout.decisions, _corners()),
        files=tuple(str(path) for lists in layout.parts.values() for path in lists),
        root=layout.root,
        roles={"image": "image", "target": "boxes"},
    )


def _corners() -> Decision[str]:
    return Decision(
        name="box_corners",
        value="xmax - xmin",
        reason="corners are taken as they stand; files that count pixels from 1 are off by one pixel at most",
    )


def _names(root: Path, lists: Sequence[Path]) -> Iterator[str]:
    """The pictures of a part: of its lists, or, where there are none, of all annotations."""
    for path in lists:
        if path.is_dir():
            yield from sorted(file.stem for file in path.glob("*.xml") if not file.name.startswith("."))
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if words := line.split():  # lists of one class have a second column
                yield Path(words[0]).name


def _read(path: Path, root: Path, log: FaultLog) -> dict[str, str | None] | None:
    """The row of an annotation; None, and a line in the log, for one that cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is larger than a megabyte")
        document = parse_xml(path.read_bytes())
        boxes = boxes_of(_box(item) for item in document.children if item.name == "object")
    except ValueError as error:
        log.findings.append(_unreadable(name_below(path, root), str(error)))
        return None
    size = document.first("size")
    return {
        EXAMPLE_ID: name_below(path, root),
        "image": str(_picture(root, path.stem, document.first("filename").text.strip()).absolute()),
        "boxes": write_boxes(boxes),
        "width": size.first("width").text.strip() or None,
        "height": size.first("height").text.strip() or None,
    }


def _box(item: Element) -> tuple[str, list[float], bool, bool]:
    place = item.first("bndbox")
    try:
        left, top, right, bottom = (float(place.first(name).text) for name in CORNERS)
    except ValueError as error:
        raise ValueError("a box has no four numbers") from error
    return (
        item.first("name").text.strip(),
        [left, top, right - left, bottom - top],
        False,
        item.first("difficult").text.strip() == "1",
    )


def _picture(root: Path, stem: str, said: str) -> Path:
    """The picture of an annotation: the one of its own name, else the one that it names."""
    folder = root / PICTURES
    candidates = [folder / f"{stem}{suffix}" for suffix in (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES))]
    candidates += [folder / Path(said).name] if said else []
    return next((path for path in candidates if path.is_file()), candidates[0])


def _unreadable(name: str, why: str) -> Finding:
    return Finding(
        check="annotations",
        severity="warning",
        problem=f"{name} cannot be read and is left out: {why}.",
        remedy="correct the file, or take its name out of the list",
        count=1,
        evidence={"file": name},
    )


def _absent(names: Sequence[str], whole: int) -> list[Finding]:
    if not names:
        return []
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return [
        Finding(
            check="annotations",
            severity="warning",
            problem=f"{len(names):,} of {whole:,} pictures that the lists name have no annotation and are left out: {shown}.",
            remedy=f"add {ANNOTATIONS}/{names[0]}.xml; a picture without boxes has an annotation without objects",
            count=len(names),
        )
    ]

"""Writes the page: the sections' facts into the templates, into one file that asks the network for nothing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.core.storage import write_text
from luthier.report import wording
from luthier.report.records import RunRecords, read_run
from luthier.report.section import Section
from luthier.report.sections import SECTIONS

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

FILE_NAME = "report.html"
# Raster images only: an SVG is a document of its own, and a user's file at that.
THUMBNAIL = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+=*")
MOST_THUMBNAIL_CHARACTERS = 60_000
MOST_EXAMPLES_OF_A_FINDING = 3


def write_report(folder: Path, *, title: str, examples: Mapping[str, str], out: Path | None = None) -> Path:
    """Write the report of a run folder; the same folder always gives the same bytes.

    Args:
        folder: A run folder; of its files only `metrics.json` must be there.
        title: Heading of the page.
        examples: Example id -> its text, masked as the user asked, or a `data:image/...;base64,` thumbnail. Only those of
            `wanted_examples` are shown; ids without an entry are shown as ids.
        out: Where to write; `report.html` in the folder by default.

    Returns:
        The file written.

    Raises:
        DataError: a file of the folder is missing or does not hold what its name says.
        ResourceError: the disk is full.
    """
    run = read_run(folder, title=title, examples=examples)
    path = out or folder / FILE_NAME
    write_text(path, render(run))
    return path


def wanted_examples(folder: Path) -> tuple[str, ...]:
    """Ids of the examples that the report of a run folder would show: most confident mistakes, and rows of findings."""
    run = read_run(folder)
    ids = [mistake.example_id for mistake in run.mistakes] + list(run.drawn)
    ids += [name for finding in run.findings for name in finding.examples[:MOST_EXAMPLES_OF_A_FINDING]]
    return tuple(dict.fromkeys(ids))


def render(run: RunRecords) -> str:
    """The page as text."""
    environment = build_environment(run.examples)
    built = {name: SECTIONS[name](run) for name in SECTIONS}
    sections = {name: section for name, section in built.items() if section is not None}
    bodies = {name: _body(environment, section, run) for name, section in sections.items()}
    style = environment.get_template("style.css").render()
    return environment.get_template("report.html").render(run=run, sections=sections, bodies=bodies, style=_safe(style))


def _body(environment: "Environment", section: Section, run: RunRecords) -> "Markup":
    return _safe(environment.get_template(section.template).render(run=run, **section.facts))


def _safe(text: str) -> "Markup":
    from markupsafe import Markup

    return Markup(text)


def build_environment(examples: Mapping[str, str]) -> "Environment":
    """The templates, with everything escaped unless it was made here."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("luthier.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        svg=_safe, prose=with_code, sentence=wording.sentence, thousands=wording.thousands, percent=wording.percent
    )
    environment.globals["example"] = lambda name: describe_example(examples, name)
    return environment


def with_code(text: str) -> "Markup":
    """A text in which `backticks` mark what one types; everything else is escaped.

    Example:
        >>> str(with_code("`--overlap drop` <now>"))
        '<code>--overlap drop</code> &lt;now&gt;'
    """
    from markupsafe import Markup, escape

    pieces = [escape(piece) for piece in text.split("`")]
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else piece for place, piece in enumerate(pieces)
    )


def describe_example(examples: Mapping[str, str], name: str) -> dict[str, Any]:
    """What the page shows of an example: a picture, a text, or nothing but its id."""
    content = examples.get(name, "")
    if content.startswith("data:image/"):
        small = len(content) <= MOST_THUMBNAIL_CHARACTERS and THUMBNAIL.fullmatch(content)
        return {"id": name, "image": content if small else "", "text": "" if small else "(the picture is not shown)"}
    return {"id": name, "image": "", "text": wording.shortened(content)}

"""`luthier models`: the pre-trained models of the catalogue, and which of them are on this machine."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.options import output_options
from luthier.cli.terminal import open_console
from luthier.core.storage import format_bytes

if TYPE_CHECKING:
    from luthier.models.catalogue import CatalogueEntry

MODALITIES = ("text", "image", "audio")


def run(*, data: str | None, modality: str | None, as_json: bool) -> int:
    """List; with `data`, only the models that read what it holds."""
    from luthier.cli.results import print_json
    from luthier.core.records import to_plain
    from luthier.models.catalogue import load_catalogue

    modality = modality or (_modality_of(data) if data else None)
    entries = [entry for entry in load_catalogue() if modality in (None, entry.modality)]
    if as_json:
        print_json([{**to_plain(entry), "local": is_local(entry)} for entry in entries])
    else:
        open_console().print(_page(entries))
    return 0


def is_local(entry: "CatalogueEntry") -> bool:
    """Whether the weights are here: as an installed package, or in the hub's cache."""
    from luthier.models.hub import find_cached

    return bool(entry.module and find_spec(entry.module)) or find_cached(entry.hub_id) is not None


def _modality_of(data: str) -> str:
    from luthier import pipeline
    from luthier.spec import build_spec

    result = pipeline.check(build_spec(data), fast=True)
    return next((role for role in ("image", "audio") if role in result.roles), "text")


def _page(entries: Sequence["CatalogueEntry"]) -> RenderableType:
    parts: list[RenderableType] = []
    for modality in MODALITIES:
        if chosen := [entry for entry in entries if entry.modality == modality]:
            parts += [Text.assemble(("━━ ", "cyan"), (modality.capitalize(), "bold")), _table(chosen), Text()]
    return Group(
        *parts,
        Text.assemble(("  ● ", "green"), "on this machine   ", ("○ ", "dim"), "needs a download   ", "* the default"),
        Text.assemble(
            "  Take one with  ", ("luthier tune SOURCE --model NAME", "cyan"), ", any other with a folder or org/name."
        ),
    )


def _table(entries: Sequence["CatalogueEntry"]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0), expand=True)
    for name in ("", "name", "parameters", "download", "licence"):
        table.add_column(name, justify="right" if name in ("parameters", "download") else "left", no_wrap=True)
    table.add_column("for, trained on", overflow="ellipsis", no_wrap=True, ratio=1)
    for entry in entries:
        local = is_local(entry)
        table.add_row(
            Text(" ●" if local else " ○", style="green" if local else "dim"),
            Text(entry.name + (" *" if entry.default else ""), style="bold cyan" if entry.default else "cyan"),
            f"{entry.parameters / 1e6:,.1f} M",
            "–" if local else format_bytes(entry.download_bytes),
            entry.licence or "unknown",
            Text.assemble(entry.domain, (f" · {entry.pretraining_data}", "dim")),
        )
    return table


VERB = Verb(
    "models",
    run,
    params=[
        click.Argument(["data"], required=False, metavar="[DATA]"),
        GroupedOption(
            ["--modality"],
            type=click.Choice(MODALITIES),
            metavar="CHOICE",
            help="Only models of this kind [text | image | audio]",
        ),
        *output_options(quiet=False),
    ],
    summary="Lists the pre-trained models to start from: size, licence, training data, and whether they are on this machine.",
    examples=("luthier models", "luthier models tickets.csv", "luthier models --modality image --json"),
)

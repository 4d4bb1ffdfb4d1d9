"""The help page of a verb: what it does, commands to copy, flags in boxes by the section of the spec they set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from luthier.cli.command import OWN_PANEL, GroupedOption
from luthier.cli.terminal import as_text

if TYPE_CHECKING:
    import click

    from luthier.cli.command import Verb


def help_page(verb: "Verb", ctx: "click.Context", *, only: Sequence[str] = ()) -> str:
    """The page as text; with `only`, the short form that shows just these flags."""
    arguments = " ".join(str(param.make_metavar(ctx)) for param in verb.get_params(ctx) if param.param_type_name == "argument")
    parts: list[RenderableType] = [
        Text.assemble(("luthier ", "bold"), (f"{verb.name} ", "bold"), f"{arguments} [flags]"),
        Text(f"\n{verb.summary}\n"),
        *(Text.assemble("  ", (example, "cyan")) for example in verb.examples),
        Text(),
    ]
    options = [param for param in verb.get_params(ctx) if isinstance(param, GroupedOption)]
    if only:
        chosen = [option for flag in only for option in options if flag in option.opts]
        parts += [_flags(chosen), Text(f"\nluthier {verb.name} --help shows all {len(options)} flags.", style="dim")]
        return as_text(Group(*parts))
    panels = list(dict.fromkeys(option.panel for option in options))
    width = max(len(option.shown) for option in options)
    for panel in sorted(panels, key=lambda name: name == OWN_PANEL):
        table = _flags([option for option in options if option.panel == panel], width=width)
        parts.append(Panel(table, title=panel, title_align="left", box=box.ROUNDED, border_style="dim"))
    return as_text(Group(*parts))


def _flags(options: Sequence[GroupedOption], *, width: int | None = None) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="cyan", min_width=width)
    table.add_column()
    for option in options:
        table.add_row(option.shown, option.help or "")
    return table

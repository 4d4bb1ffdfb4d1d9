"""`luthier check`: what is wrong with data, the worst first, each with what to do about it. Needs no model and no torch."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.console import Watch
from luthier.cli.options import output_options, set_option, setting_options, spec_from_flags
from luthier.spec import TuneSpec

if TYPE_CHECKING:
    from luthier.pipeline import CheckResult

DATA_IS_WRONG = 2


def run(
    *, sources: Sequence[str], assignments: Sequence[str], fast: bool, as_json: bool, quiet: bool, **settings: object
) -> int:
    """Check; `settings` are the flags made from the spec."""
    if not sources and not settings["train"]:
        click.echo(VERB.get_short_help(click.get_current_context()))
        return 0
    from luthier import pipeline
    from luthier.cli.results import print_json

    spec = spec_from_flags(sources, settings, assignments)
    # What is decided stands on the page below; only what goes wrong is worth a line before it.
    watch = Watch(quiet=quiet, on_stderr=as_json)
    try:
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            result = pipeline.check(spec, fast=fast, observer=watch)
    finally:
        watch.close()
    if as_json:
        print_json(result)
    else:
        _show(result, spec, quiet=quiet)
    return DATA_IS_WRONG if any(finding.severity == "error" for finding in result.findings) else 0


def _show(result: "CheckResult", spec: TuneSpec, *, quiet: bool) -> None:
    from luthier.cli.results import check_page, print_commands, tally
    from luthier.cli.terminal import open_console

    if quiet:
        click.echo(f"{result.name}: {tally(result.findings)}")
        return
    target = ["--target", result.roles["target"]] if "target" in result.roles else []
    command = shlex.join(["luthier", "tune", *spec.sources, *target])
    console = open_console()
    console.print(check_page(result))
    print_commands(console, [(command, "tune a model on it; add --plan to see first what that would do")])


VERB = Verb(
    "check",
    run,
    params=[
        click.Argument(["sources"], nargs=-1, metavar="SOURCE..."),
        *setting_options(("", "data")),
        GroupedOption(["--fast"], is_flag=True, help="Leave out the checks that take long on a large table"),
        set_option(),
        *output_options(),
    ],
    summary="Looks for what is wrong with data before anything is trained on it. Changes nothing.",
    examples=(
        "luthier check tickets.csv",
        "luthier check train.csv test.csv --target category",
        "luthier check photos/ --fast --json",
    ),
    main_flags=("--target", "--text", "--group", "--fast", "--json"),
)

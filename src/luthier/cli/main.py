"""The command `luthier`: finds the verb, runs it, and turns whatever happens into a message and an exit code.

    0 done    1 failed    2 command, spec or data wrong    3 done, but the verdict is "do not keep"    130 stopped

Verbs are imported when they are called, so that `luthier --help` stays quick.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from luthier.cli.command import Verb, unknown_verb

# Verb -> where its `Verb` object is, and what it does.
VERBS = {
    "tune": ("luthier.cli.tune:VERB", "Tune a pre-trained model on your data, and say whether it helped"),
    "adapt": ("luthier.cli.adapt:VERB", "Train a language model further on your texts, without labels"),
    "search": ("luthier.cli.search:VERB", "Try many settings, keep the best, and say how much of that is luck"),
    "check": ("luthier.cli.check:VERB", "Look for what is wrong with data, before anything is trained on it"),
    "predict": ("luthier.cli.predict:VERB", "Add a model's answers to a table or a folder"),
    "find": ("luthier.cli.find:VERB", "Find the texts of a corpus that mean what a query means"),
    "recommend": ("luthier.cli.recommend:VERB", "Recommend items like those that users have liked"),
    "segment": ("luthier.cli.segment:VERB", "Cut texts into segments of like ones, and name them"),
    "models": ("luthier.cli.models:VERB", "List the pre-trained models to start from"),
    "doctor": ("luthier.cli.doctor:VERB", "Find what is wrong with this installation"),
}


class Luthier(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of the job."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a verb."""
        if name not in VERBS:
            return None
        module, _, attribute = VERBS[name][0].partition(":")
        verb: Verb = getattr(import_module(module), attribute)
        return verb

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; an unknown one is answered with the nearest."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            raise unknown_verb(args[0], list(VERBS), is_file=Path(args[0]).exists())
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """The first page a new user sees."""
        lines = [
            click.style("luthier", bold=True) + ": fine-tunes a pre-trained model on your data, and proves whether it helped.",
            "",
            "  " + click.style("luthier tune tickets.csv --target category", fg="cyan"),
            "",
            *(f"  {click.style(f'{name:<10}', fg='cyan')}{summary}" for name, (_, summary) in VERBS.items()),
            "",
            "luthier VERB --help shows examples and flags; luthier --version the version.",
        ]
        return "\n".join(lines)


def _print_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    from luthier import __version__

    if wanted:
        click.echo(f"luthier {__version__}")
        ctx.exit()


luthier = Luthier(
    "luthier",
    params=[click.Option(["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_print_version)],
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    callback=lambda: None,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (this process's own by default) and leave with its exit code."""
    from luthier.core.process import leave_at_once
    from luthier.core.seat import taken_seat

    code = run(sys.argv[1:] if arguments is None else list(arguments))
    if taken_seat().count > 1:
        leave_at_once(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit code. Errors are told on stderr."""
    from luthier.cli.failures import explain, prepare_streams
    from luthier.core.process import wait_without_spinning

    prepare_streams()
    wait_without_spinning()
    words = list(arguments) or ["--help"]
    try:
        code = luthier.main(args=words, prog_name="luthier", standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:  # the last stop: explained, logged, turned into an exit code
        return explain(error, words)
    return code if isinstance(code, int) else 0

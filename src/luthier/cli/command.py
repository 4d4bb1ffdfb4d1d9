"""What a verb is on the command line: its flags in groups, a help page with an example first, unknown flags with their nearest.

Click does the parsing; how the help looks and what a mistake is told is decided here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import click

from luthier.core.names import describe_unknown, nearest_name
from luthier.errors import LuthierError, SpecError, raise_together

OWN_PANEL = "This command"


class GroupedOption(click.Option):
    """A flag that knows under which heading of the help it stands."""

    def __init__(self, flags: Sequence[str], *, panel: str = OWN_PANEL, **click_options: Any) -> None:
        """`click_options` go to `click.Option` unchanged."""
        super().__init__(list(flags), **click_options)
        self.panel = panel

    @property
    def shown(self) -> str:
        """The flag with what it takes: `--num-epochs NUMBER`."""
        words = "/".join([*self.opts, *self.secondary_opts])
        return words if self.is_flag or self.metavar is None else f"{words} {self.metavar}"


class Verb(click.Command):
    """One verb.

    Args:
        name: What is typed after `luthier`.
        run: Does it, and returns the exit code. Its parameters are the names of `params`.
        params: Arguments and flags.
        summary: One sentence.
        examples: Commands worth copying.
        main_flags: The flags of the short help, most used first; none: the short help is the long one.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., int],
        *,
        params: Sequence[click.Parameter],
        summary: str,
        examples: Sequence[str],
        main_flags: Sequence[str] = (),
    ) -> None:
        context = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        super().__init__(name, callback=run, params=list(params), help=summary, context_settings=context)
        self.summary = summary
        self.examples = tuple(examples)
        self.main_flags = tuple(main_flags)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, after all flags that do not exist have been reported together."""
        known = {flag for option in self.get_params(ctx) for flag in [*option.opts, *option.secondary_opts]}
        before_rest = args[: args.index("--")] if "--" in args else args
        written = [arg.partition("=")[0] for arg in before_rest if arg.startswith("--")]
        raise_together([unknown_flag(flag, known) for flag in dict.fromkeys(written) if flag not in known])
        return super().parse_args(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """The long help: every flag."""
        from luthier.cli.help_page import help_page

        return help_page(self, ctx)

    def get_short_help(self, ctx: click.Context) -> str:
        """What a verb without arguments answers: how to use it, and the flags that matter first."""
        from luthier.cli.help_page import help_page

        return help_page(self, ctx, only=self.main_flags)


def unknown_flag(flag: str, known: set[str]) -> LuthierError:
    """The error for a flag that this verb does not have.

    Example:
        >>> print(unknown_flag("--sede", {"--seed", "--split"}))
        Unknown flag '--sede'. Did you mean '--seed'?
          Try: --seed
    """
    from luthier.core.keys import FOREIGN_NAMES

    familiar = "--" + FOREIGN_NAMES.get(flag.removeprefix("--").replace("-", "_"), "").replace("_", "-")
    guess = familiar if familiar in known else nearest_name(flag, known)
    if guess is None:
        return SpecError(f"Unknown flag '{flag}'.", remedy="--help lists every flag")
    return SpecError(f"Unknown flag '{flag}'. Did you mean '{guess}'?", remedy=guess)


def unknown_verb(name: str, verbs: Sequence[str], *, is_file: bool) -> LuthierError:
    """The error for a verb that does not exist; a file in its place was probably meant to be tuned on."""
    if is_file:
        return SpecError(f"'{name}' is a file or folder; what is to be done with it?", remedy=f"luthier tune {name}")
    guess = nearest_name(name, verbs)
    return SpecError(describe_unknown("command", name, verbs), remedy=f"luthier {guess}" if guess else "luthier --help")

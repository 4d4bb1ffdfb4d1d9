"""The terminal as rich sees it: at most 100 columns, colour only where it is wanted, text of the user never read as markup."""

import os
import sys
from typing import TextIO

from rich.console import Console, RenderableType

WIDTH = 100


def open_console(stream: TextIO | None = None) -> Console:
    """A console on stdout, or another stream; plain lines of 100 columns where that is no terminal."""
    console = Reader(file=stream, highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


class Reader(Console):
    """A console whose reader may go away: the work goes on, only the printing stops."""

    def on_broken_pipe(self) -> None:
        """Print nothing from now on; a run of hours must not die because `| head` has seen enough."""
        self.quiet = True
        if self.file is sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_text(renderable: RenderableType) -> str:
    """What a console would print, as a string, with colours if stdout is a terminal."""
    console = open_console()
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def printable(text: object) -> str:
    """Text on one line, without anything a terminal would obey.

    Example:
        >>> printable("a\\x1b[31mb\\nc")
        'a\N{REPLACEMENT CHARACTER}[31mb c'
    """
    one_line = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in one_line)

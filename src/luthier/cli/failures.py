"""What a user is told when a command fails: problem and remedy, no stack trace, and where the trace is if it was our fault."""

import errno
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from types import TracebackType

import click

from luthier.cli.command import unknown_flag
from luthier.core.seat import Seat, taken_seat
from luthier.errors import LuthierError, ResourceError, SpecError, Stopped, UsageError

PASSWORD = re.compile(r"(://[^:/@\s]*:)[^\s]*@")  # of a URL
BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended


def prepare_streams() -> None:
    """Letters that the terminal's encoding lacks become question marks instead of a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def explain(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell the user about an error on stderr; returns the exit code.

    Args:
        error: What ended the command.
        arguments: The command line, for `--debug` and for the report of our own mistakes.
    """
    if isinstance(error, BrokenPipeError):
        # The reader has gone (`| head`). Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    known = _as_luthier_error(error)
    if known is None:
        _tell_unexpected(error, arguments)
        return 1
    if "--debug" in arguments:
        traceback.print_exception(error)
    if _speaks(known, taken_seat()):
        _tell(str(known))
    return known.exit_code


def _speaks(error: LuthierError, seat: Seat) -> bool:
    """Whether this process tells: of several with the same mistake one on each machine does, of what all know the main one."""
    if isinstance(error, UsageError):
        return seat.local_rank == 0
    return seat.is_main or isinstance(error, ResourceError)


def _as_luthier_error(error: BaseException) -> LuthierError | None:
    match error:
        case LuthierError():
            return error
        case click.NoSuchOption():
            known = {flag for param in error.ctx.command.params for flag in param.opts} if error.ctx else set()
            return unknown_flag(error.option_name, known)
        case click.ClickException():
            return SpecError(error.format_message(), remedy=f"{_command_path(error)} --help")
        case click.Abort() | KeyboardInterrupt():
            return Stopped("Stopped.", remedy="the same command again")
        case MemoryError():
            return ResourceError("Memory is short.", remedy="--micro-batch 8, --max-rows, or close other programs")
        case OSError(errno=errno.ENOSPC):
            return ResourceError(
                f"The disk is full ({error.filename or 'while writing'}).", remedy="free some space, or --out DIR"
            )
    return None


def _command_path(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context else "luthier"


def _tell(message: str) -> None:
    label = click.style("Error: ", fg="red", bold=True)
    click.echo(label + _printable(message), err=True)


def _printable(text: str) -> str:
    # A message may quote the user's data; an escape sequence in it must not reach the terminal.
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _tell_unexpected(error: BaseException, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exception(error)
        place = "above"
    else:
        place = f"in {_write_trace(error, arguments)}"
    _tell(
        f"Luthier has a fault: {type(error).__name__}: {error}\n"
        f"  It happened in {_where(error.__traceback__)}; the full trace is {place}.\n"
        "  Try: report it with that trace (read it first: it may quote your data)"
    )


def _write_trace(error: BaseException, arguments: Sequence[str]) -> str:
    from luthier import __version__

    with tempfile.NamedTemporaryFile("w", prefix="luthier-", suffix=".log", delete=False, encoding="utf-8") as file:
        command = PASSWORD.sub(r"\1***@", " ".join(arguments))
        file.write(f"luthier {__version__}, Python {sys.version}\nluthier {command}\n\n")
        traceback.print_exception(error, file=file)
    return file.name


def _where(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if f"{os.sep}luthier{os.sep}" in frame.filename] or list(frames)
    if not ours:
        return "an unknown place"
    return f"{os.sep.join(ours[-1].filename.split(os.sep)[-3:])}, line {ours[-1].lineno}"

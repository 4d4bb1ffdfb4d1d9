"""Every error Luthier raises on purpose. What a user did wrong is told apart from what went wrong.

LuthierError                 problem + remedy
├── UsageError               the command, the spec or the data is wrong          exit code 2
│   ├── SpecError            an unknown key, a misspelt name, a value out of range
│   ├── DataError            rows, columns, files that cannot be used as they are
│   ├── ModelError           a model that is refused, unknown, or does not fit the task
│   └── MissingExtraError    an optional part that is not installed
├── ResourceError            disk or memory is short                             exit code 1
├── DivergedError            the loss became NaN or infinite                     exit code 1
├── LostProcessError         another process of the same training has ended      exit code 1
├── PreflightError           the self-test before the first step found a fault   exit code 1
└── Stopped                  the user pressed Ctrl-C, or SIGTERM came            exit code 130
"""

from collections.abc import Sequence


class LuthierError(Exception):
    """What was expected and found, and what to type next.

    Args:
        problem: One or more sentences: expected, found, the consequence if it is not obvious.
        remedy: Something to paste, or to do.

    Example:
        >>> print(LuthierError("reviews.csv has no column 'text'.", remedy="--text review"))
        reviews.csv has no column 'text'.
          Try: --text review
    """

    exit_code = 1

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem}\n  Try: {remedy}")
        self.problem = problem
        self.remedy = remedy


class UsageError(LuthierError):
    """The command, the spec or the data is wrong."""

    exit_code = 2


class SpecError(UsageError):
    """An unknown key, a misspelt name, a value out of range."""


class DataError(UsageError):
    """Rows, columns or files that cannot be used as they are."""


class ModelError(UsageError):
    """A model that is refused, unknown, or does not fit the task."""


class MissingExtraError(UsageError):
    """An optional part that is not installed.

    Example:
        >>> print(MissingExtraError("serve", needed_for="the HTTP server"))
        The HTTP server needs the extra 'serve', which is not installed.
          Try: pip install 'luthier[serve]'
    """

    def __init__(self, extra: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for[:1].upper()}{needed_for[1:]} needs the extra '{extra}', which is not installed.",
            remedy=f"pip install 'luthier[{extra}]'",
        )


class ResourceError(LuthierError):
    """Disk or memory is short."""


class DivergedError(LuthierError):
    """The loss became NaN or infinite."""


class LostProcessError(LuthierError):
    """Another process of the same training has ended, or does not answer."""


class PreflightError(LuthierError):
    """The self-test before the first step found a fault that would have made the training worthless."""


class Stopped(LuthierError):
    """The user pressed Ctrl-C, or SIGTERM came."""

    exit_code = 130


def raise_together(errors: Sequence[LuthierError]) -> None:
    """Raise all problems of one input as one error; return if there are none.

    The type is that of the errors if they agree, else `UsageError`.

    Example:
        >>> raise_together([])
        >>> raise_together([DataError("a is empty.", remedy="fill a"), DataError("b is empty.", remedy="fill b")])
        Traceback (most recent call last):
        ...
        luthier.errors.DataError: 2 problems:
        1. a is empty.
             Try: fill a
        2. b is empty.
             Try: fill b
    """
    if not errors:
        return
    if len(errors) == 1:
        raise errors[0]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else UsageError
    combined = kind.__new__(kind)
    lines = [f"{number}. {error.problem}\n     Try: {error.remedy}" for number, error in enumerate(errors, 1)]
    Exception.__init__(combined, f"{len(errors)} problems:\n" + "\n".join(lines))
    combined.problem = "\n".join(error.problem for error in errors)
    combined.remedy = "\n".join(error.remedy for error in errors)
    raise combined

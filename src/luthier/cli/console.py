"""The observer that people watch: what step is running, what was decided and why, how far counted work is.

On a terminal there is a live bar; in a file or a pipe there are plain lines, one when counted work ends and one each half
minute until then.
"""

import sys
import time
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from luthier.cli.terminal import WIDTH, open_console, printable
from luthier.core.decision import Decision
from luthier.evaluation.display import format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

NAME_WIDTH = 14
VALUE_WIDTH = 22
SECONDS_BETWEEN_LINES = 30.0
LEVELS = {"info": ("·", "dim"), "warning": ("!", "yellow"), "error": ("✗", "red")}


@dataclass(kw_only=True)
class Work:
    """Counted work that is going on."""

    label: str
    total: int
    unit: str
    started: float
    done: int = 0
    detail: str = ""
    told: float = 0.0
    task: "TaskID | None" = None


class Watch:
    """Shows what is going on.

    Args:
        quiet: Show only errors.
        on_stderr: Keep stdout for results that are read by programs.
    """

    def __init__(self, *, quiet: bool = False, on_stderr: bool = False) -> None:
        self.console = open_console(sys.stderr if on_stderr or quiet else None)
        self.quiet = quiet
        self._works: list[Work] = []
        self._live: Progress | None = None

    def stage(self, name: str, detail: str = "") -> None:
        """A heading."""
        if not self.quiet:
            heading = Text(f"{printable(name)[:1].upper()}{printable(name)[1:]}", style="bold")
            self.console.print()
            self.console.print(Text.assemble(("━━ ", "cyan"), heading, ("  " + printable(detail) if detail else "", "dim")))

    def note(self, message: str, *, level: str = "info") -> None:
        """One line with a sign for how serious it is."""
        if not self.quiet or level == "error":
            sign, style = LEVELS.get(level, LEVELS["info"])
            grid = Table.grid(padding=(0, 1))
            grid.add_row(Text(f" {sign}", style=style), Text(printable(message), style="" if level == "info" else style))
            self.console.print(grid)

    def decided(self, decision: Decision[object]) -> None:
        """A choice with its reason, and what to type to choose otherwise."""
        if not self.quiet:
            self.console.print(decision_line(decision, width=self.console.width))

    def start(self, label: str, total: int, unit: str) -> None:
        """Begin a bar (below the one that is running, if any)."""
        work = Work(label=printable(label), total=total, unit=unit, started=time.monotonic(), told=time.monotonic())
        self._works.append(work)
        if self.console.is_terminal and not self.quiet:
            self._live = self._live or self._open_live()
            work.task = self._live.add_task(work.label, total=total or None, facts="")

    def advance(self, amount: int, detail: str = "") -> None:
        """Move the newest bar."""
        if not self._works:
            return
        work = self._works[-1]
        work.done += amount
        work.detail = printable(detail) or work.detail
        if self._live and work.task is not None:
            self._live.update(work.task, advance=amount, facts=_facts(work))
        elif not self.quiet and time.monotonic() - work.told > SECONDS_BETWEEN_LINES:
            work.told = time.monotonic()
            self.console.print(Text(f"   {work.label}: {_facts(work)}"))

    def finish(self) -> None:
        """End the newest bar; a line with its total stays."""
        if not self._works:
            return
        work = self._works.pop()
        if self._live and work.task is not None:
            self._live.remove_task(work.task)
        if self._live and not self._works:
            self.close()
        if not self.quiet:
            self.console.print(Text(_finished_line(work), style="dim"))

    def close(self) -> None:
        """Take the live bars away, however the work ended; the cursor is visible again."""
        if self._live:
            self._live.stop()
            self._live = None

    def _open_live(self) -> "Progress":
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        live = Progress(
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20, complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.fields[facts]}", markup=False),
            console=self.console,
            transient=True,
            refresh_per_second=4,
        )
        live.start()
        return live


def decision_line(decision: Decision[object], *, width: int = WIDTH) -> Table:
    """One aligned line: name, value, reason, override."""
    grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
    grid.add_column(width=2)
    grid.add_column(min_width=NAME_WIDTH, style="cyan", no_wrap=True)
    grid.add_column(width=VALUE_WIDTH)
    grid.add_column(ratio=1, style="dim")
    reason, override = printable(decision.reason), printable(decision.override)
    room = max(width - 2 - NAME_WIDTH - VALUE_WIDTH - 4, 10)
    last_line = wrap(reason, room)[-1] if reason else ""
    # What can be typed is never broken over two lines.
    gap = "   " if len(last_line) + 3 + len(override) <= room else "\n"
    grid.add_row(
        "",
        "model" if decision.name == "name" else printable(decision.name).replace("_", " "),
        Text(shown_value(decision.value), style="bold"),
        Text.assemble(reason, gap if override else "", (override, "cyan")),
    )
    return grid


def shown_value(value: object) -> str:
    """A decision's value in a few words.

    Example:
        >>> shown_value("category"), shown_value(("a", "b")), shown_value({"train": 80, "test": 20}), shown_value(None)
        ('category', 'a, b', 'train 80, test 20', 'none')
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case dict():
            return ", ".join(f"{printable(name)} {shown_value(item)}" for name, item in value.items())
        case list() | tuple():
            shown = ", ".join(shown_value(item) for item in value[:4])
            return shown + (f" and {len(value) - 4} more" if len(value) > 4 else "")
    return printable(value)


def _facts(work: Work) -> str:
    """How far, how fast, how long still: `45 %  27 of 60 steps  10 a second  3.3 s left  loss 0.21`."""
    elapsed = max(time.monotonic() - work.started, 1e-9)
    if not (work.total and work.done):
        return f"{work.done:,} {work.unit} after {format_seconds(elapsed)}"
    left = elapsed / work.done * max(work.total - work.done, 0)
    facts = [
        f"{100 * work.done / work.total:.0f} %",
        f"{work.done:,} of {work.total:,} {work.unit}",
        _rate(work.done / elapsed),
    ]
    return "  ".join(filter(None, [*facts, f"{format_seconds(left)} left", work.detail]))


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f} a second" if per_second >= 1 else f"{60 * per_second:,.0f} a minute"


def _finished_line(work: Work) -> str:
    elapsed = max(time.monotonic() - work.started, 1e-9)
    rate = f" ({_rate(work.done / elapsed)})" if work.done and elapsed >= 1 else ""
    unfinished = f" of {work.total:,}" if work.total and work.done < work.total else ""
    detail = f", {work.detail}" if work.detail else ""
    return f"   {work.label}: {work.done:,}{unfinished} {work.unit} in {format_seconds(elapsed)}{rate}{detail}"

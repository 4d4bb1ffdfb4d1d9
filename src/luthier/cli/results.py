"""How plans, findings and data sets look on the terminal, and how results look to programs."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from luthier.cli.console import LEVELS, decision_line
from luthier.cli.terminal import printable
from luthier.core.names import count_of
from luthier.core.records import to_json
from luthier.core.storage import format_bytes
from luthier.evaluation.display import format_seconds

if TYPE_CHECKING:
    from luthier.data.findings import Finding
    from luthier.data.schema import Column
    from luthier.pipeline import CheckResult, Plan

NAME_WIDTH = 24
EXAMPLE_WIDTH = 40
SEVERITIES = ("error", "warning", "info")


def print_json(value: Any) -> None:
    """Print a result for programs on stdout, and nothing else."""
    sys.stdout.write(to_json(value, indent=2) + "\n")
    sys.stdout.flush()


def heading(name: str, detail: str = "") -> Text:
    """A heading as all pages have it."""
    return Text.assemble(("━━ ", "cyan"), (name, "bold"), ("  " + detail if detail else "", "dim"))


def facts_table(facts: Mapping[str, str]) -> Table:
    """Names and what is known of them, aligned."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column()
    for name, fact in facts.items():
        grid.add_row(f"   {name}", printable(fact))
    return grid


def problem_list(problems: Sequence[tuple[str, str, Text]]) -> RenderableType:
    """Problems as (severity, sentence, what to do), in the order given."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=2, justify="right")
    grid.add_column()
    for severity, problem, remedy in problems:
        sign, style = LEVELS[severity]
        grid.add_row(Text(sign, style=style), Text(printable(problem), style="" if severity == "info" else style))
        if remedy:
            grid.add_row("", remedy)
    return grid


def tried(remedy: str) -> Text:
    """What to do about a problem; empty for nothing."""
    style = "dim" if remedy.startswith("nothing to do") else "cyan"
    return Text.assemble(("→ ", "dim"), (printable(remedy).replace("`", ""), style)) if remedy else Text()


def findings_list(findings: Sequence["Finding"]) -> RenderableType:
    """Findings, the worst first, each with its remedy."""
    ordered = sorted(findings, key=lambda item: SEVERITIES.index(item.severity))
    return problem_list([(item.severity, _sentence(item), tried(item.remedy)) for item in ordered])


def _sentence(finding: "Finding") -> str:
    return finding.problem if finding.part in ("", "all") else f"{finding.part}: {finding.problem}"


def columns_table(columns: Sequence["Column"], roles: Mapping[str, str]) -> Table:
    """The columns of a data set: name, role, kind, how much is missing, examples."""
    role_of = {column: role for role, column in roles.items()}
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for style in ("cyan", "bold", "", "dim"):
        table.add_column(style=style, no_wrap=True)
    table.add_column(style="dim", no_wrap=True, overflow="ellipsis", ratio=1)
    for column in columns:
        facts = count_of(column.distinct, "value") + (f", {column.missing:,} missing" if column.missing else "")
        examples = " · ".join(printable(example)[:EXAMPLE_WIDTH] for example in column.examples)
        name = printable(column.name)
        shown = name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"
        table.add_row(f"   {shown}", role_of.get(column.name, ""), str(column.kind), facts, examples)
    return table


def tally(findings: Sequence["Finding"]) -> str:
    """How many findings there are of each severity: `1 error, 3 warnings`.

    Example:
        >>> tally([])
        'nothing found'
    """
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    named = [count_of(counts["error"], "error"), count_of(counts["warning"], "warning"), count_of(counts["info"], "note")]
    return ", ".join(words for words, count in zip(named, counts.values(), strict=True) if count) or "nothing found"


def print_commands(console: Console, commands: Sequence[tuple[str, str]]) -> None:
    """Print commands worth typing now, with what they do; never broken over lines, so that they can be copied."""
    console.print()
    console.print(heading("Next"))
    for command, purpose in commands:
        console.print(Text.assemble("   ", (command, "cyan")), soft_wrap=True)
        console.print(Text(f"       {purpose}", style="dim"))


def check_page(result: "CheckResult") -> RenderableType:
    """What a check tells: the columns and their roles, what was decided, the findings."""
    parts: list[RenderableType] = [
        heading("Columns", f"{result.name}: {count_of(result.num_rows, 'row')}"),
        columns_table(result.columns, result.roles),
        Text(),
        heading("Understood as"),
        *map(decision_line, result.decisions),
        Text(),
        heading("Findings", f"{tally(result.findings)} in {format_seconds(result.seconds)}"),
        findings_list(result.findings),
    ]
    return Group(*parts)


def plan_page(plan: "Plan") -> RenderableType:
    """What would happen, what it would cost, what is doubtful."""
    steps = Table.grid(padding=(0, 2, 0, 0))
    for style in ("bold", "", "dim"):
        steps.add_column(style=style)
    for name, detail, seconds in plan.steps:
        steps.add_row(printable(name), printable(detail), f"about {format_seconds(seconds)}" if seconds else "")
    total = sum(seconds for _, _, seconds in plan.steps if seconds)
    cost = (
        f"about {format_seconds(total)}, {format_bytes(plan.memory_bytes)} of memory, {format_bytes(plan.disk_bytes)} of disk"
    )
    parts: list[RenderableType] = [
        Text(),
        heading("Plan", "nothing was done yet"),
        *map(decision_line, plan.decisions),
        Text(),
        Padding(steps, (0, 0, 0, 2)),
        Text.assemble("\n  Cost     ", (cost, "bold")),
    ]
    if plan.findings:
        parts += [Text(), heading("Data"), findings_list(plan.findings)]
    if plan.worries:
        parts += [Text(), heading("Worries"), problem_list([("warning", worry, Text()) for worry in plan.worries])]
    return Group(*parts)

"""`luthier doctor`: what this machine is, what is wrong with the installation, and what to type about it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from luthier.cli.command import Verb
from luthier.cli.options import output_options

if TYPE_CHECKING:
    from luthier.core.environment import Ailment

BROKEN = 1


def run(*, as_json: bool, quiet: bool) -> int:
    """Examine; returns 1 if something is broken."""
    from luthier.core.environment import check_environment
    from luthier.core.machine import describe_machine

    ailments = check_environment()
    is_broken = any(ailment.severity == "error" for ailment in ailments)
    if as_json:
        from luthier.cli.results import print_json

        print_json({"healthy": not is_broken, "machine": describe_machine(), "ailments": ailments})
    elif quiet:
        click.echo("broken" if is_broken else "healthy")
    else:
        _show(describe_machine(), ailments)
    return BROKEN if is_broken else 0


def _show(machine: Mapping[str, Any], ailments: Sequence["Ailment"]) -> None:
    from rich.text import Text

    from luthier.cli.results import facts_table, heading, problem_list, tried
    from luthier.cli.terminal import open_console
    from luthier.core.storage import format_bytes

    fast = ", ".join(machine["cpu_flags"]) or "none that Luthier uses"
    facts = {
        "processor": f"{machine['cpu']}, {machine['cores']} cores usable",
        "instructions": fast,
        "memory": format_bytes(machine["memory_bytes"]),
        "graphics": "yes" if machine["gpu"] else "none found",
        "system": f"{machine['system']}, Python {machine['python']}",
        "packages": ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
    }
    console = open_console()
    console.print(heading("Machine"))
    console.print(facts_table(facts))
    console.print()
    console.print(heading("Health"))
    console.print(problem_list([(item.severity, item.problem, tried(item.remedy)) for item in ailments]))
    if not any(item.severity == "error" for item in ailments):
        console.print(Text.assemble((" ✓ ", "green"), "Nothing is broken."))


VERB = Verb(
    "doctor",
    run,
    params=output_options(),
    summary="Finds what is wrong with this installation, and names the fix. Changes nothing.",
    examples=("luthier doctor", "luthier doctor --json"),
)

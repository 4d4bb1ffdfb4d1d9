"""The flags of verbs that can work on a Ray cluster."""

import click

from luthier.cli.command import GroupedOption
from luthier.errors import UsageError


def cluster_options(what: str, who: str) -> list[GroupedOption]:
    """`--cluster` and `--workers`.

    Args:
        what: The help of the first, up to where the cluster is.
        who: The help of the second, up to how many they are by default.
    """
    where = f"{what}: one of its own on this machine (auto), or that at HOST:PORT"
    return [
        GroupedOption(["--cluster"], metavar="auto|ADDRESS", help=where),
        GroupedOption(["--workers"], type=click.IntRange(1), metavar="N", help=f"{who} (default: one a node)"),
    ]


def refuse_lonely_flags(cluster: str | None, workers: int | None, *, plan: bool) -> None:
    """Raise UsageError where one of the flags would do nothing."""
    if workers is not None and cluster is None:
        raise UsageError("--workers says how many processes a cluster starts.", remedy=f"--cluster auto --workers {workers}")
    if cluster is not None and plan:
        raise UsageError("--plan measures this machine, and cannot know the cluster's.", remedy="--plan without --cluster")

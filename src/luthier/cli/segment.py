"""`luthier segment`: texts cut into segments of like ones, each with a name and its most central texts."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.find import text_option
from luthier.cli.options import output_options
from luthier.errors import SpecError

if TYPE_CHECKING:
    from luthier.neighbours.segment import Segments

SHOWN_CHARACTERS = 110


def run(
    *,
    model: str,
    source: str,
    num_clusters: str,
    out: str | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    **columns: str | None,
) -> int:
    """Cut, and print the segments; with `--quiet` one line for each. `columns` are those of texts and of labels."""
    if num_clusters != "auto" and not num_clusters.isdigit():
        raise SpecError(f"--num-clusters is '{num_clusters}'; expected auto or a whole number.", remedy="--num-clusters auto")
    from luthier.cli.console import Watch
    from luthier.cli.results import print_json
    from luthier.core.records import to_plain
    from luthier.neighbours.segment import segment

    watch = Watch(quiet=quiet, on_stderr=True)
    try:
        with redirect_stdout(sys.stderr):
            found = segment(
                model,
                source,
                num_clusters=None if num_clusters == "auto" else int(num_clusters),
                text=columns["text"],
                compare=columns["compare"],
                out=out,
                seed=seed,
                observer=watch,
            )
    finally:
        watch.close()
    if as_json:
        plain = {"numbers": found.numbers.tolist(), "distances": found.distances.tolist()}
        shared = ("segments", "silhouette", "agreement", "out", "decisions")
        print_json({**{name: to_plain(getattr(found, name)) for name in shared}, **plain})
    else:
        print_segments(found, quiet=quiet)
    return 0


def print_segments(found: "Segments", *, quiet: bool) -> None:
    """Each segment with its size and its name, and below it its most central texts."""
    for one in found.segments:
        click.echo(f"{one.number:>3}  {one.size:>6,}  {one.share:6.1%}  " + click.style(one.name, bold=True))
        for example in [] if quiet else one.examples:
            line = " ".join(example.split())
            cut = line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
            click.echo("     " + click.style(cut, dim=True))
    click.echo(f"silhouette {found.silhouette:.3f} (from -1 to 1; near 0: the segments run into each other)")
    if found.agreement is not None:
        click.echo(f"agreement with the labels {found.agreement:.3f} (normalised mutual information, from 0 to 1)")
    if found.out:
        click.echo(f"{len(found.numbers):,} rows: {found.out}")


VERB = Verb(
    "segment",
    run,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        click.Argument(["source"], metavar="DATA"),
        GroupedOption(
            ["--num-clusters"],
            metavar="N",
            default="auto",
            show_default=True,
            help="How many segments; auto: as many as give the best silhouette",
        ),
        GroupedOption(["--compare"], metavar="COLUMN", help="Column of labels that the segments are compared with"),
        text_option(),
        GroupedOption(["--out"], metavar="FILE", help="Write the table with segment, segment_name and segment_distance"),
        GroupedOption(["--seed"], metavar="N", type=int, default=0, show_default=True, help="Seed of k-means and of samples"),
        *output_options(),
    ],
    summary="Cuts texts into segments of like ones, names each by its words, and shows its most central texts.",
    examples=(
        "luthier segment minilm messages.csv --out segmented.csv",
        "luthier segment runs/help/model messages.csv --num-clusters 12",
        "luthier segment minilm train.csv --compare category",
    ),
)

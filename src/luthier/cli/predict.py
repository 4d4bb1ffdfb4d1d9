"""`luthier predict`: a model's answers beside the rows of a table or a folder, in their order, however many there are."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.console import Watch
from luthier.cli.options import output_options
from luthier.errors import SpecError


def run(
    *,
    model: str,
    source: str,
    out: str | None,
    probs: bool,
    allow: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **columns: str | None,
) -> int:
    """Predict; without `out` the answers go to stdout as CSV, and the rest to stderr. `columns` are named by their role."""
    if as_json and out is None:
        raise SpecError("--json and the answers cannot both go to stdout.", remedy="--out answers.csv")
    from luthier.cli.results import print_json
    from luthier.package.predict import predict_source

    watch = Watch(quiet=quiet, on_stderr=as_json or out is None)
    try:
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            summary = predict_source(
                model,
                source,
                out=Path(out) if out else None,
                probs=probs,
                text=columns["text"],
                text_pair=columns["text_pair"],
                allow=allow,
                observer=watch,
            )
    finally:
        watch.close()
    if as_json:
        print_json(summary)
    elif out:
        from luthier.evaluation.display import format_seconds

        rate = f" ({summary.rows / summary.seconds:,.0f} a second)" if summary.seconds > 0 else ""
        click.echo(f"{summary.rows:,} rows in {format_seconds(summary.seconds)}{rate}: {summary.out}")
    return 0


VERB = Verb(
    "predict",
    run,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        click.Argument(["source"], metavar="SOURCE"),
        GroupedOption(
            ["--out"], metavar="FILE", help="Where to write: .csv, .tsv, .jsonl or .parquet (default: CSV on stdout)"
        ),
        GroupedOption(["--probs"], is_flag=True, help="Add the probability of every label"),
        GroupedOption(["--text"], metavar="TEXT", help="Column to read, where it is not named as in training"),
        GroupedOption(["--text-pair"], metavar="TEXT", help="Column of the second text, likewise"),
        GroupedOption(
            ["--allow"], metavar="PACKAGE", multiple=True, help="Package that may build the network, where no model family does"
        ),
        *output_options(),
    ],
    summary="Adds a model's answers to each row of a table, or to each file of a folder, and keeps their order.",
    examples=(
        "luthier predict runs/tickets/model new.csv --out answers.csv",
        "luthier predict runs/tickets/model new.csv --probs | head",
        "luthier predict runs/photos/model photos/ --out answers.parquet",
        "luthier predict runs/birds/model recordings/ --out answers.csv",
    ),
)

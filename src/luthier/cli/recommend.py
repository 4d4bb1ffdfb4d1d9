"""`luthier recommend`: items like those that users have liked, by their texts; what it is worth beside what is popular."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.find import id_option, text_option
from luthier.cli.options import output_options

if TYPE_CHECKING:
    from luthier.neighbours.recommend import Recommendations

MOST_USERS_SHOWN = 5
WAYS = {"content": "by content", "popular": "what is popular", "random": "at random"}


def run(
    *,
    model: str,
    items: str,
    history: str,
    user: tuple[str, ...],
    top: int,
    out: str | None,
    as_json: bool,
    quiet: bool,
    **columns: str | None,
) -> int:
    """Recommend, and print; with `--quiet` only the verdict. `columns` are those of the items."""
    from luthier.cli.console import Watch
    from luthier.cli.results import print_json
    from luthier.neighbours.recommend import recommend

    watch = Watch(quiet=quiet, on_stderr=True)
    try:
        with redirect_stdout(sys.stderr):
            found = recommend(
                model,
                items,
                history,
                users=user,
                top=top,
                text=columns["text"],
                identifier=columns["identifier"],
                observer=watch,
            )
            if out is not None:
                found.save(out)
    finally:
        watch.close()
    if as_json:
        print_json(found)
    else:
        print_recommendations(found, quiet=quiet, out=out)
    return 0


def print_recommendations(found: "Recommendations", *, quiet: bool, out: str | None) -> None:
    """The first few users' items, what was measured, and the verdict."""
    users = list(dict.fromkeys(item.user for item in found.items))
    for user in [] if quiet else users[:MOST_USERS_SHOWN]:
        click.echo(click.style(f"\n{user}", bold=True))
        for item in (item for item in found.items if item.user == user):
            because = f"  like {item.because}" if item.because else "  popular"
            line = " ".join(item.text.split())[:80]
            click.echo(f"{item.rank:>3}  {item.score:.3f}  {click.style(item.item, fg='cyan')}  {line}{because}")
    if not quiet and len(users) > MOST_USERS_SHOWN:
        click.echo(f"\nand {len(users) - MOST_USERS_SHOWN:,} more users" + ("" if out else "; --out FILE writes them all"))
    if not quiet and found.recall:
        click.echo(f"\nThe last item of {found.num_measured:,} users, left out and looked for among the first {found.top}:")
        for name, recall in found.recall.items():
            click.echo(f"  {WAYS[name]:<16} {recall.value:6.1%}   {recall.low:.1%} to {recall.high:.1%}")
    click.echo(found.verdict)
    if out:
        click.echo(f"{len(found.items):,} recommendations: {out}")


VERB = Verb(
    "recommend",
    run,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        click.Argument(["items"], metavar="ITEMS"),
        GroupedOption(
            ["--history"],
            metavar="FILE",
            required=True,
            help="Table of what users have liked: columns user and item, newest last",
        ),
        GroupedOption(["--user"], metavar="USER", multiple=True, help="For whom (repeat; default: everyone in the history)"),
        GroupedOption(["--top"], metavar="N", type=int, default=10, show_default=True, help="Items for each user"),
        text_option(),
        id_option(),
        GroupedOption(["--out"], metavar="FILE", help="Write all recommendations: .csv, .tsv, .jsonl or .parquet"),
        *output_options(),
    ],
    summary="Recommends items whose texts are like those of what users have liked, and measures it against what is popular.",
    examples=(
        "luthier recommend runs/help/model articles.csv --history read.csv --out recommended.csv",
        "luthier recommend minilm articles.csv --history read.csv --user ada --top 5",
    ),
)

"""`luthier find`: the texts of a corpus that are nearest to a query, by vectors that are computed once."""

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.options import output_options

if TYPE_CHECKING:
    from luthier.neighbours.find import Found

SHOWN_CHARACTERS = 300


def run(
    *,
    model: str,
    corpus: str,
    query: tuple[str, ...],
    top: int,
    text: str | None,
    identifier: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Search, and print what was found; with `--quiet` an id on each line."""
    from luthier.cli.console import Watch
    from luthier.cli.results import print_json
    from luthier.neighbours.find import find

    watch = Watch(quiet=quiet, on_stderr=True)
    try:
        with redirect_stdout(sys.stderr):
            found = find(model, corpus, list(query), top=top, text=text, identifier=identifier, observer=watch)
    finally:
        watch.close()
    if as_json:
        print_json(found)
    else:
        print_found(found, quiet=quiet)
    return 0


def print_found(found: "list[Found]", *, quiet: bool) -> None:
    """Each hit with its rank, its cosine and the beginning of its text."""
    for one in found:
        if quiet:
            click.echo("\n".join(hit.id for hit in one.hits))
            continue
        click.echo(click.style(f"\n{json.dumps(one.query, ensure_ascii=False)}", bold=True))
        for hit in one.hits:
            line = " ".join(hit.text.split())
            cut = line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
            click.echo(f"{hit.rank:>3}  {hit.score:.3f}  {click.style(hit.id, fg='cyan')}  {cut}")


def text_option() -> GroupedOption:
    """`--text COLUMN`."""
    return GroupedOption(["--text"], metavar="COLUMN", help="Column with the texts (default: named so, or the longest)")


def id_option() -> GroupedOption:
    """`--id COLUMN`."""
    return GroupedOption(
        ["--id", "identifier"], metavar="COLUMN", help="Column with the ids (default: _id, id or the like; else file and line)"
    )


VERB = Verb(
    "find",
    run,
    params=[
        click.Argument(["model"], metavar="MODEL"),
        click.Argument(["corpus"], metavar="CORPUS"),
        click.Argument(["query"], metavar="QUERY...", nargs=-1, required=True),
        GroupedOption(["--top"], metavar="N", type=int, default=10, show_default=True, help="Texts to show for each query"),
        text_option(),
        id_option(),
        *output_options(),
    ],
    summary="Finds the texts of a corpus that mean most nearly what a query means; every text is compared.",
    examples=(
        'luthier find runs/help/model articles.csv "how do I change my password"',
        'luthier find minilm corpus.jsonl "lift of a slender wing" --top 3',
        'luthier find runs/help/model articles.csv "refund" "late parcel" --json > found.json',
    ),
)

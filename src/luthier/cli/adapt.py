"""`luthier adapt`: make a language model at home in one's own texts, without labels. The flags are those of `tune`."""

from collections.abc import Sequence

import click

from luthier.cli import tune
from luthier.cli.command import Verb
from luthier.cli.options import spec_from_flags


def run(
    *,
    sources: Sequence[str],
    assignments: Sequence[str],
    plan: bool,
    resume: str | None,
    cluster: str | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
    **settings: object,
) -> int:
    """Find the task that fits the model, and tune; `settings` are the flags made from the spec."""
    given = [*sources, *assignments, *(value for value in settings.values() if value not in (None, ()))]
    if not given and resume is None:
        click.echo(VERB.get_short_help(click.get_current_context()))
        return 0
    if resume is None:
        from luthier.pipeline.adaptation import adaptation_of

        spec, chosen = adaptation_of(spec_from_flags(sources, settings, assignments))
        settings = {**settings, "task": spec.task}
        if not (quiet or as_json):
            click.echo(f"{chosen.value}: {chosen.reason}")
    return tune.run(
        sources=sources,
        assignments=assignments,
        plan=plan,
        resume=resume,
        cluster=cluster,
        workers=workers,
        as_json=as_json,
        quiet=quiet,
        **settings,
    )


VERB = Verb(
    "adapt",
    run,
    params=tune.VERB.params,
    summary="Trains a language model further on your texts, without labels; measures what it has learnt and forgotten.",
    examples=(
        "luthier adapt reports/ --model ./bert",
        "luthier adapt notes.txt --model ./gpt2 --general novels.txt",
        "luthier adapt tickets.csv --text message --model ./bert --general wiki/ --general-share 0.2",
        "luthier tune labelled.csv --target topic --model runs/reports-20260301-101500/model",
    ),
    main_flags=(
        "--model", "--text", "--general", "--general-share", "--method", "--num-epochs", "--max-length", "--out", "--plan",
        "--json",
    ),
)  # fmt: skip

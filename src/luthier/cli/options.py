"""Flags made from the spec: one for each key, with its description as help; and the way back, from flags to a spec."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from luthier.cli.command import GroupedOption
from luthier.core.keys import Key
from luthier.errors import SpecError
from luthier.spec import Given, TuneSpec, given_as_text, given_by_file, search_keys, settable_keys, spec_of

if TYPE_CHECKING:
    from luthier.pipeline.search_spec import SearchSpec

PANELS = {
    "": "Task",
    "data": "Data",
    "model": "Model",
    "model.head": "Head",
    "model.table": "Tables",
    "model.boxes": "Boxes",
    "training": "Training",
    "generation": "Written answers",
    "evaluation": "Evaluation",
    "output": "Output",
}
SEARCH_PANELS = {"search": "Search"}
SPEC_SUFFIXES = (".yaml", ".yml")


def setting_options(sections: Collection[str]) -> list[click.Parameter]:
    """One flag for each key of some sections."""
    return [_option(key) for key in (*search_keys(), *settable_keys()) if key.section in sections]


def set_option() -> GroupedOption:
    """`--set KEY=VALUE`."""
    return GroupedOption(
        ["--set", "assignments"],
        multiple=True,
        metavar="KEY=VALUE",
        help="Any key of the spec: training.num_epochs=5 (repeatable)",
    )


def output_options(*, quiet: bool = True) -> list[click.Parameter]:
    """The flags every verb has: how it prints."""
    options = [
        GroupedOption(["--json", "as_json"], is_flag=True, help="Print the result as JSON on stdout, all else on stderr"),
        GroupedOption(["--quiet"], is_flag=True, help="Print the result in one line, and what goes wrong"),
        GroupedOption(["--debug"], is_flag=True, expose_value=False, help="Show where in the program an error came from"),
    ]
    return [option for option in options if quiet or "--quiet" not in option.opts]


def spec_from_flags(
    sources: Sequence[str], settings: Mapping[str, Any], assignments: Sequence[str], *, job: Sequence[Given] = ()
) -> TuneSpec:
    """The spec that a command line means: a YAML file among the sources first, or a job, then `--set`, then flags.

    Args:
        sources: What stands after the verb: data, or one YAML file, or both (then the data replace the file's sources).
        settings: Values of the generated flags by keyword; None or () where the flag is absent.
        assignments: Values of `--set`.
        job: What a job for OpenAI's service says.

    Raises:
        SpecError: all mistakes of file and flags together.
    """
    spec, data = _spec_among(sources, verb="tune")
    if job and sources:
        raise SpecError(
            f"{' '.join(sources)} and --openai-job are both given: it is not clear what to train on.",
            remedy="name the data in the job, as training_file",
        )
    given = given_by_file(spec) if spec is not None else list(job)
    later, errors = _given_later(data, settings, assignments)
    return spec_of([*given, *later], earlier=errors)


def search_from_flags(sources: Sequence[str], settings: Mapping[str, Any], assignments: Sequence[str]) -> "SearchSpec":
    """The search that a command line means: as `spec_from_flags`, and any value may be a space.

    Raises:
        SpecError: all mistakes of file and flags together.
    """
    from luthier.pipeline.search_spec import search_file, search_of

    spec, data = _spec_among(sources, verb="search")
    given, where = search_file(spec) if spec is not None else ([], None)
    later, errors = _given_later(data, settings, assignments)
    return search_of([*given, *later], where=where, earlier=errors)


def _spec_among(sources: Sequence[str], *, verb: str) -> tuple[Path | None, list[str]]:
    """The one spec among what stands after the verb, and the rest."""
    specs = [source for source in sources if source.endswith(SPEC_SUFFIXES)]
    if len(specs) > 1:
        raise SpecError(f"A run has one spec; found {' and '.join(specs)}.", remedy=f"luthier {verb} {specs[0]}")
    return (Path(specs[0]) if specs else None), [source for source in sources if source not in specs]


def _given_later(
    data: Sequence[str], settings: Mapping[str, Any], assignments: Sequence[str]
) -> tuple[list[Given], list[SpecError]]:
    """What counts more than a spec file, and what is wrong about it."""
    given = [Given(written="sources", value=list(data))] if data else []
    errors: list[SpecError] = []
    for assignment in assignments:
        try:
            given.append(given_as_text(assignment))
        except SpecError as error:
            errors.append(error)
    by_keyword = {key.keyword: key for key in (*settable_keys(), *search_keys())}
    flags = {by_keyword[name]: value for name, value in settings.items() if value not in (None, ())}
    return [*given, *(Given(written=key.flag, value=value, style="flag") for key, value in flags.items())], errors


def _option(key: Key) -> GroupedOption:
    flags = [f"{key.flag}/--no-{key.flag.removeprefix('--')}" if key.is_switch else key.flag, key.keyword]
    return GroupedOption(
        flags,
        panel=(PANELS | SEARCH_PANELS)[key.section],
        help=_help(key),
        default=None,
        multiple=key.is_list,
        metavar=None if key.is_switch else _metavar(key),
        type=None if key.is_switch else click.UNPROCESSED,
    )


def _metavar(key: Key) -> str:
    if key.choices:
        return "CHOICE"
    return {int: "N", float: "NUMBER"}.get(key.annotation, "TEXT")


def _help(key: Key) -> str:
    choices = f" [{' | '.join(key.choices)}]" if key.choices else ""
    repeatable = " (repeatable)" if key.is_list else ""
    has_default = key.default not in (None, ()) and key.default is not False and "(default:" not in key.help
    return key.help + choices + repeatable + (f" (default: {key.default})" if has_default else "")

"""What a search was asked for: a spec in which some values are spaces. Every value of a space is judged by the spec itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luthier.core.keys import Key
from luthier.core.yaml_text import YamlValue, parse_yaml, read_yaml
from luthier.errors import SpecError, raise_together
from luthier.spec import Given, TuneSpec, all_keys, key_meant, read_given, spec_of
from luthier.studies.settings import SearchSettings
from luthier.studies.space import Choice, Dimension, Space, Value, Where, as_plain, every_dimension, every_value, parse_space
from luthier.studies.space import is_space as is_plain_space

# What may not differ between the trials of one search, and why.
ONE_FOR_ALL = {
    "": "it decides what the data are",
    "data": "trials on other rows cannot be compared",
    "evaluation": "it is about the test, which no trial sees",
    "output": "there is one folder",
    "search": "it is about the search itself",
    "training.seed": "the split depends on it, and trials on other rows cannot be compared",
    "training.device": "it is about the machine",
    "training.threads": "it is about the machine",
    "training.precision": "it is about the machine",
    "training.store": "it is about the machine",
    "training.budget": "trials end by steps, so that they can be repeated",
    "training.refit": "it is done once, after the search",
    "training.preflight": "it changes no result",
    "training.checkpoint_seconds": "a trial that was interrupted begins again",
}


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """A search.

    Attributes:
        base: What holds where nothing varies; its own section on searches is in `settings`.
        settings: How many trials, proposed and ended how.
        space: What varies; empty: what is usual for the method.
        fixed: Paths of the settings that were given a value.
    """

    base: TuneSpec
    settings: SearchSettings
    space: Space = ()
    fixed: frozenset[str] = field(default=frozenset())

    def to_yaml(self) -> str:
        """The spec of the search, from which it can be run again."""
        return self.base.model_copy(update={"search": self.settings}).to_yaml(spaces=as_plain(self.space))


def load_search(path: str | Path) -> SearchSpec:
    """The search of a YAML file.

    Raises:
        SpecError: the file cannot be read, or says something unknown; all mistakes together.
    """
    given, where = search_file(Path(path))
    return search_of(given, where=where)


def parse_search(text: str, *, name: str = "spec") -> SearchSpec:
    """The search of a YAML text; `name` is what messages call it.

    Example:
        >>> parse_search("sources: [a.csv]\\ntraining: {l1: {log: [1e-5, 1e-3]}}").space[0].path
        'training.l1'
    """
    whole = parse_yaml(text, name=name, whole=_paths())
    return search_of(read_given(whole, name), where=_places([*whole, *parse_yaml(text, name=name)], name))


def search_file(path: Path) -> tuple[list[Given], Where]:
    """The values of a YAML file with spaces left whole, not checked yet; and where each path, however deep, stands."""
    name = str(path)
    whole = read_yaml(path, whole=_paths())
    return read_given(whole, name), _places([*whole, *read_yaml(path)], name)


def _paths() -> list[str]:
    return [key.path for key in all_keys()]


def _places(items: Sequence[YamlValue], name: str) -> Where:
    def where(path: str) -> str:
        for item in items:
            if item.path == path or item.path.startswith(f"{path}."):
                return f"{name}, line {item.line}: "
        return ""

    return where


def search_of(given: Iterable[Given], *, where: Where | None = None, earlier: Sequence[SpecError] = ()) -> SearchSpec:
    """A search from values of any origin, later ones before earlier ones.

    Args:
        given: The values; some are spaces.
        where: Of a path in the file -> what to put before a message about it.
        earlier: Mistakes found before.

    Raises:
        SpecError: everything that is wrong, together.

    Example:
        >>> asked = search_of([Given(written="sources", value=["a.csv"]), Given(written="training.l1", value=[0.0, 1e-4])])
        >>> asked.space[0].domain.options[1].value, asked.base.sources
        (0.0001, ('a.csv',))
    """
    plain: list[Given] = []
    spaces: dict[str, Given] = {}
    for item in map(_parsed, given):
        key = key_meant(item)
        spaces.pop(key.path if key else "", None)
        if key is not None and is_plain_space(item.value, is_list=key.is_list):
            spaces[key.path] = item
        else:
            plain.append(item)
    errors = list(earlier)
    base = _or_note(errors, lambda: spec_of([item for item in plain if _path(item) not in spaces])) or TuneSpec()
    space: Space = ()
    for path, item in spaces.items():
        try:
            place = _place_of(item, path, where)
            space += _checked(parse_space({path: item.value}, where=place), base)
        except SpecError as error:
            errors.append(error)
    raise_together(errors)
    fixed = frozenset(path for item in plain if (path := _path(item)) not in spaces)
    return SearchSpec(
        base=base.model_copy(update={"search": SearchSettings()}),
        settings=base.search,
        space=_in_order(space),
        fixed=fixed,
    )


def space_of(values: Mapping[str, Any], base: TuneSpec) -> Space:
    """A space from YAML values by path, judged by the spec.

    Raises:
        SpecError: a value is not permitted; all mistakes together.
    """
    return _in_order(_checked(parse_space(values), base))


def _parsed(item: Given) -> Given:
    """What was typed on a command line may be a space, too: `--learning-rate '{log: [1e-5, 1e-3]}'`."""
    text = item.value
    if isinstance(text, str) and text.lstrip()[:1] in ("{", "["):
        return replace(item, value=parse_yaml(f"value: {text}", name=item.written, whole=["value"])[0].value)
    return item


def _path(item: Given) -> str:
    key = key_meant(item)
    return key.path if key is not None else item.written


def _or_note(errors: list[SpecError], make: Any) -> TuneSpec | None:
    try:
        made: TuneSpec = make()
    except SpecError as error:
        errors.append(error)
        return None
    return made


def _place_of(item: Given, path: str, where: Where | None) -> Where:
    if item.style == "path" and where is not None and where(path):
        return where
    return lambda _path: item.where or ("" if item.style == "path" else f"{item.written}: ")


def _checked(space: Space, base: TuneSpec) -> Space:
    """The space with its choices as the spec knows them (numbers as numbers).

    Raises:
        SpecError: a setting does not exist, may not vary, or does not take a value; all mistakes together.
    """
    errors: list[SpecError] = []
    for dimension in every_dimension(space):
        errors += _mistakes(dimension, base)
    raise_together(errors)
    return tuple(_canonical(dimension, base) for dimension in space)


def _in_order(space: Space) -> Space:
    """As the spec lists its keys, so that a search is the same however it was written."""
    order = {key.path: place for place, key in enumerate(all_keys())}
    return tuple(sorted(space, key=lambda dimension: order[dimension.path]))


def _mistakes(dimension: Dimension, base: TuneSpec) -> list[SpecError]:
    key = next((key for key in all_keys() if key.path == dimension.path), None)
    if key is not None and (why := _why_not(key)):
        return [
            SpecError(
                f"{dimension.where}{key.path} cannot vary within a search: {why}.",
                remedy=f"{key.name}: one value, and one search for each",
            )
        ]
    found: dict[str, SpecError] = {}
    for value in every_value(dimension):
        try:
            base.with_values({dimension.path: value})
        except SpecError as error:
            found.setdefault(error.problem, SpecError(f"{dimension.where}{error.problem}", remedy=error.remedy))
    return list(found.values())


def _why_not(key: Key) -> str:
    return ONE_FOR_ALL.get(key.path, ONE_FOR_ALL.get(key.section, ""))


def _canonical(dimension: Dimension, base: TuneSpec) -> Dimension:
    if not isinstance(dimension.domain, Choice):
        return dimension
    key = next(key for key in all_keys() if key.path == dimension.path)
    options = []
    for option in dimension.domain.options:
        value: Value = base.with_values({dimension.path: option.value}).value_of(key)
        options.append(replace(option, value=value, space=tuple(_canonical(item, base) for item in option.space)))
    return replace(dimension, domain=Choice(options=tuple(options)))

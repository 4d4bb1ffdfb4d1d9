"""The space of a search: which settings may vary, and how; read from plain YAML values, walked to draw one point of it.

    training:
      learning_rate: {log: [1e-5, 1e-3]}          a number, evenly on a logarithmic scale
      label_smoothing: {uniform: [0, 0.2]}        a number, evenly
      num_epochs: {int: [2, 5]}                   a whole number
      schedule: [linear, cosine]                  one of a list; the same as {choice: [linear, cosine]}
      method:
        choice:                                   with settings that exist only where this one was chosen
          probe: {}
          top-blocks:2: {head_learning_rate: {log: [1e-3, 1e-2]}, num_epochs: 3}

Whether a setting exists, and takes such values, is judged by whoever owns the settings; here only the form is.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from luthier.core.names import nearest_name
from luthier.errors import SpecError, raise_together

Value = bool | int | float | str | None
Where = Callable[[str], str]
FORMS = ("log", "uniform", "int", "choice")
POINTS_OF_A_RANGE = 5  # that a grid tries


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        log: Evenly spread on a logarithmic scale.
        whole: Whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Option:
    """One value of a choice, and what may vary only where it was chosen."""

    value: Value
    space: "tuple[Dimension, ...]" = ()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values."""

    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One setting that may vary.

    Attributes:
        path: Of the setting: `training.learning_rate`.
        name: What the study calls it: the path, behind the choices it depends on.
        where: Where it was written, to put before a message: `spec.yaml, line 3: `.
    """

    path: str
    name: str
    domain: Range | Choice
    where: str = field(default="", compare=False)


Space = tuple[Dimension, ...]
Point = Mapping[str, float]  # name of a dimension -> what `Suggest` gives for it; may leave some out
# What proposes a value: takes the dimension, gives a number for a range, the number of an option for a choice.
Suggest = Callable[[Dimension], float]


def is_space(value: object, *, is_list: bool = False) -> bool:
    """Whether a YAML value says what may vary rather than what holds.

    Args:
        value: As YAML gave it.
        is_list: Whether the setting itself takes a list.

    Example:
        >>> is_space({"log": [1e-5, 1e-3]}), is_space(["linear", "cosine"]), is_space(3), is_space(["a"], is_list=True)
        (True, True, False, False)
    """
    return isinstance(value, Mapping) or (isinstance(value, list) and not is_list)


def parse_space(values: Mapping[str, object], *, where: Where = lambda _path: "") -> Space:
    """The space that some YAML values describe.

    Args:
        values: Path of the setting -> a form of the table above.
        where: Of a path (choices below it joined by dots) -> what to put before a message about it.

    Raises:
        SpecError: all values that are none of the forms, together.

    Example:
        >>> space = parse_space({"training.learning_rate": {"log": ["1e-5", 1e-3]}})
        >>> space[0].domain
        Range(low=1e-05, high=0.001, log=True, whole=False)
    """
    errors: list[SpecError] = []
    space = _dimensions(values, prefix="", place="", where=where, errors=errors)
    raise_together(errors)
    return space


def draw(space: Space, suggest: Suggest) -> dict[str, Value]:
    """One point of a space: path -> value, of every setting that exists there.

    Example:
        >>> branches = {"probe": {}, "full": {"learning_rate": {"log": [1e-5, 1e-3]}}}
        >>> space = parse_space({"training.method": {"choice": branches}})
        >>> draw(space, lambda dimension: 1 if dimension.path == "training.method" else 1e-4)
        {'training.method': 'full', 'training.learning_rate': 0.0001}
    """
    values: dict[str, Value] = {}
    for dimension in space:
        proposed = suggest(dimension)
        if isinstance(dimension.domain, Range):
            values[dimension.path] = int(proposed) if dimension.domain.whole else float(proposed)
            continue
        option = dimension.domain.options[int(proposed)]
        values[dimension.path] = option.value
        values |= draw(option.space, suggest)
    return values


def point_of(space: Space, value_of: Callable[[str], Value]) -> dict[str, float]:
    """The point that has given values, as far as they lie in the space; the others are left out.

    Args:
        space: The space.
        value_of: Path of a setting -> its value.

    Example:
        >>> space = parse_space({"training.schedule": ["linear", "cosine"], "training.l1": {"uniform": [0.1, 1]}})
        >>> point_of(space, {"training.schedule": "cosine", "training.l1": 0.0}.get)
        {'training.schedule': 1.0}
    """
    found: dict[str, float] = {}
    for dimension in space:
        domain, value = dimension.domain, value_of(dimension.path)
        if isinstance(domain, Choice):
            for place, option in enumerate(domain.options):
                found |= point_of(option.space, value_of)  # only that of the option that is taken will be asked for
                if option.value == value:
                    found[dimension.name] = float(place)
        elif _lies_in(domain, value):
            found[dimension.name] = float(str(value))
    return found


def _lies_in(domain: Range, value: Value) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not domain.low <= value <= domain.high:
        return False
    return not domain.whole or float(value).is_integer()


def every_dimension(space: Space) -> Iterator[Dimension]:
    """All dimensions, those below choices included."""
    for dimension in space:
        yield dimension
        if isinstance(dimension.domain, Choice):
            for option in dimension.domain.options:
                yield from every_dimension(option.space)


def every_value(dimension: Dimension) -> list[Value]:
    """The values that show whether a setting takes what a dimension gives: both ends of a range, all options of a choice."""
    if isinstance(dimension.domain, Choice):
        return [option.value for option in dimension.domain.options]
    kind = int if dimension.domain.whole else float
    return [kind(dimension.domain.low), kind(dimension.domain.high)]


def points(domain: Range | Choice) -> list[float]:
    """What a grid tries of a dimension: every option, every whole number of a few, else evenly spread points.

    Example:
        >>> [round(point, 6) for point in points(Range(low=1e-5, high=1e-3, log=True))]
        [1e-05, 3.2e-05, 0.0001, 0.000316, 0.001]
        >>> points(Range(low=1, high=3, whole=True))
        [1.0, 2.0, 3.0]
    """
    if isinstance(domain, Choice):
        return [float(place) for place in range(len(domain.options))]
    low, high = (math.log(end) if domain.log else end for end in (domain.low, domain.high))
    spread = [low + (high - low) * place / (POINTS_OF_A_RANGE - 1) for place in range(POINTS_OF_A_RANGE)]
    values = [domain.low, *((math.exp(item) if domain.log else item) for item in spread[1:-1]), domain.high]
    if domain.whole:
        few = domain.high - domain.low < POINTS_OF_A_RANGE
        values = [float(n) for n in range(int(domain.low), int(domain.high) + 1)] if few else [float(round(v)) for v in values]
    return list(dict.fromkeys(values))


def grid(space: Space) -> list[dict[str, float]]:
    """Every point of the grid: name of the dimension -> what `Suggest` gives; dimensions that do not exist there are absent.

    Example:
        >>> branches = {"probe": {}, "full": {"num_epochs": {"int": [1, 2]}}}
        >>> len(grid(parse_space({"training.method": {"choice": branches}, "training.seed": [0, 1]})))
        6
    """
    parts: list[list[dict[str, float]]] = []
    for dimension in space:
        here: list[dict[str, float]] = []
        for point in points(dimension.domain):
            below = grid(dimension.domain.options[int(point)].space) if isinstance(dimension.domain, Choice) else [{}]
            here += [{dimension.name: point, **rest} for rest in below]
        parts.append(here)
    return [{name: value for part in parts_of for name, value in part.items()} for parts_of in itertools.product(*parts)]


def as_plain(space: Space, *, section: str = "") -> dict[str, Any]:
    """The space as YAML values, from which `parse_space` makes it again; keys of `section` without its name.

    Example:
        >>> as_plain(parse_space({"training.seed": [0, 1]}))
        {'training.seed': {'choice': [0, 1]}}
    """
    return {
        dimension.path.removeprefix(f"{section}."): _plain_domain(dimension.domain, dimension.path.rpartition(".")[0])
        for dimension in space
    }


def _plain_domain(domain: Range | Choice, section: str) -> Any:
    if isinstance(domain, Choice):
        if any(option.space for option in domain.options):
            return {"choice": {str(option.value): as_plain(option.space, section=section) for option in domain.options}}
        return {"choice": [option.value for option in domain.options]}
    ends = [int(domain.low), int(domain.high)] if domain.whole else [domain.low, domain.high]
    return {"int" if domain.whole else "log" if domain.log else "uniform": ends}


def _dimensions(
    values: Mapping[str, object], *, prefix: str, place: str, where: Where, errors: list[SpecError]
) -> tuple[Dimension, ...]:
    found = []
    for path, value in values.items():
        here = f"{place}{path}"
        try:
            domain = _domain(path, value, prefix=f"{prefix}{path}=", place=here, where=where, errors=errors)
        except SpecError as error:
            errors.append(SpecError(f"{where(here)}{error.problem}", remedy=error.remedy))
            continue
        found.append(Dimension(path=path, name=f"{prefix}{path}", domain=domain, where=where(here)))
    return tuple(found)


def _domain(path: str, value: object, *, prefix: str, place: str, where: Where, errors: list[SpecError]) -> Range | Choice:
    if isinstance(value, Mapping):
        if len(value) != 1 or (form := str(next(iter(value)))) not in FORMS:
            raise _unknown_form(path, value)
        inside = value[form]
        if form != "choice":
            return _range(path, form, inside)
        if isinstance(inside, Mapping):
            section = path.rpartition(".")[0]
            options = []
            for name, below in inside.items():
                given = _subspace(path, str(name), below, section)
                rest = f"{place}.choice.{name}."
                space = _dimensions(
                    given, prefix=f"{prefix}{name} / ", place=rest, where=_short(where, rest, section), errors=errors
                )
                options.append(Option(value=name, space=space))
            return _choice(path, options)
        value = inside
    if isinstance(value, list):
        return _choice(path, [Option(value=item) for item in value])
    return Choice(options=(Option(value=_scalar(path, value)),))


def _short(where: Where, place: str, section: str) -> Where:
    """Keys below a choice may be written without their section; the file knows them as they were written."""
    return lambda path: where(path) or where(path.replace(f"{place}{section}.", place, 1))


def _subspace(path: str, name: str, below: object, section: str) -> dict[str, object]:
    if below is None:
        return {}
    if not isinstance(below, Mapping):
        raise SpecError(
            f"{path}: below '{name}' stand the settings that exist only there; found {below!r}.",
            remedy=f"{name}: {{}}, or {name}: {{learning_rate: {{log: [1e-5, 1e-3]}}}}",
        )
    return {str(key) if "." in str(key) else f"{section}.{key}": value for key, value in below.items()}


def _choice(path: str, options: Sequence[Option]) -> Choice:
    values = [_scalar(path, option.value) for option in options]
    repeated = [value for place, value in enumerate(values) if value in values[:place]]
    if not options or repeated:
        what = f"names {repeated[0]!r} twice" if repeated else "names no value"
        raise SpecError(f"{path}: the choice {what}.", remedy=f"{path.rpartition('.')[2]}: {{choice: [linear, cosine]}}")
    return Choice(options=tuple(options))


def _scalar(path: str, value: object) -> Value:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise SpecError(f"{path}: {value!r} is no single value.", remedy=f"{path.rpartition('.')[2]}: {{choice: [1, 2]}}")


def _range(path: str, form: str, ends: object) -> Range:
    example = {"log": "{log: [1e-5, 1e-3]}", "uniform": "{uniform: [0, 0.2]}", "int": "{int: [1, 4]}"}[form]
    remedy = f"{path.rpartition('.')[2]}: {example}"
    numbers = [_number(item) for item in ends] if isinstance(ends, list) else []
    if len(numbers) != 2 or None in numbers:
        raise SpecError(f"{path}: '{form}' needs its two ends, as numbers; found {ends!r}.", remedy=remedy)
    low, high = (float(item) for item in numbers if item is not None)
    if form == "int" and not (low.is_integer() and high.is_integer()):
        raise SpecError(f"{path}: 'int' needs whole numbers; found {ends!r}.", remedy=remedy)
    if not low < high:
        raise SpecError(f"{path}: '{form}' goes from a smaller number to a larger one; found {ends!r}.", remedy=remedy)
    if form == "log" and low <= 0:
        raise SpecError(f"{path}: a logarithmic scale begins above 0; found {ends!r}.", remedy=remedy)
    return Range(low=low, high=high, log=form == "log", whole=form == "int")


def _number(value: object) -> float | None:
    """YAML takes 1e-5, without a point, for text."""
    try:
        number = None if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _unknown_form(path: str, value: Mapping[Any, Any]) -> SpecError:
    found = ", ".join(map(str, value)) or "nothing"
    guess = next((near for word in value if (near := nearest_name(str(word), FORMS))), "")
    hint = f" Did you mean '{guess}'?" if guess else ""
    return SpecError(
        f"{path}: a space is one of log, uniform, int or choice; found {found}.{hint}",
        remedy=f"{path.rpartition('.')[2]}: {{{guess or 'log'}: {'[1, 2]' if guess in ('int', 'choice') else '[1e-5, 1e-3]'}}}",
    )

"""The spec: everything that can be said about a run, composed of the settings that each package owns.

A spec is written as YAML (keys grouped in sections), as flags or as keywords; the words are the same, and all three meet
here. Mistakes are reported together, each with the nearest thing that exists.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from luthier.core.keys import Key, either, key_of, nearest_key
from luthier.core.names import nearest_name
from luthier.core.settings import Settings
from luthier.core.yaml_text import YamlValue, parse_yaml, read_yaml, write_block, write_scalar
from luthier.data.settings import DataSettings
from luthier.errors import SpecError, raise_together
from luthier.evaluation.settings import EvaluationSettings
from luthier.models.settings import BoxSettings, GenerationSettings, HeadSettings, ModelSettings, TableSettings
from luthier.output import OutputSettings
from luthier.studies.settings import SearchSettings
from luthier.training.settings import TrainingSettings

SECTIONS: Mapping[str, type[Settings]] = {
    "data": DataSettings,
    "model": ModelSettings,
    "model.head": HeadSettings,
    "model.table": TableSettings,
    "model.boxes": BoxSettings,
    "training": TrainingSettings,
    "generation": GenerationSettings,
    "evaluation": EvaluationSettings,
    "output": OutputSettings,
    "search": SearchSettings,
}
SEARCH = "search"  # the section that belongs to one verb

# Keys whose values are the members of a family; it is imported when such a value is given.
FAMILIES = {
    "task": "luthier.tasks:TASKS",
    "training.method": "luthier.training.methods:METHODS",
    "training.optimizer": "luthier.training.optimizer:OPTIMIZERS",
    "training.schedule": "luthier.training.schedules:SCHEDULES",
    "training.loss": "luthier.tasks.losses:LOSSES",
    "search.sampler": "luthier.studies.samplers:SAMPLERS",
    "search.pruner": "luthier.studies.pruners:PRUNERS",
}

# Keys whose values may carry an argument behind a colon that can be judged without a model: what makes the member, or refuses.
BUILDERS = {
    "training.optimizer": "luthier.training.optimizer:build_recipe",
    "training.schedule": "luthier.training.schedules:build_schedule",
    "training.loss": "luthier.tasks.losses:build_loss",
}


class TuneSpec(Settings):
    """All settings of one run.

    Example:
        >>> spec = build_spec("tickets.csv", target="category", num_epochs=3)
        >>> spec.data.target, spec.training.num_epochs
        ('category', 3.0)
    """

    schema_version: Literal[1] = Field(1, description="Version of this file's format")
    sources: tuple[str, ...] = Field((), description="Files and folders with the data; a.csv:2 b.csv:1 mixes by weight")
    task: str = Field("auto", description="Kind of problem, such as text-classification (auto: judged from the columns)")
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    generation: GenerationSettings = GenerationSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    output: OutputSettings = OutputSettings()
    search: SearchSettings = SearchSettings()

    def value_of(self, key: Key) -> Any:
        """The value of one key."""
        owner: Any = self
        for word in filter(None, key.section.split(".")):
            owner = getattr(owner, word)
        return getattr(owner, key.name)

    def with_values(self, values: Mapping[str, Any]) -> "TuneSpec":
        """The same spec with other values, by path: `{"training.num_epochs": 3}`; they are checked.

        Raises:
            SpecError: a path does not exist, or a value is not permitted.
        """
        return spec_of([Given(written=path, value=value) for path, value in values.items()], base=self)

    def to_yaml(self, *, spaces: Mapping[str, Any] | None = None) -> str:
        """The spec in full, each key below a comment that says what it means; the section `search` only for a search.

        Args:
            spaces: Path -> what may vary, of the keys of a search that have no single value.
        """
        searches = spaces is not None
        lines = [f"# A Luthier spec. Run it with: luthier {'search' if searches else 'tune'} FILE"]
        opened = ""
        for key in [key for key in all_keys() if key.section != SEARCH or searches]:
            words = key.section.split(".") if key.section else []
            indent = "  " * len(words)
            if key.section != opened:
                lines += [*([""] if len(words) == 1 else []), f"{indent[2:]}{words[-1]}:"]
                opened = key.section
            permitted = f" [{' | '.join(key.choices)}]" if len(key.choices) > 1 else ""
            lines.append(f"{indent}# {key.help}{permitted}")
            space = (spaces or {}).get(key.path)
            written = f"{key.name}: {write_scalar(self.value_of(key))}" if space is None else write_block({key.name: space})
            lines += [f"{indent}{line}" for line in written.splitlines()]
        return "\n".join(lines) + "\n"


Style = Literal["path", "keyword", "flag"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """One value as someone gave it.

    Attributes:
        written: The key as it was written: `training.num_epochs`, `num_epochs` or `--num-epochs`.
        value: As YAML or Python gave it; numbers may also be text.
        where: What to put before a message: `spec.yaml, line 3: `.
        style: How keys are written there.
    """

    written: str
    value: Any
    where: str = ""
    style: Style = "path"


@cache
def all_keys() -> tuple[Key, ...]:
    """Every key of a spec, top level first, in the order of its sections."""
    kinds: Mapping[str, type[Settings]] = {"": TuneSpec, **SECTIONS}
    return tuple(
        key_of(section, name, info)
        for section, kind in kinds.items()
        for name, info in kind.model_fields.items()
        if f"{section}.{name}".lstrip(".") not in SECTIONS
    )


@cache
def settable_keys() -> tuple[Key, ...]:
    """The keys that are flags and keywords of every verb: all but sources and version, and but those of the search."""
    return tuple(key for key in all_keys() if key.path not in ("sources", "schema_version") and key.section != SEARCH)


@cache
def search_keys() -> tuple[Key, ...]:
    """The keys that are flags and keywords of `luthier search` alone."""
    return tuple(key for key in all_keys() if key.section == SEARCH)


def refuse_search(spec: TuneSpec) -> None:
    """Raise SpecError if a spec says something about a search, which no other verb can do anything about."""
    said = [key for key in search_keys() if spec.value_of(key) != key.default]
    if said:
        raise SpecError(
            f"{said[0].path} belongs to a search; this is a single run.",
            remedy="luthier search, or leave the section 'search' out",
        )


def load_spec(path: str | Path) -> TuneSpec:
    """The spec of a YAML file.

    Raises:
        SpecError: the file cannot be read, or says something unknown; all mistakes together.
    """
    return spec_of(given_by_file(Path(path)))


def parse_spec(text: str, *, name: str = "spec") -> TuneSpec:
    """The spec of a YAML text; `name` is what messages call it.

    Example:
        >>> parse_spec("sources: [tickets.csv]\\nmodel: minilm").model.name
        'minilm'
    """
    return spec_of(read_given(parse_yaml(text, name=name, whole=[key.path for key in all_keys()]), name))


def given_by_file(path: Path) -> list[Given]:
    """The values of a YAML file, not checked yet."""
    return read_given(read_yaml(path, whole=[key.path for key in all_keys()]), str(path))


def read_given(items: Sequence[YamlValue], name: str) -> list[Given]:
    """The values of YAML text called `name`, not checked yet.

    Raises:
        SpecError: the same key was given twice, in two ways of writing it.
    """
    given = [Given(written=item.path, value=item.value, where=f"{name}, line {item.line}: ") for item in items]
    seen: dict[Key, Given] = {}
    for item in given:
        if (key := key_meant(item)) and (first := seen.setdefault(key, item)) is not item:
            raise SpecError(
                f"{item.where}'{item.written}' was given before, as '{first.written}'.", remedy="keep one of the two lines"
            )
    return given


def build_spec(sources: str | Path | Sequence[str | Path], **settings: object) -> TuneSpec:
    """A spec from keywords: the last word of each key, `model` for `model.name`.

    Args:
        sources: Files and folders with the data.
        settings: Any key of the spec, by its last word; `luthier tune --help` lists them with their meaning.

    Raises:
        SpecError: a keyword does not exist, or a value is not permitted; all mistakes together.
    """
    names = [sources] if isinstance(sources, str | Path) else list(sources)
    given = [Given(written="sources", value=[str(name) for name in names])]
    return spec_of([*given, *(Given(written=name, value=value, style="keyword") for name, value in settings.items())])


def given_as_text(assignment: str) -> Given:
    """The value of `training.num_epochs=5`, as `--set` takes it; `null` takes a value away.

    Raises:
        SpecError: there is no `=`.
    """
    path, equals, text = assignment.partition("=")
    if not equals:
        raise SpecError(f"--set needs KEY=VALUE; found '{assignment}'.", remedy="--set training.num_epochs=5")
    key = next((key for key in all_keys() if key.path == path.strip()), None)
    value: object = None if text == "null" else text
    if key and key.is_list and value is not None:
        value = next(item.value for item in parse_yaml(f"list: {text}", name="--set")) if text.startswith("[") else [text]
    return Given(written=path.strip(), value=value, where="--set: ")


def spec_of(given: Iterable[Given], *, base: TuneSpec | None = None, earlier: Sequence[SpecError] = ()) -> TuneSpec:
    """A spec from values of any origin, later ones before earlier ones.

    Args:
        given: The values.
        base: A spec that holds where nothing is given.
        earlier: Mistakes found before, to be reported with those found here.

    Raises:
        SpecError: all unknown keys and all values that are not permitted, together.
    """
    chosen: dict[Key, Given] = {}
    errors = list(earlier)
    for item in given:
        key = key_meant(item)
        if key:
            chosen[key] = item
        elif not (item.written in SECTIONS and item.value is None):
            errors.append(_unknown(item))
    wrong = [key for key, item in chosen.items() if _is_wrong_kind(key, item.value) or _is_unknown_member(key, item.value)]
    spec = TuneSpec()
    try:
        spec = TuneSpec.model_validate(_nested(chosen, base))
    except ValidationError as error:
        wrong += [key for key in chosen if key.path in _places(error) and key not in wrong]
    arguments = [_refused_argument(key, item) for key, item in chosen.items() if key not in wrong]
    raise_together([*errors, *(_not_permitted(key, chosen[key]) for key in wrong), *filter(None, arguments)])
    return spec


def _refused_argument(key: Key, item: Given) -> SpecError | None:
    if key.path not in BUILDERS:
        return None
    module, _, attribute = BUILDERS[key.path].partition(":")
    try:
        getattr(import_module(module), attribute)(item.value)
    except SpecError as error:
        return SpecError(f"{item.where}{error.problem}", remedy=error.remedy)
    return None


def key_meant(item: Given) -> Key | None:
    """The key that a value was given for, if there is such a key."""
    written = "model.name" if item.style == "path" and item.written == "model" else item.written
    return next((key for key in all_keys() if written == _styled(key, item.style)), None)


def _styled(key: Key, style: Style) -> str:
    return {"path": key.path, "keyword": key.keyword, "flag": key.flag}[style]


def _nested(chosen: Mapping[Key, Given], base: TuneSpec | None) -> dict[str, Any]:
    values: dict[str, Any] = base.model_dump() if base else {}
    for key, item in chosen.items():
        target = values
        for word in filter(None, key.section.split(".")):
            target = target.setdefault(word, {})
        target[key.name] = [item.value] if key.is_list and isinstance(item.value, str) else item.value
    return values


def _is_wrong_kind(key: Key, value: object) -> bool:
    # Python takes True for 1, and infinity for a number; nobody who writes `num_epochs: yes` means 1.
    return (isinstance(value, bool) and not key.is_switch) or (isinstance(value, float) and not math.isfinite(value))


def _is_unknown_member(key: Key, value: object) -> bool:
    members = _members(key) if isinstance(value, str) and value != key.default else ()
    return bool(members) and str(value).partition(":")[0] not in members


def _members(key: Key) -> tuple[str, ...]:
    """The permitted words of a key: those its type lists, or the members of its family and `auto` where that is the default."""
    if key.path not in FAMILIES:
        return key.choices
    module, _, attribute = FAMILIES[key.path].partition(":")
    automatic = [key.default] if key.default == "auto" else []
    return (*automatic, *getattr(import_module(module), attribute))


def _places(error: ValidationError) -> set[str]:
    return {_path_of(detail["loc"]) for detail in error.errors()}


def _path_of(location: Sequence[int | str]) -> str:
    """The key's part of a place: what goes on behind it (the third of a list) is not the user's."""
    path = str(location[0])
    for part in location[1:]:
        if path not in SECTIONS:
            break
        path = f"{path}.{part}"
    return path


def _not_permitted(key: Key, item: Given) -> SpecError:
    if key.path == "schema_version":
        return SpecError(
            f"{item.where}the spec has format version {item.value}; this Luthier reads version 1.",
            remedy="pip install --upgrade luthier",
        )
    if isinstance(item.value, Mapping):
        return SpecError(
            f"{item.where}{key.path} is a space, not a value: that is for a search.", remedy="luthier search, or one value"
        )
    shown = f"'{item.value}'" if isinstance(item.value, str) else f"{item.value}"
    members = _members(key)
    guess = _nearest_member(str(item.value), members)
    expected = either(members) if members else key.expected
    hint = f" Did you mean '{guess}'?" if guess else ""
    value = guess or (write_scalar(key.default) if key.default not in (None, ()) else "")
    name = _styled(key, item.style)
    join = {"path": ": ", "keyword": "=", "flag": " "}[item.style]
    remedy = f"{name}{join}{value}" if value else f"leave {name} out, which means: {_what_default_means(key)}"
    return SpecError(f"{item.where}{name} is {shown}; expected {expected}.{hint}", remedy=remedy)


def _nearest_member(value: str, members: Sequence[str]) -> str | None:
    """The member most like a value, with the argument that was given: `lora:8` for `loar:8`."""
    word, colon, argument = value.partition(":")
    guess = nearest_name(word, members)
    return f"{guess}{colon}{argument}" if guess else None


def _what_default_means(key: Key) -> str:
    return key.help.partition("(default: ")[2].removesuffix(")") or "not set"


def _unknown(item: Given) -> SpecError:
    noun = {"path": "key", "keyword": "keyword", "flag": "flag"}[item.style]
    if item.style == "path" and item.written in SECTIONS:
        first = next(iter(SECTIONS[item.written].model_fields))
        return SpecError(
            f"{item.where}'{item.written}' is a section; found {item.value!r} instead of its keys.",
            remedy=f"{item.written}: {{{first}: ...}}",
        )
    guess = nearest_key(item.written, all_keys())
    if guess is None:
        return SpecError(f"{item.where}Unknown {noun} '{item.written}'.", remedy="luthier tune --help lists every key and flag")
    meant = _styled(guess, item.style)
    if item.style == "path" and guess.name == item.written.rpartition(".")[2]:
        home = f"the section '{guess.section}'" if guess.section else "the top level, outside of the sections"
        return SpecError(f"{item.where}Unknown key '{item.written}': '{guess.name}' belongs to {home}.", remedy=meant)
    return SpecError(f"{item.where}Unknown {noun} '{item.written}'. Did you mean '{meant}'?", remedy=meant)


def unknown_flag(flag: str) -> SpecError:
    """The error for a flag that does not exist, with the nearest one that does.

    Example:
        >>> print(unknown_flag("--lr"))
        Unknown flag '--lr'. Did you mean '--learning-rate'?
          Try: --learning-rate
    """
    return _unknown(Given(written=flag, value=None, style="flag"))

"""Settings as keys: each field of a settings record is one YAML key, one flag and one keyword, with one help text.

Here a key is looked up by what a user typed, and what it accepts is put into words. Nothing here knows which settings exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from luthier.core.names import nearest_name

# What other programs call the same thing; too unlike our word for a match by letters.
FOREIGN_NAMES = {
    "lr": "learning_rate",
    "epochs": "num_epochs",
    "label": "target",
    "labels": "target",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "output": "out",
    "output_dir": "out",
    "wd": "weight_decay",
    "bs": "batch_size",
    "warmup": "warmup_fraction",
    "workers": "threads",
    "dtype": "precision",
}


@dataclass(frozen=True, kw_only=True)
class Key:
    """One thing that can be set.

    Attributes:
        section: The section of the spec it belongs to; empty at the top level. A section within another is written with a
            dot: `model.head`.
        name: Its name within the section.
        annotation: The type of its value, without `None`.
        optional: Whether `None` is a value.
        default: What holds if it is not set.
        help: Its description.
        bounds: What a number must keep to, in words: `("above 0", "below 1")`.
        words: What may stand instead of a number: `("auto",)`.
    """

    section: str
    name: str
    annotation: Any
    optional: bool
    default: Any
    help: str
    bounds: tuple[str, ...] = field(default=())
    words: tuple[str, ...] = field(default=())

    @property
    def path(self) -> str:
        """The key as YAML and `--set` know it: `training.num_epochs`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def keyword(self) -> str:
        """The key as Python knows it: the last word; a section's `name` is called like the section (`model`).

        In a section within another, that section's own word goes before it: `head_width` for `model.head.width`.
        """
        outer, _, inner = self.section.rpartition(".")
        if outer:
            return f"{inner}_{self.name}"
        return self.section if self.section and self.name == "name" else self.name

    @property
    def flag(self) -> str:
        """The key as the command line knows it: `--num-epochs`."""
        return "--" + self.keyword.replace("_", "-")

    @property
    def choices(self) -> tuple[str, ...]:
        """The permitted words, where they are listed."""
        return tuple(map(str, get_args(self.annotation))) if get_origin(self.annotation) is Literal else ()

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.annotation is bool

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.annotation) is tuple

    @property
    def expected(self) -> str:
        """What it accepts, in words: `a number above 0`."""
        if self.choices:
            return either(self.choices)
        if self.is_list:
            return "a list of texts"
        nouns = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "text (in quotes, if it looks like a number)",
        }
        number = " ".join([nouns[self.annotation], " and ".join(self.bounds)]).strip()
        return " or ".join([number, *self.words])


def key_of(section: str, name: str, info: FieldInfo) -> Key:
    """The key of one field of a settings record."""
    kinds, optional = _kinds(info.annotation)
    numbers = [kind for kind in kinds if get_origin(kind) is not Literal] if len(kinds) > 1 else kinds
    bounded = get_origin(numbers[0]) is Annotated
    constraints = [*info.metadata, *(numbers[0].__metadata__ if bounded else ())]
    return Key(
        section=section,
        name=name,
        annotation=get_args(numbers[0])[0] if bounded else numbers[0],
        optional=optional,
        default=info.get_default(call_default_factory=True, validated_data={}),
        help=info.description or "",
        bounds=tuple(words for item in constraints if (words := _bound(item))),
        words=tuple(word for kind in kinds if kind not in numbers for word in map(str, get_args(kind))),
    )


def nearest_key(written: str, keys: Sequence[Key]) -> Key | None:
    """The key a user most likely meant by a path, keyword or flag that does not exist."""
    path = written.removeprefix("--").replace("-", "_")
    section, _, name = path.rpartition(".")
    name = FOREIGN_NAMES.get(name, name)
    inside = {key.name: key for key in keys if key.section == section} if section else {}
    by_name = {key.name: key for key in keys} | {key.keyword: key for key in keys}
    by_path = {key.path: key for key in keys}
    for candidates, wanted in ((inside, name), (by_name, name), (by_path, path)):
        if nearest := wanted if wanted in candidates else nearest_name(wanted, candidates):
            # An exact name in another section beats a near name in this one.
            return by_name.get(name) or candidates[nearest]
    return None


def _kinds(annotation: Any) -> tuple[list[Any], bool]:
    """The types a value may have, and whether `None` is one more."""
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation], False
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds, len(kinds) < len(get_args(annotation))


def _bound(constraint: Any) -> str:
    match constraint:
        case Ge(ge=limit):
            return f"of at least {limit}"
        case Gt(gt=limit):
            return f"above {limit}"
        case Le(le=limit):
            return f"of at most {limit}"
        case Lt(lt=limit):
            return f"below {limit}"
    return ""


def either(words: Sequence[str]) -> str:
    """Words to choose from, as in a sentence.

    Example:
        >>> either(["auto", "off", "int8"])
        'auto, off or int8'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

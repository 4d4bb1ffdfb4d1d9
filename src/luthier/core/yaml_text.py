"""YAML from people, read safely: small, flat, without anchors, tags or repeated keys; every value knows its line."""

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from luthier.core.names import count_of
from luthier.core.storage import format_bytes
from luthier.errors import SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 8


@dataclass(frozen=True, kw_only=True)
class YamlValue:
    """One value that is no mapping, with the keys that lead to it joined by dots, and its line (from 1)."""

    path: str
    value: Any
    line: int


def read_yaml(path: Path, *, whole: Collection[str] = ()) -> list[YamlValue]:
    """The values of a YAML file, in order; `whole` as in `parse_yaml`.

    Raises:
        SpecError: the file is missing, too large, not UTF-8, or no plain YAML mapping.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SpecError(
                f"{path} has {format_bytes(size)}; a spec has at most 1 MB.", remedy="name the file that holds the spec"
            )
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8: byte {error.start} is no letter.", remedy="save the file as UTF-8") from error
    except OSError as error:
        raise SpecError(f"Cannot read the spec {path}: {error.strerror}.", remedy="check the name of the file") from error
    return parse_yaml(text, name=str(path), whole=whole)


def parse_yaml(text: str, *, name: str, whole: Collection[str] = ()) -> list[YamlValue]:
    """The values of a YAML text, in order.

    Args:
        text: The YAML.
        name: What messages call it.
        whole: Paths whose mappings are values themselves, and not taken apart.

    Example:
        >>> [(item.path, item.value, item.line) for item in parse_yaml("task: auto\\ntraining:\\n  seed: 7", name="spec.yaml")]
        [('task', 'auto', 1), ('training.seed', 7, 3)]
        >>> parse_yaml("training: {seed: {int: [1, 9]}}", name="spec.yaml", whole=["training.seed"])[0].value
        {'int': [1, 9]}

    Raises:
        SpecError: it is not YAML, not a mapping, or uses what a spec needs not.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise SpecError(f"{name} is larger than 1 MB.", remedy="name the file that holds the spec")
    try:
        _refuse_dangers(text, name)
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return []
        if not isinstance(root, yaml.MappingNode):
            raise SpecError(f"{name} holds no 'key: value' lines.", remedy="sources: [tickets.csv]")
        return list(_walk(loader, root, name=name, whole=whole))
    except yaml.YAMLError as error:
        raise SpecError(f"{name}{_place_of(error)} is not valid YAML: {_first_line(error)}.", remedy="key: value") from error
    except ValueError as error:
        raise SpecError(f"{name} holds a value that cannot be read: {error}.", remedy="put the value in quotes") from error


def write_scalar(value: Any) -> str:
    """A value on one line of YAML.

    Example:
        >>> write_scalar(None), write_scalar("no"), write_scalar(("a", "b")), write_scalar(1e-05)
        ('null', "'no'", '[a, b]', '1.0e-05')
    """
    plain = list(value) if isinstance(value, tuple) else value
    parts = plain if isinstance(plain, list) else [plain]
    # Line breaks inside a plain or single-quoted scalar would be folded by the reader.
    style = None if all(not isinstance(part, str) or part.isprintable() for part in parts) else '"'
    dumped: str = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=float("inf"), default_style=style)
    return dumped.removesuffix("\n").removesuffix("\n...")


def write_block(value: Mapping[str, Any]) -> str:
    """A mapping as YAML over several lines, the innermost lists and mappings on one.

    Example:
        >>> print(write_block({"method": {"choice": {"probe": {}, "full": {"seed": [1, 2]}}}}))
        method:
          choice:
            probe: {}
            full:
              seed: [1, 2]
    """
    dumped: str = yaml.safe_dump(value, default_flow_style=None, allow_unicode=True, width=float("inf"), sort_keys=False)
    return dumped.rstrip("\n")


def _refuse_dangers(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if getattr(event, "anchor", None) is not None:
            raise SpecError(
                f"{name}, line {line}: anchors (&) and aliases (*) are not allowed in a spec.", remedy="write the value out"
            )
        opens = isinstance(event, yaml.CollectionStartEvent)
        depth += opens - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise SpecError(
                f"{name}, line {line}: more than {count_of(MAX_DEPTH, 'level')} of nesting.", remedy="section: {key: value}"
            )


def _walk(
    loader: yaml.SafeLoader, node: yaml.MappingNode, *, name: str, prefix: str = "", whole: Collection[str] = ()
) -> Iterator[YamlValue]:
    seen: dict[Hashable, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = str(loader.construct_object(key_node, deep=True))
        if key in seen:
            raise SpecError(
                f"{name}: the key '{prefix}{key}' stands on line {seen[key]} and again on line {line}.",
                remedy="keep one of the two lines",
            )
        seen[key] = line
        if isinstance(value_node, yaml.MappingNode) and value_node.tag == "tag:yaml.org,2002:map":
            inner = list(_walk(loader, value_node, name=name, prefix=f"{prefix}{key}.", whole=whole))
            if f"{prefix}{key}" in whole:
                yield YamlValue(path=f"{prefix}{key}", value=loader.construct_object(value_node, deep=True), line=line)
            else:
                yield from inner
        else:
            yield YamlValue(path=f"{prefix}{key}", value=loader.construct_object(value_node, deep=True), line=line)


def _place_of(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _first_line(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]

"""The source as syntax trees: what the tests of this folder look at."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = SOURCE / "luthier"

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file. `name` is its path below `src`, `dotted` what it is imported as."""

    name: str
    dotted: str
    text: str
    tree: ast.Module


@dataclass(frozen=True)
class Function:
    """One function. `where` is `luthier/core/names.py:describe_unknown`; `is_public` if no part of its way begins with _."""

    where: str
    node: AnyFunction
    is_public: bool
    is_nested: bool


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(SOURCE))
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found.append(Module(name=name, dotted=dotted, text=text, tree=ast.parse(text)))
    return tuple(found)


@cache
def functions() -> tuple[Function, ...]:
    return tuple(found for module in modules() for found in _inside(module.tree, module.name, [], nested=False))


def _inside(node: ast.AST, file: str, way: list[str], *, nested: bool) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, AnyFunction):
            path = [*way, child.name]
            is_public = not any(part.startswith("_") for part in path) and not nested
            yield Function(f"{file}:{'.'.join(path)}", child, is_public, nested)
            yield from _inside(child, file, path, nested=True)
        elif isinstance(child, ast.ClassDef):
            yield from _inside(child, file, [*way, child.name], nested=nested)
        else:
            yield from _inside(child, file, way, nested=nested)


def lines_without_docstring(node: AnyFunction) -> int:
    """Lines from `def` to the last one, its docstring not counted."""
    assert node.end_lineno is not None
    total = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        assert first.end_lineno is not None
        total -= first.end_lineno - first.lineno + 1
    return total

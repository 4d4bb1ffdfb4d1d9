"""How large things may grow. A limit that hurts is a sign to find the second noun, not to raise the limit."""

import ast
import importlib
import inspect

from .source_tree import functions, lines_without_docstring, modules

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_PARAMETERS = 8
MAX_CLASS_CHAIN = 2
# Their parameters are the keys of the spec, one for one.
MIRROR_THE_SPEC: frozenset[str] = frozenset()
# file:function -> what its further keywords are.
FURTHER_KEYWORDS = {
    "luthier/api.py:adapt": "the keys of the spec",
    "luthier/api.py:tune": "the keys of the spec",
    "luthier/api.py:search": "the keys of the spec",
    "luthier/api.py:check": "the keys of the spec",
    "luthier/spec.py:build_spec": "the keys of the spec",
    "luthier/models/generation.py:_Stopped.__call__": "what transformers tells those who end an answer",
    "luthier/cli/adapt.py:run": "the keys of the spec",
    "luthier/cli/tune.py:run": "the keys of the spec",
    "luthier/cli/search.py:run": "the keys of the spec",
    "luthier/cli/check.py:run": "the keys of the spec",
    "luthier/cli/predict.py:run": "columns by their role",
    "luthier/cli/recommend.py:run": "columns by their role",
    "luthier/cli/segment.py:run": "columns by their role",
    "luthier/cli/command.py:GroupedOption.__init__": "click's own",
}


def test_files_are_short() -> None:
    too_long = {module.name: lines for module in modules() if (lines := module.text.count("\n")) > MAX_FILE_LINES}
    assert too_long == {}


def test_functions_are_short() -> None:
    too_long = {
        function.where: lines
        for function in functions()
        if (lines := lines_without_docstring(function.node)) > MAX_FUNCTION_LINES
    }
    assert too_long == {}


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[list[str], list[str]]:
    """Those that may be given by position, `self` apart, and those that must be named."""
    by_position = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
    if by_position and by_position[0] in ("self", "cls"):
        by_position = by_position[1:]
    return by_position, [argument.arg for argument in node.args.kwonlyargs]


def test_functions_have_few_parameters() -> None:
    too_many = {}
    for function in functions():
        count = sum(map(len, parameters(function.node)))
        if count > MAX_PARAMETERS and function.where not in MIRROR_THE_SPEC:
            too_many[function.where] = count
    assert too_many == {}


def test_classes_build_on_one_other_class_at_most() -> None:
    """Counted inside the package, exceptions apart."""
    too_deep = {}
    for module in modules():
        for name, kind in inspect.getmembers(importlib.import_module(module.dotted), inspect.isclass):
            chain = [base for base in kind.__mro__ if base.__module__.startswith("luthier")]
            if kind.__module__ == module.dotted and not issubclass(kind, BaseException) and len(chain) > MAX_CLASS_CHAIN:
                too_deep[f"{module.dotted}.{name}"] = [base.__name__ for base in chain]
    assert too_deep == {}


def test_no_function_passes_on_options_it_does_not_know() -> None:
    passing = {function.where for function in functions() if function.node.args.kwarg and not function.is_nested}
    assert sorted(passing - set(FURTHER_KEYWORDS)) == []
    assert sorted(set(FURTHER_KEYWORDS) - passing) == []

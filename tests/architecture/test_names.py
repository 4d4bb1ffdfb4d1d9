"""What nothing may be called, and what must be said of everything."""

import ast
import importlib

import pytest

from .source_tree import Module, functions, modules

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff"}
OTHER_WORDS = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "n_labels": "num_labels",
    "n_classes": "num_labels",
    "val": "validation",
    "val_loss": "validation_loss",
    "preds": "predictions or probs",
    "n_epochs": "num_epochs",
}


def test_no_file_or_folder_is_called_utils_and_the_like() -> None:
    parts = {part for module in modules() for part in module.dotted.split(".")}
    assert parts & EMPTY_NAMES == set()


def test_the_field_s_own_words_are_used_for_parameters() -> None:
    wrong = {
        f"{function.where}({argument.arg})": OTHER_WORDS[argument.arg]
        for function in functions()
        for argument in [*function.node.args.args, *function.node.args.kwonlyargs]
        if argument.arg in OTHER_WORDS
    }
    assert wrong == {}


def test_every_module_says_what_lives_in_it() -> None:
    assert [module.name for module in modules() if not ast.get_docstring(module.tree)] == []


def test_every_public_function_and_class_says_what_it_does() -> None:
    silent = [function.where for function in functions() if function.is_public and not ast.get_docstring(function.node)]
    silent += [
        f"{module.name}:{node.name}"
        for module in modules()
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_every_parameter_has_a_type() -> None:
    bare = [
        f"{function.where}({argument.arg})"
        for function in functions()
        for argument in [*function.node.args.args, *function.node.args.kwonlyargs]
        if argument.annotation is None and argument.arg not in ("self", "cls")
    ]
    assert bare == []


@pytest.mark.parametrize("module", [module for module in modules() if "__all__" in module.text], ids=lambda item: item.name)
def test_what_a_module_exports_exists_is_sorted_and_is_all(module: Module) -> None:
    """`__all__` is the whole truth: sorted (constants, classes, then functions), without repeats, and every name is there."""
    loaded = importlib.import_module(module.dotted)
    exported = list(loaded.__all__)
    assert len(set(exported)) == len(exported)
    assert exported == sorted(exported, key=isort_key)
    assert [name for name in exported if not hasattr(loaded, name)] == []


def isort_key(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name


def test_the_public_names_are_those_of_their_homes() -> None:
    import luthier

    assert set(luthier.__all__) == {*luthier._HOMES, "__version__"}
    assert dir(luthier) == luthier.__all__
    for name, home in luthier._HOMES.items():
        assert getattr(luthier, name) is getattr(importlib.import_module(home), name)

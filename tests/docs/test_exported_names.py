"""What `import luthier` promises."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import luthier

EXPORTED = [
    "DataError",
    "DivergedError",
    "LuthierError",
    "MissingExtraError",
    "ModelError",
    "ResourceError",
    "SpecError",
    "Stopped",
    "TuneSpec",
    "UsageError",
    "__version__",
    "adapt",
    "check",
    "find",
    "load_model",
    "load_openai_job",
    "load_spec",
    "recommend",
    "resume",
    "search",
    "segment",
    "tune",
]


def test_these_names_are_exported_and_no_others() -> None:
    assert luthier.__all__ == EXPORTED == sorted(EXPORTED) == dir(luthier)


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_name_exists(name: str) -> None:
    assert getattr(luthier, name) is not None


def test_type_checkers_see_the_names_that_programs_see() -> None:
    tree = ast.parse(Path(luthier.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {(item.name, f"{node.module}") for node in block.body if isinstance(node, ast.ImportFrom) for item in node.names}
    assert seen == set(luthier._HOMES.items())


def test_the_version_is_that_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{luthier.__version__}"' in project


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'luthier' has no attribute 'tone'"):
        luthier.tone  # noqa: B018


def test_importing_luthier_imports_nothing_else() -> None:
    code = "import sys; import luthier; print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    heavy = ["torch", "transformers", "sklearn", "numpy", "pydantic", "pyarrow", "rich", "click", "yaml"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

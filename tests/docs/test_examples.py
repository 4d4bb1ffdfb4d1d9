"""The examples run, and every shipped spec loads."""

import runpy
import sys
from pathlib import Path

import pytest

from luthier.pipeline.search_spec import load_search, parse_search
from luthier.spec import load_spec, parse_spec

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
SPECS = sorted((ROOT / "examples").rglob("*.y*ml"))


def test_there_is_an_example_for_texts_and_one_for_pictures() -> None:
    assert {path.stem for path in SCRIPTS} >= {"text", "images"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_examples_run_and_end_with_an_answer(
    script: Path, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    out = capsys.readouterr().out
    assert "VERDICT" in out
    model = next((workplace / "runs").rglob("luthier.json")).parent
    assert (model.parent / "report.html").is_file() and (model.parent / "manifest.json").is_file()


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_shipped_specs_load_and_survive_being_written_out(path: Path) -> None:
    if path.name == "search.yaml":
        search = load_search(path)
        assert search.space
        again = parse_search(search.to_yaml())
        assert (again.base, again.settings, again.space) == (search.base, search.settings, search.space)
        return
    spec = load_spec(path)
    assert spec.sources
    assert parse_spec(spec.to_yaml()) == spec


def test_the_samples_spec_names_the_sample() -> None:
    spec = load_spec(ROOT / "examples" / "specs" / "sample.yaml")
    assert all((ROOT / source).is_file() for source in spec.sources)

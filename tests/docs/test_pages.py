"""The pages themselves: the guide builds, links lead somewhere, nothing is missing, what is made from code is fresh."""

import re
import runpy
import tomllib
from pathlib import Path
from urllib.parse import urldefrag

import pytest
import yaml

import luthier
from luthier.training.methods import METHODS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("benchmarks/*.md"), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def in_nav(entries: object) -> set[str]:
    if isinstance(entries, str):
        return {entries}
    parts = entries.values() if isinstance(entries, dict) else entries
    return {path for part in parts for path in in_nav(part)}  # type: ignore[union-attr]


def settings() -> dict[str, object]:
    return dict(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8")))


def test_every_page_is_in_the_navigation() -> None:
    assert in_nav(settings()["nav"]) == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


def test_the_guide_builds_without_a_warning(tmp_path: Path) -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Luthier fine-tunes a pre-trained model" in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css|woff2?)"', page), (
        "the reader's browser fetches nothing"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = [urldefrag(target).url for target in LINK.findall(page.read_text(encoding="utf-8"))]
    inside = [target for target in targets if target and not target.startswith(("http://", "https://"))]
    assert [target for target in inside if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_no_path_of_somebodys_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|tmp|work|root|Users)/", page.read_text(encoding="utf-8"))


def test_pages_made_from_code_are_fresh() -> None:
    made: dict[str, str] = runpy.run_path(str(DOCS / "make_pages.py"))["pages"]()
    stale = [path for path, text in made.items() if not (DOCS / path).is_file() or (DOCS / path).read_text("utf-8") != text]
    assert stale == [], "run: python docs/make_pages.py"


def test_every_method_has_a_page_that_is_linked_from_the_guide() -> None:
    guide = (DOCS / "freeze.md").read_text(encoding="utf-8")
    assert {path.stem for path in (DOCS / "methods").iterdir()} == set(METHODS)
    assert all(f"(methods/{name}.md)" in guide for name in METHODS)


def test_the_reference_has_every_public_name_and_no_other() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### `(\w+)`", text, re.MULTILINE)) == sorted(luthier.__all__)


def test_the_glossary_is_in_order() -> None:
    words = re.findall(r"^\*\*(\w[^*,]*)", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert words == sorted(words, key=str.lower)
    assert len(words) > 20


def test_the_readme_shows_a_card() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    card = readme.partition("<!-- card -->")[2].partition("<!-- /card -->")[0]
    assert "EVIDENCE · text-classification" in card and "VERDICT" in card, "run: make demo, python docs/make_pages.py demo-run"
    assert max(map(len, card.splitlines())) <= 100


def test_the_readmes_tree_shows_every_folder_of_the_source() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2].partition("## ")[0]
    top, _, inside = tree.partition("src/luthier/\n")
    shown = set(re.findall(r"^  ([\w./]+)", inside, re.MULTILINE))
    source = ROOT / "src" / "luthier"
    assert shown >= {f"{path.name}/" for path in source.iterdir() if (path / "__init__.py").is_file()}
    named = re.findall(r"^([\w./]+)  ", top, re.MULTILINE)
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [name for name in shown if not (source / name).exists()] == []


def test_decisions_are_numbered_and_keep_to_their_form() -> None:
    records = sorted((DOCS / "decisions").iterdir())
    assert [path.name[:5] for path in records] == [f"{number:04}-" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert all(f"\n## {title}" in text for title in ("Context", "Choice", "Consequence")), path.name


def test_the_changelog_keeps_its_form_and_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert titles[0] == "Unreleased"
    kinds = set(re.findall(r"^### (\w+)", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_licence_is_the_one_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script.rstrip().endswith("exec make test") and "set -eu" in script
    assert re.search(r"^make test\b", readme, re.MULTILINE)

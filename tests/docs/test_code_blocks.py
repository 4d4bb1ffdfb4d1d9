"""Every block of code in README, CONTRIBUTING and the guide: commands exist with their flags, Python runs, YAML loads."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from luthier.cli.main import VERBS, luthier, run
from luthier.cli.options import search_from_flags, spec_from_flags
from luthier.pipeline.search_spec import parse_search
from luthier.spec import parse_spec, search_keys, settable_keys

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"bash", "python", "text", "yaml"}
# Programs other than ours that the pages may name.
OTHERS = {"python", "pip", "git", "cd"}
# Cheap enough to run as they stand.
RUN = ("luthier check", "luthier models", "luthier doctor", "luthier --")


@dataclass(frozen=True, kw_only=True)
class Block:
    page: Path
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [
        Block(page=page, language=language, text=text) for language, text in FENCE.findall(page.read_text(encoding="utf-8"))
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands_of(page: Path) -> list[str]:
    lines = [line for block in blocks_of(page) if block.language == "bash" for line in block.text.splitlines()]
    return [line.partition("#")[0].partition("|")[0].strip() for line in lines if line.strip()]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = sorted({(name_of(page), command) for page in PAGES for command in commands_of(page)})
PYTHON_PAGES = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]


def test_every_block_says_its_language() -> None:
    assert {(name_of(block.page), block.language) for block in BLOCKS if block.language not in LANGUAGES} == set()
    assert len(BLOCKS) > 20


def parse(words: list[str]) -> click.Context:
    """The command line as click understands it; nothing is run."""
    verb = luthier.get_command(click.Context(luthier), words[1])
    assert verb is not None, words[1]
    return verb.make_context(words[1], words[2:])


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_exist_with_their_flags_and_values(page: str, command: str, workplace: Path) -> None:
    words = shlex.split(command)
    for spec in (workplace / word for word in words if word.endswith("spec.yaml")):
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text("sources: [tickets.csv]\n", encoding="utf-8")
    program = Path(words[0]).name
    if program == "luthier":
        if words[1].startswith("-") or "--help" in words:
            assert words[1].startswith("-") or words[1] in VERBS
            return
        values = parse(words).params
        if "assignments" in values:
            keys = {key.keyword for key in (*settable_keys(), *search_keys())}
            flags = {name: value for name, value in values.items() if name in keys}
            understand = search_from_flags if words[1] == "search" else spec_from_flags
            understand(values["sources"], flags, values["assignments"])
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"{page}: Makefile has no target {words[1]}"
    else:
        assert program in OTHERS, f"{page}: {command}"
        assert all((ROOT / word).exists() for word in words[1:] if word.endswith(".py"))


@pytest.mark.parametrize("command", sorted({command for _, command in COMMANDS if command.startswith(RUN)}))
def test_cheap_commands_run(command: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(shlex.split(command)[1:])
    assert code == 0, capsys.readouterr().err
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name_of)
def test_python_blocks_run_one_after_the_other(page: Path, workplace: Path) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.language == "python":
            exec(compile(block.text, name_of(page), "exec"), names)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "yaml"], ids=lambda block: name_of(block.page)
)
def test_yaml_blocks_load(block: Block) -> None:
    if "search:" in block.text:
        assert parse_search(block.text, name=name_of(block.page)).space
    else:
        assert parse_spec(block.text, name=name_of(block.page)).sources

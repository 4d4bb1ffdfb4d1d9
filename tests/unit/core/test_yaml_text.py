"""YAML from people: what is dangerous or ambiguous is refused with its line."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.yaml_text import MAX_BYTES, parse_yaml, read_yaml, write_scalar
from luthier.errors import SpecError


def test_values_know_their_path_and_line() -> None:
    items = parse_yaml("a: 1\nb:\n  c: [x, y]\n  d: {e: null}", name="s")
    assert [(item.path, item.value, item.line) for item in items] == [("a", 1, 1), ("b.c", ["x", "y"], 3), ("b.d.e", None, 4)]


def test_an_empty_text_has_no_values() -> None:
    assert parse_yaml("# nothing\n", name="s") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x 1\nb: *x", "s, line 1: anchors"),
        ("a: 1\nb: 2\na: 3", "'a' stands on line 1 and again on line 3"),
        ("t:\n  a: 1\n  a: 2", "'t.a' stands on line 2"),
        ("- a", "holds no 'key: value' lines"),
        ("a: [1", "s, line 1 is not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("a: !!python/name:os.getcwd x", "is not valid YAML"),
        ("a: 2024-13-45", "cannot be read: month"),
        ("a: " + "[" * 50 + "]" * 50, "more than 8 levels"),
        ("a: '" + "x" * MAX_BYTES + "'", "larger than 1 MB"),
        ("a: 1\n---\nb: 2", "is not valid YAML"),
    ],
)
def test_what_a_spec_needs_not_is_refused(text: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, name="s")
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"Cannot read the spec .*none\.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9")
    with pytest.raises(SpecError, match="is not UTF-8: byte 6"):
        read_yaml(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(SpecError, match="a spec has at most 1 MB"):
        read_yaml(tmp_path / "large.yaml")


# The first draw builds Hypothesis's tables of letters, which takes long on a busy machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")))
def test_a_scalar_stays_on_its_line_and_comes_back(value: object) -> None:
    written = write_scalar(value)
    assert len(written.splitlines()) <= 1
    assert yaml.safe_load(f"section:\n  key: {written}\n  next: 1") == {"section": {"key": value, "next": 1}}

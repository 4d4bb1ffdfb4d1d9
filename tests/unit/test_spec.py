"""The spec: one set of words for YAML, flags and keywords; every mistake named with what was meant."""

import inspect
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import luthier
from luthier.core.keys import Key
from luthier.errors import SpecError
from luthier.spec import (
    FAMILIES,
    SECTIONS,
    TuneSpec,
    all_keys,
    build_spec,
    given_as_text,
    load_spec,
    parse_spec,
    settable_keys,
    spec_of,
)


def members_of(key: Key) -> list[str]:
    return {
        "task": ["auto", "text-classification"],
        "training.method": ["auto", "top-blocks:2"],
        "training.optimizer": ["adamw", "sgd:0.5"],
        "training.loss": ["focal:2"],
    }.get(key.path, ["cosine"])


def values_of(key: Key) -> st.SearchStrategy[object]:
    """Any value a key permits."""
    if key.choices:
        return st.sampled_from(key.choices)
    texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    by_kind = {bool: st.booleans(), int: st.integers(1000, 10**6), float: st.floats(0.6, 0.99), str: texts}
    values = st.lists(texts, max_size=3).map(tuple) if key.is_list else by_kind[key.annotation]
    if key.path in FAMILIES:
        values = st.sampled_from(members_of(key))
    return values | st.none() if key.optional else values


@st.composite
def specs(draw: st.DrawFn) -> TuneSpec:
    chosen = draw(st.lists(st.sampled_from(settable_keys()), unique=True))
    return TuneSpec().with_values({key.path: draw(values_of(key)) for key in chosen} | {"sources": ["a.csv", "b c.csv"]})


# The first draw builds Hypothesis's tables of letters, which takes long on a busy machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs())
def test_a_spec_survives_yaml(spec: TuneSpec) -> None:
    assert parse_spec(spec.to_yaml()) == spec


def test_yaml_holds_every_key_below_its_description() -> None:
    lines = TuneSpec().to_yaml(spaces={}).splitlines()
    for key in all_keys():
        begin = 0
        for word in filter(None, key.section.split(".")):
            begin = next(number for number in range(begin, len(lines)) if lines[number].strip() == f"{word}:")
        place = next(number for number in range(begin, len(lines)) if lines[number].strip().startswith(f"{key.name}:"))
        assert key.help in lines[place - 1]


def test_last_words_are_unique_across_sections() -> None:
    keywords = [key.keyword for key in all_keys()]
    assert sorted(keywords) == sorted(set(keywords))


def test_every_key_has_a_description() -> None:
    assert [key.path for key in all_keys() if len(key.help) < 8] == []


def test_every_keyword_reaches_its_key() -> None:
    for key in settable_keys():
        value = key.choices[-1] if key.choices else {bool: True, int: 1234, float: 0.75}.get(key.annotation, "words")
        value = members_of(key)[-1] if key.path in FAMILIES else value
        spec = build_spec("a.csv", **{key.keyword: value})
        assert spec.value_of(key) == ((value,) if key.is_list else value), key.path


def test_keywords_of_tune_are_the_keys_of_the_spec() -> None:
    own = {"sources", "observer", "backbone", "cluster", "workers"}
    assert set(inspect.signature(luthier.tune).parameters) - own == {key.keyword for key in settable_keys()}


def test_a_plain_model_means_its_name() -> None:
    assert parse_spec("model: minilm").model.name == build_spec("a.csv", model="minilm").model.name == "minilm"


def test_sections_may_be_empty() -> None:
    assert parse_spec("training:\nsources: a.csv") == TuneSpec(sources=("a.csv",))


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("training: {learning_rtae: 1}", "Did you mean 'training.learning_rate'?", "training.learning_rate"),
        ("learning_rate: 1", "'learning_rate' belongs to the section 'training'", "training.learning_rate"),
        ("data: {seed: 1}", "'seed' belongs to the section 'training'", "training.seed"),
        ("data: {task: auto}", "'task' belongs to the top level", "task"),
        ("trainig: {seed: 1}", "'seed' belongs to the section 'training'", "training.seed"),
        ("training: {lr: 1}", "Did you mean 'training.learning_rate'?", "training.learning_rate"),
        ("qqqq: 1", "Unknown key 'qqqq'.", "luthier tune --help"),
        ("data: 5", "'data' is a section; found 5", "data: {target: ...}"),
        (
            "training: {precision: bfloat}",
            "expected auto, float32 or bfloat16. Did you mean 'bfloat16'?",
            "training.precision: bfloat16",
        ),
        (
            "training: {patience: 0}",
            "training.patience is 0; expected a whole number of at least 1.",
            f"training.patience: {TuneSpec().training.patience}",
        ),
        (
            "training: {num_epochs: yes}",
            "training.num_epochs is True; expected a number above 0.",
            "leave training.num_epochs out",
        ),
        ("training: {budget: .inf}", "training.budget is inf", "leave training.budget out"),
        ("data: {target: 2024}", "data.target is 2024; expected text (in quotes", "leave data.target out"),
        ("schema_version: 2", "format version 2; this Luthier reads version 1", "pip install --upgrade luthier"),
        ("training.seed: 1\ntraining: {seed: 2}", "'training.seed' was given before", "keep one"),
    ],
)
def test_a_mistake_in_yaml_is_named_with_what_was_meant(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, name="spec.yaml")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert caught.value.problem.startswith("spec.yaml, line ")


def test_an_argument_that_makes_no_sense_is_told_with_everything_else() -> None:
    with pytest.raises(SpecError) as caught:
        build_spec("table.csv", schedule="polynomial:x", seed=-1)
    assert "Schedule 'polynomial:x'" in caught.value.problem
    assert "seed is -1" in caught.value.problem
    assert build_spec("table.csv", schedule="polynomial:0.5").training.schedule == "polynomial:0.5"


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("method", "prob", "probe or top-blocks. Did you mean 'probe'?"),
        ("method", "loar:8", "Did you mean 'lora:8'?"),
        ("schedule", "linaer", "Did you mean 'linear'?"),
        ("task", "text-clasification", "Did you mean 'text-classification'?"),
    ],
)
def test_members_of_families_are_matched_too(setting: str, value: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_spec("a.csv", **{setting: value})
    assert problem in caught.value.problem
    assert build_spec("a.csv", method="top-blocks:2").training.method == "top-blocks:2"


def test_all_mistakes_are_reported_together() -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec("lr: 1\ntraining: {patience: 0, precison: x, store: disk}")
    assert "4 problems" in str(caught.value)
    for name in ("'lr'", "training.patience", "'training.precison'", "training.store is 'disk'"):
        assert name in caught.value.problem


def test_a_misspelt_keyword_gives_the_nearest_keyword() -> None:
    with pytest.raises(SpecError, match=r"Unknown keyword 'learning_rtae'. Did you mean 'learning_rate'\?"):
        build_spec("a.csv", learning_rtae=1)
    with pytest.raises(SpecError, match=r"Unknown keyword 'training\.seed'"):
        build_spec("a.csv", **{"training.seed": 1})


def test_load_spec_reads_a_file_and_names_it_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("sources: tickets.csv\ndata: {target: category}", encoding="utf-8")
    assert load_spec(path) == build_spec("tickets.csv", target="category")
    path.write_text("\n\nsede: 1", encoding="utf-8")
    with pytest.raises(SpecError, match=r"mine\.yaml, line 3: "):
        load_spec(path)


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("training.num_epochs=5", "training.num_epochs", 5.0),
        ("training.refit=true", "training.refit", True),
        ("data.target=2024", "data.target", "2024"),
        ("data.target=a=b", "data.target", "a=b"),
        ("data.target=null", "data.target", None),
        ("data.ignore=a", "data.ignore", ("a",)),
        ("data.ignore=[a, b]", "data.ignore", ("a", "b")),
        ("model=minilm", "model.name", "minilm"),
    ],
)
def test_set_takes_any_key_as_text(assignment: str, path: str, value: object) -> None:
    spec = spec_of([given_as_text(assignment)])
    assert spec.value_of(next(key for key in all_keys() if key.path == path)) == value


@pytest.mark.parametrize("text", ["inf", "nan", "-1", "many"])
def test_numbers_as_text_are_checked_too(text: str) -> None:
    with pytest.raises(SpecError, match=rf"--set: training\.num_epochs is '{text}'; expected a number above 0"):
        spec_of([given_as_text(f"training.num_epochs={text}")])


def test_set_without_a_value_is_refused() -> None:
    with pytest.raises(SpecError, match=r"--set needs KEY=VALUE; found 'training\.seed'"):
        given_as_text("training.seed")


def test_with_values_keeps_the_rest() -> None:
    spec = build_spec("a.csv", target="x").with_values({"training.seed": 7})
    assert (spec.data.target, spec.training.seed, spec.sources) == ("x", 7, ("a.csv",))


def test_sections_are_fields_of_the_spec() -> None:
    assert {section for section in SECTIONS if "." not in section} < set(TuneSpec.model_fields)


class TestSectionsWithinSections:
    """`model.head` is a section of its own within `model`."""

    def test_flag_key_and_keyword_are_one(self) -> None:
        key = next(key for key in all_keys() if key.path == "model.head.width")
        assert (key.keyword, key.flag) == ("head_width", "--head-width")
        in_yaml = parse_spec("model:\n  name: minilm\n  head: {layers: 2, width: 256}")
        in_python = build_spec((), model="minilm", head_layers=2, head_width=256)
        assert (
            in_yaml
            == in_python
            == TuneSpec().with_values({"model.name": "minilm", "model.head.layers": 2, "model.head.width": 256})
        )
        assert (in_yaml.model.head.layers, in_yaml.model.head.width, in_yaml.model.head.activation) == (2, 256, "gelu")
        assert spec_of([given_as_text("model.head.width=7")]).model.head.width == 7

    @pytest.mark.parametrize(
        ("text", "problem", "remedy"),
        [
            (
                "model: {head: {wdith: 3}}",
                "Unknown key 'model.head.wdith'. Did you mean 'model.head.width'?",
                "model.head.width",
            ),
            (
                "model: {head: {width: 0}}",
                "model.head.width is 0; expected a whole number of at least 1.",
                "leave model.head.width",
            ),
            (
                "model: {head: {pooling: avg}}",
                "expected auto, mean, first, last, max or attention.",
                "model.head.pooling: auto",
            ),
            ("model: {head: mlp}", "'model.head' is a section; found 'mlp' instead of its keys.", "model.head: {layers: ...}"),
            ("head: {width: 3}", "'width' belongs to the section 'model.head'", "model.head.width"),
            ("model: {pooling: mean}", "'pooling' belongs to the section 'model.head'", "model.head.pooling"),
        ],
    )
    def test_what_it_does_not_know_is_named(self, text: str, problem: str, remedy: str) -> None:
        with pytest.raises(SpecError) as caught:
            parse_spec(text)
        assert problem in str(caught.value)
        assert remedy in caught.value.remedy

    def test_an_empty_one_changes_nothing(self) -> None:
        assert parse_spec("model:\n  head:") == TuneSpec()

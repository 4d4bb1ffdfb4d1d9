"""Flags are the keys of the spec: same word, same help, same values."""

import pytest

from luthier.cli.command import GroupedOption, Verb
from luthier.cli.help_page import help_page
from luthier.cli.main import VERBS, luthier, run
from luthier.cli.options import spec_from_flags
from luthier.errors import SpecError
from luthier.spec import build_spec, settable_keys

OWN_FLAGS = {"--openai-job", "--plan", "--resume", "--cluster", "--workers", "--set", "--json", "--quiet", "--debug"}


def verb_of(name: str) -> Verb:
    verb = luthier.get_command(None, name)  # type: ignore[arg-type]
    assert isinstance(verb, Verb)
    return verb


def options_of(name: str) -> list[GroupedOption]:
    return [option for option in verb_of(name).params if isinstance(option, GroupedOption)]


def test_flags_of_tune_are_the_keys_of_the_spec() -> None:
    flags = {option.opts[0] for option in options_of("tune")}
    assert flags - OWN_FLAGS == {key.flag for key in settable_keys()}


def test_flags_of_check_are_the_keys_about_data() -> None:
    flags = {option.opts[0] for option in options_of("check")}
    assert flags - OWN_FLAGS - {"--fast"} == {key.flag for key in settable_keys() if key.section in ("", "data")}


@pytest.mark.parametrize("name", VERBS)
def test_every_flag_has_a_help_and_every_verb_an_example(name: str) -> None:
    assert [option.opts for option in options_of(name) if len(option.help or "") < 8] == []
    assert all(example.startswith("luthier ") for example in verb_of(name).examples)  # or what is done with the outcome
    assert verb_of(name).examples[0].startswith(f"luthier {name}")


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_a_hundred_columns_and_shows_every_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    assert all(option.opts[0] in text for option in options_of(name))
    assert "…" not in text
    assert text.index(verb_of(name).examples[0]) < text.index("--")


# Values of keys that take a member of a family.
MEMBERS = {
    "task": "text-classification",
    "training.loss": "focal:2",
    "training.method": "full",
    "training.optimizer": "sgd:0.9",
    "training.schedule": "cosine",
}


@pytest.mark.parametrize("key", settable_keys(), ids=lambda key: key.path)
def test_a_flag_does_what_the_keyword_does(key) -> None:  # type: ignore[no-untyped-def]
    value = key.choices[-1] if key.choices else {int: "1234", float: "0.75"}.get(key.annotation, "words")
    value = MEMBERS.get(key.path, value)
    words = [key.flag] if key.is_switch else [key.flag, value]
    verb = verb_of("tune")
    params = verb.make_context("tune", ["a.csv", *words]).params
    settings = {name: given for name, given in params.items() if name in {item.keyword for item in settable_keys()}}
    expected = build_spec("a.csv", **{key.keyword: True if key.is_switch else value})
    assert spec_from_flags(params["sources"], settings, ()) == expected


def test_a_switch_can_be_turned_off_against_a_spec_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "spec.yaml"
    path.write_text("sources: [a.csv]\ntraining: {refit: true, seed: 3}", encoding="utf-8")
    spec = spec_from_flags([str(path)], {"refit": False, "seed": None}, ())
    assert (spec.training.refit, spec.training.seed, spec.sources) == (False, 3, ("a.csv",))


def test_flags_win_over_set_and_set_over_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "spec.yaml"
    path.write_text("sources: [a.csv]\ntraining: {seed: 1, patience: 1, batch_size: 1}", encoding="utf-8")
    spec = spec_from_flags([str(path), "b.csv"], {"seed": "3"}, ("training.seed=2", "training.patience=2"))
    assert (spec.training.seed, spec.training.patience, spec.training.batch_size) == (3, 2, 1)
    assert spec.sources == ("b.csv",)


def test_mistakes_of_flags_and_set_are_reported_together_in_their_own_words() -> None:
    with pytest.raises(SpecError) as caught:
        spec_from_flags(["a.csv"], {"num_epochs": "0", "precision": "fp16"}, ("training.sede=1", "oops"))
    assert "4 problems" in str(caught.value)
    for piece in ("--num-epochs is '0'", "--precision is 'fp16'", "--set: Unknown key 'training.sede'", "found 'oops'"):
        assert piece in caught.value.problem
    assert "--patience 0" not in caught.value.remedy


def test_two_specs_are_refused() -> None:
    with pytest.raises(SpecError, match=r"found a\.yaml and b\.yml"):
        spec_from_flags(["a.yaml", "b.yml"], {}, ())


def test_the_short_help_shows_only_the_main_flags() -> None:
    verb = verb_of("tune")
    text = help_page(verb, verb.make_context("tune", []), only=verb.main_flags)
    assert "--target" in text
    assert "--bootstrap-samples" not in text
    assert len(text.splitlines()) <= 24

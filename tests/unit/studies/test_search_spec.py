"""What a search is asked for: values from file, flags and keywords, spaces among them, all judged by the spec itself."""

from pathlib import Path

import pytest

from luthier.cli.options import search_from_flags
from luthier.errors import SpecError
from luthier.pipeline.search_spec import load_search, parse_search, search_of, space_of
from luthier.spec import Given, TuneSpec
from luthier.studies.space import Choice, Range, every_dimension
from luthier.studies.spaces import SPACES, default_space
from luthier.training.methods import METHODS, ladder_rungs

WRONG = """
sources: [a.csv]
training:
  learning_rate: {log: [-1, 1.0e-3]}
  schedule: [linear, cosin]
  seed: [1, 2]
  method:
    choice:
      prbe: {}
      top-blocks:2:
        num_epochs: 0
        head_learning_rat: 1.0e-3
search:
  trials: 0
"""


def test_every_mistake_of_a_search_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(WRONG, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_search(path)
    for line, word in {
        4: "scale begins above 0",
        5: "'cosin'",
        6: "cannot vary",
        7: "'prbe'",
        14: "search.trials is 0",
    }.items():
        assert any(f"line {line}: " in piece and word in piece for piece in caught.value.problem.splitlines()), (line, word)
    assert "training.num_epochs is 0" in caught.value.problem
    assert "Did you mean 'training.head_learning_rate'" in caught.value.problem


def test_a_search_survives_being_written_out_in_whatever_order_it_was_written() -> None:
    one = parse_search("sources: [a.csv]\ntraining: {l1: [0, 1.0e-4], method: [probe, full]}")
    other = parse_search("training: {method: [probe, full], l1: [0, 1.0e-4]}\nsources: [a.csv]")
    assert one.space == other.space == parse_search(one.to_yaml()).space


def test_choices_become_what_the_spec_makes_of_them() -> None:
    space = space_of({"training.l1": ["1e-4", 0]}, TuneSpec())
    assert isinstance(space[0].domain, Choice)
    assert [option.value for option in space[0].domain.options] == [1e-4, 0.0]


def test_a_flag_may_be_a_space_and_a_value_takes_a_space_of_the_file_away(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("sources: [a.csv]\ntraining: {l1: [0, 1], l2: [0, 1]}", encoding="utf-8")
    flags = {"learning_rate": "{log: [1e-5, 1e-3]}", "l1": "0.5", "trials": "7"}
    asked = search_from_flags([str(path)], flags, ["training.label_smoothing={uniform: [0, 0.1]}"])
    assert {item.path for item in asked.space} == {"training.learning_rate", "training.l2", "training.label_smoothing"}
    assert asked.base.training.l1 == 0.5
    assert asked.settings.trials == 7
    assert asked.space[0].domain == Range(low=1e-5, high=1e-3, log=True)


@pytest.mark.parametrize("path", ["training.seed", "data.split", "training.device", "output.out", "task"])
def test_what_would_make_trials_incomparable_cannot_vary(path: str) -> None:
    with pytest.raises(SpecError, match="cannot vary within a search") as caught:
        search_of([Given(written=path, value=["0", "1"])])
    assert "one search for each" in caught.value.remedy


def test_default_spaces_are_of_methods_that_exist_and_of_values_that_are_permitted() -> None:
    assert {name for name in SPACES if name != "lora"} <= set(METHODS)
    methods = [rung.name for rung in ladder_rungs(6)]
    space = space_of(default_space(methods), TuneSpec())
    assert {item.path for item in every_dimension(space)} > {"training.method", "training.learning_rate"}


def test_the_defaults_of_a_method_lie_inside_its_default_space() -> None:
    for rung in ladder_rungs(6):
        own = SPACES[rung.name.partition(":")[0]]
        for name in ("learning_rate", "head_learning_rate"):
            if name in own:
                low, high = own[name]["log"]
                assert low < getattr(rung, name) < high, (rung.name, name)


def test_what_was_given_a_value_does_not_vary() -> None:
    assert "training.learning_rate" not in default_space(["full"], fixed={"training.learning_rate"})

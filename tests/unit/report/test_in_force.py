"""What kept the model from learning by heart, in words."""

from typing import Any

from luthier.report.in_force import SENTENCES, in_force
from luthier.report.ladder import read_rungs
from luthier.spec import TuneSpec, all_keys


def sentences(spec: TuneSpec) -> list[str]:
    values = {tuple(key.path.split(".")): spec.value_of(key) for key in all_keys()}

    def setting(*keys: str) -> Any:
        return values[keys]

    return list(in_force(setting))


def test_every_setting_told_of_is_one() -> None:
    assert {".".join(keys) for keys in SENTENCES} <= {key.path for key in all_keys()}


def test_what_is_off_is_not_told() -> None:
    """As the spec comes, only what is on by default is in force."""
    said = sentences(TuneSpec())
    assert [sentence.split()[0] for sentence in said] == ["Weight", "Gradients", "Training"]


def test_what_is_on_is_told_with_its_value() -> None:
    values = {
        "training.l1": 0.001,
        "training.ewc": 1e4,
        "training.loss": "focal:2",
        "training.sampling": "balanced",
        "training.mixup": 0.3,
        "training.soup": 4,
        "model.head.dropout": 0.25,
        "model.keep_blocks": 3,
    }
    said = " ".join(sentences(TuneSpec().with_values(values)))
    for words in ("L1 penalty 0.001", "EWC 10000", "Loss focal:2", "Balanced sampling", "Mixup 0.3", "best 4 states"):
        assert words in said
    assert "Dropout 0.25 in the head" in said
    assert "first 3 blocks" in said


def test_a_mean_of_states_is_read_from_the_journal() -> None:
    (rung,) = read_rungs([{"event": "soup", "rung": "full", "steps": [30, 10], "tried": 3, "scores": {}}])
    assert rung.averaged == (2, 3)

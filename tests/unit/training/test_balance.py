"""Classes of unequal size: what is refused, and what is said."""

import numpy as np
import pytest

from luthier.errors import SpecError
from luthier.training.balance import describe_balance, refuse_double_balance
from luthier.training.settings import TrainingSettings

UNEQUAL = np.array([0] * 60 + [1] * 10)


def test_imbalance_is_not_undone_twice() -> None:
    with pytest.raises(SpecError, match="both undo imbalance") as caught:
        refuse_double_balance(TrainingSettings(class_weights="balanced", sampling="balanced"))
    assert caught.value.remedy == "--class-weights balanced, or --sampling balanced"
    refuse_double_balance(TrainingSettings(class_weights="balanced"))


def test_unequal_classes_are_a_decision_though_nothing_is_done() -> None:
    (decision,) = describe_balance(TrainingSettings(), UNEQUAL, ("a", "b"))
    assert (decision.name, decision.value) == ("balance", "none")
    assert "6.0 times" in decision.reason
    assert "--class-weights balanced" in decision.override
    assert decision.evidence["rows"] == {"a": 60, "b": 10}


def test_like_classes_are_not_worth_a_word() -> None:
    assert describe_balance(TrainingSettings(), np.array([0, 1, 1]), ("a", "b")) == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("class_weights", "weights", "rows weigh 0.58 to 3.5"),
        ("sampling", "sampling", "as many rows of every class"),
    ],
)
def test_what_was_asked_for_is_told(setting: str, value: str, said: str) -> None:
    (decision,) = describe_balance(TrainingSettings(**{setting: "balanced"}), UNEQUAL, ("a", "b"))
    assert decision.value == value
    assert said in decision.reason

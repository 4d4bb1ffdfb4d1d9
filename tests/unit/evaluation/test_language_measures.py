"""Loss and perplexity of tokens, and answers that are the right text."""

import math

import numpy as np
import pytest

from luthier.evaluation.bootstrap import summed_stats
from luthier.evaluation.language_predictions import language_predictions
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import Predictions


def said(told: list[list[float]], answers: list[str]) -> Predictions:
    ids = [f"row {place}" for place in range(len(told))]
    return language_predictions(example_ids=ids, targets=["yes it is"] * len(told), predictions=answers, told=np.array(told))


def value(name: str, predictions: Predictions) -> float:
    measure = MEASURES[name]
    return float(measure.value(summed_stats(measure.stats, predictions)))  # type: ignore[union-attr]


def test_long_texts_count_as_their_length() -> None:
    made = said([[9.0, 3.0], [1.0, 7.0]], ["", ""])
    assert value("token_loss", made) == pytest.approx(1.0)
    assert value("perplexity", made) == pytest.approx(math.e)


def test_a_hopeless_model_has_a_finite_perplexity() -> None:
    assert math.isfinite(value("perplexity", said([[1e6, 1.0]], [""])))


def test_only_white_space_may_differ() -> None:
    made = said([[1.0, 1.0]] * 4, ["yes it is", " yes  it\nis ", "Yes it is", "yes it is."])
    assert value("same_text", made) == 0.5

"""Averaged weights: put in for an evaluation, taken out again whatever happens, kept for good where that is asked for."""

import pytest
import torch
from torch import nn

from luthier.training.averaging import AveragedWeights


def moved(decay: float) -> tuple[nn.Parameter, AveragedWeights]:
    """A weight that was 0, and then 1 for three steps."""
    weight = nn.Parameter(torch.zeros(2))
    averaged = AveragedWeights({"weight": weight}, decay=decay)
    for _ in range(3):
        weight.data.fill_(1.0)
        averaged.update()
    return weight, averaged


def test_an_error_during_an_evaluation_gives_the_weights_back() -> None:
    weight, averaged = moved(0.9)
    with pytest.raises(RuntimeError), averaged.applied():
        assert 0 < float(weight.detach()[0]) < 1
        raise RuntimeError
    assert weight.tolist() == [1.0, 1.0]


def test_the_average_goes_on_after_an_evaluation() -> None:
    first, second = moved(0.9), moved(0.9)
    with first[1].applied():
        pass
    for weight, averaged in (first, second):
        averaged.update()
        averaged.keep()
        assert weight.tolist() != [1.0, 1.0]
    assert torch.equal(first[0], second[0])


def test_without_decay_nothing_is_kept_and_nothing_changes() -> None:
    weight, averaged = moved(0.0)
    with averaged.applied():
        assert weight.tolist() == [1.0, 1.0]
    averaged.keep()
    assert weight.tolist() == [1.0, 1.0]

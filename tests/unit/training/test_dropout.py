"""A dropout rate of one's own."""

import torch

from luthier.testing.backbones import example_inputs, tiny_bert
from luthier.training.dropout import set_dropout


def test_rate_zero_makes_training_mode_calm() -> None:
    backbone, inputs = tiny_bert(seed=0), example_inputs("bert", seed=0)
    backbone.train_from(0)
    assert not torch.equal(backbone.pool(backbone(inputs)), backbone.pool(backbone(inputs)))
    assert set_dropout(backbone.network, 0.0) > 0
    assert torch.equal(backbone.pool(backbone(inputs)), backbone.pool(backbone(inputs)))

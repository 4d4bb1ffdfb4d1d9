"""Training from the store is the same training: losses equal step by step, for every family and every boundary."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.features.passes import IMAGES_PER_BATCH, PassSettings, compute_features, to_device
from luthier.features.store import StoreType
from luthier.models.backbone import Backbone
from luthier.models.heads import LinearHead
from luthier.models.load import load_backbone
from luthier.models.processors import TextProcessor
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.tasks.inputs import Inputs, TokenInputs
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import FAMILIES, tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import Objective, Supervision, fit
from luthier.training.model import TunedModel

NUM_STEPS, NUM_LABELS = 8, 3
SETTINGS = replace(SHORT_FIT, batch_size=6, micro_batch=6)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Trained:
    losses: list[float]
    model: TunedModel
    calls: Mapping[str, int]


def loss(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=nn.functional.cross_entropy(outputs, targets, reduction="sum"), weight=len(targets))


@contextmanager
def counted_calls(backbone: Backbone) -> Iterator[dict[str, int]]:
    """How often something inside each stem module and block really computes; a stand-in for the module is not counted.

    T5's table of relative positions lies in block 0, and is read anew for the lengths of each batch: not counted either.
    """
    calls = {}
    handles = []
    for name in [*backbone.layout.stem, *backbone.layout.blocks]:
        calls[name] = 0

        def count(module: nn.Module, args: object, name: str = name) -> None:
            if "forward" not in vars(module):
                calls[name] += 1

        for inner, module in backbone.network.get_submodule(name).named_modules():
            if not list(module.children()) and not inner.endswith("relative_attention_bias"):
                handles.append(module.register_forward_pre_hook(count))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def train(
    backbone: Backbone,
    inputs: Inputs,
    boundary: int,
    root: Path | None,
    *,
    settings: FitSettings = SETTINGS,
    store_type: StoreType = "float32",
) -> Trained:
    """A short training with the store in `root`, or without one."""
    backbone = copy.deepcopy(backbone)
    rows = np.arange(len(inputs.lengths))
    rehearsal = backbone.rehearse(to_device(inputs.batch(rows[:2]), dtype=torch.float32, device="cpu"))
    store = None
    if root is not None:
        pass_settings = PassSettings(identity={"weights": "seeded"}, root=root, precision="float32", store_type=store_type)
        features = compute_features(backbone, inputs, pass_settings, boundary_rows={boundary: rows}, observer=Quiet())
        store = features.boundaries[boundary]
    targets = rows % NUM_LABELS
    part = TrainingRows(inputs=inputs, rows=rows, targets=targets, store=store, is_padded=rehearsal.padded)
    model = TunedModel(backbone, LinearHead(backbone.width, NUM_LABELS, dropout=0.1, seed=0))
    with counted_calls(backbone) as calls:
        done = fit(
            model,
            lambda _: (part, part),
            replace(settings, boundary=boundary),
            objective=Objective(
                loss=loss,
                score=lambda outputs: {"accuracy": float((outputs.argmax(1) == targets).mean())},
                primary="accuracy",
            ),
            supervision=Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest()),
        )
    return Trained(done.losses, model, calls)


def boundaries_of(family: str) -> list[int]:
    """A low, a middle and a high one."""
    num_blocks = tiny_backbone(family, seed=0).num_blocks
    return sorted({1, num_blocks // 2, num_blocks - 1})


CASES = [(family, boundary) for family in FAMILIES for boundary in boundaries_of(family)]


def is_picture(family: str) -> bool:
    return FAMILIES[family][2] == "image"


@pytest.mark.parametrize(("family", "boundary"), CASES)
class TestFamily:
    def test_training_from_the_store_is_the_same_training(self, family: str, boundary: int, tmp_path: Path) -> None:
        # Convolutions of batches of another size differ in the last bits, which a random ReLU network blows up within a few
        # steps. Where that is so, the steps have the size of the pass's batches, and what is left is the store alone.
        batch_size, num_rows = (IMAGES_PER_BATCH, 2 * IMAGES_PER_BATCH) if is_picture(family) else (6, 24)
        settings = replace(
            SETTINGS, batch_size=batch_size, micro_batch=batch_size, num_epochs=NUM_STEPS * batch_size / num_rows
        )
        backbone, inputs = tiny_backbone(family, seed=0), family_inputs(family, num_rows=num_rows, seed=0)
        without = train(backbone, inputs, boundary, None, settings=settings)
        stored = train(backbone, inputs, boundary, tmp_path, settings=settings)

        assert len(without.losses) == len(stored.losses) == NUM_STEPS
        np.testing.assert_allclose(stored.losses, without.losses, rtol=0, atol=1e-6)
        skipped = [*backbone.layout.stem, *backbone.layout.blocks[:boundary]]
        assert all(without.calls[name] for name in skipped)
        assert not any(stored.calls[name] for name in skipped)
        assert all(stored.calls[name] for name in backbone.layout.blocks[boundary:])
        for trained in (without, stored):
            assert_only_the_top_moved(backbone, trained.model.backbone, boundary)


def assert_only_the_top_moved(before: Backbone, after: Backbone, boundary: int) -> None:
    """Blocks from the boundary on have new weights; everything else, statistics of norms included, is the same to the bit."""
    tops = tuple(f"{name}." for name in [*before.layout.blocks[boundary:], *before.layout.tail])
    parameters = {name for name, _ in before.network.named_parameters()}
    new = after.network.state_dict()
    for name, value in before.network.state_dict().items():
        if not name.startswith(tops) or name not in parameters:
            assert torch.equal(value, new[name]), name
    for block in before.layout.blocks[boundary:]:
        names = [name for name in parameters if name.startswith(f"{block}.")]
        assert any(not torch.equal(before.network.state_dict()[name], new[name]) for name in names), block


def test_the_convolutions_of_wav2vec2_are_not_run_again(tmp_path: Path) -> None:
    backbone, inputs = tiny_backbone("wav2vec2", seed=0), family_inputs("wav2vec2", num_rows=12, seed=0)
    assert any(isinstance(module, nn.Conv1d) for module in backbone.network.get_submodule("feature_extractor").modules())
    assert train(backbone, inputs, 1, None).calls["feature_extractor"] > 0
    assert train(backbone, inputs, 1, tmp_path).calls["feature_extractor"] == 0


def test_batch_norms_of_trained_blocks_keep_their_statistics(tmp_path: Path) -> None:
    for family in ("resnet", "mobilenet_v2"):
        backbone, inputs = tiny_backbone(family, seed=0), family_inputs(family, num_rows=12, seed=0)
        trained = train(backbone, inputs, 0, None, settings=replace(SETTINGS, num_epochs=1))
        before, after = backbone.network.state_dict(), trained.model.backbone.network.state_dict()
        statistics = [name for name in before if "running_" in name or "num_batches" in name]
        assert statistics
        assert all(torch.equal(before[name], after[name]) for name in statistics)


TEXTS = [
    f"{opening} {matter}"
    for opening in ("Hello, why was", "I do not understand:", "Please help.", "It is the second time:", "Urgent!")
    for matter in (
        "my card was declined at the till",
        "the transfer to my sister is still pending after four days",
        "I was charged twice for one top-up",
        "how do I change my PIN",
        "the app shows a payment that I never made, and nobody answers the phone",
        "refund?",
        "can I get a second card for my daughter",
        "exchange rate looks wrong on my holiday purchase in Lisbon last week",
        "my new card has not arrived",
        "where can I withdraw cash without a fee",
        "verify my identity",
        "close the account, and send what is left to my other bank",
    )
]


@pytest.mark.parametrize("boundary", [1, 4, 5])
def test_minilm_gives_equal_losses_with_and_without_the_store(minilm: Backbone, boundary: int, tmp_path: Path) -> None:
    inputs = minilm_inputs()
    settings = replace(SETTINGS, num_epochs=1, batch_size=10, micro_batch=10)
    without = train(minilm, inputs, boundary, None, settings=settings)
    stored = train(minilm, inputs, boundary, tmp_path, settings=settings)
    assert len(stored.losses) == len(TEXTS) / 10
    np.testing.assert_allclose(stored.losses, without.losses, rtol=0, atol=1e-6)
    assert_only_the_top_moved(minilm, stored.model.backbone, boundary)


@pytest.fixture(scope="module")
def minilm() -> Backbone:
    return load_backbone(resolve_model(ModelSettings(), modality="text"))


def minilm_inputs() -> TokenInputs:
    processor = TextProcessor.load(resolve_model(ModelSettings(), modality="text").folder)
    encoded = processor.encode(TEXTS)
    return TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id)


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_a_smaller_store_gives_nearly_the_same_losses(kind: StoreType, tmp_path: Path) -> None:
    backbone, inputs = tiny_backbone("bert", seed=0), family_inputs("bert", num_rows=24, seed=0)
    without = train(backbone, inputs, 2, None)
    stored = train(backbone, inputs, 2, tmp_path, store_type=kind)
    differences = np.abs(np.subtract(without.losses, stored.losses))
    assert 1e-6 < differences.max() < 5e-3

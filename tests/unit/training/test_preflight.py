"""The self-test: sound trainings of every family pass it and are left as they were; each planted fault is found and named."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from luthier.errors import PreflightError
from luthier.models.heads import LinearHead
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import FAMILIES, tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult
from luthier.training.methods.rung import Moves
from luthier.training.model import TunedModel
from luthier.training.preflight import Preflight, run_preflight
from luthier.training.preflight.subject import Subject, asked_names
from luthier.training.regularization import Penalties
from luthier.training.snapshot import put_back

Make = Callable[..., TunedModel]
Run = Callable[..., FitResult]
RATES = (2e-3, 2e-2)


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


def ln_of_two(places: np.ndarray) -> tuple[float, float]:
    return 0.35, 1.4


def examine(model: TunedModel, rows: TrainingRows, settings: FitSettings, **other: Any) -> Preflight:
    with model.tuning(settings.boundary, settings.moves) as trainable:
        given = {
            "trainable": trainable,
            "asked": asked_names(model, settings.boundary, settings.moves),
            "start": ln_of_two,
            "rates": RATES,
        }
        given |= {"loss": cross_entropy, "plain_loss": cross_entropy}
        return run_preflight(Subject(model=model, rows=rows, settings=settings, **(given | other)))


def rows_of(family: str, *, number: int = 20, labels: int = 2) -> TrainingRows:
    inputs = family_inputs(family, num_rows=number, seed=0)
    return TrainingRows(
        inputs=inputs, rows=np.arange(number), targets=np.arange(number) % labels, is_padded=family != "wav2vec2-base"
    )


def state(model: TunedModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def found_by(done: Preflight) -> Mapping[str, str]:
    return {check.name: check.found for check in done.checks}


@pytest.mark.parametrize("boundary", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_passes_and_is_left_as_it_was(family: str, boundary: int, make_model: Make) -> None:
    model = make_model(family)
    if family == "whisper":  # as it is made, all sounds are the same to it, and the self-test rightly says so
        with torch.no_grad():
            for item in model.backbone.parameters():
                item.mul_(25 if item.ndim > 1 else 1)
    before, random = state(model), torch.get_rng_state()
    settings = replace(SHORT_FIT, boundary=boundary, learning_rate=RATES[0], head_learning_rate=RATES[1])
    done = examine(model, rows_of(family), settings)
    assert [check.name for check in done.checks] == [
        "labels",
        "loss at the start",
        "trainable tensors",
        "trial steps",
        "overfitting",
    ]
    after = state(model)
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert torch.equal(random, torch.get_rng_state())
    assert not any(item.requires_grad or item.grad is not None for item in model.parameters())


def test_training_after_it_is_the_same_to_the_bit(
    make_model: Make, run: Run, settings: FitSettings, part: TrainingRows
) -> None:
    """With dropout, penalties and averages on: everything that draws or remembers takes part."""
    settings = replace(settings, penalties=Penalties(l1=1e-4, towards_pretrained=1e-2), ema_decay=0.5, precision="bfloat16")
    plain, tested = make_model(), make_model()
    examine(tested, part, settings)
    assert run(plain, settings).losses == run(tested, settings).losses
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), tested.state_dict().values(), strict=True))


def test_what_it_leaves_alone_is_named(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    """A pooler under mean pooling has no influence; wav2vec2's mask embedding none without masks."""
    model = make_model("bert", dropout=0.0)
    network: Any = model.backbone.network
    network.pooler = type("Pooler", (nn.Module,), {"forward": lambda self, hidden: torch.tanh(self.dense(hidden[:, 0]))})()
    network.pooler.dense = nn.Linear(16, 16)
    done = examine(model, part, replace(settings, boundary=0))
    assert "backbone.network.pooler.dense.weight" in found_by(done)["trial steps"]


def test_an_unused_pooler_key_biases_and_a_probe_s_head_pass(
    make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    model = make_model("roberta", dropout=0.0)
    with torch.no_grad():
        model.head.linear.weight.mul_(20)  # a head that says something from the start
    names = asked_names(model, 0, "all")
    assert any("key.bias" in name for name in names)
    done = examine(model, part, replace(settings, boundary=0), start=None)
    assert len(done.checks) == 5


class LowRank(nn.Module):
    """A linear layer with a pair of small matrices beside it, of which the second begins at zero."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.Parameter(torch.randn(rank, base.in_features, generator=torch.Generator().manual_seed(0)))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.base(hidden) + hidden @ self.lora_A.T @ self.lora_B.T


def test_a_pair_of_matrices_one_of_which_begins_at_zero_passes(
    make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    """The first gets no gradient in the first step, and one in the second."""
    model = make_model("bert", dropout=0.0)
    attention: Any = model.backbone.block(2).attention.self
    attention.query = LowRank(attention.query)
    with model.tuning(0):
        wanted = {name: item for name, item in model.named_parameters() if "lora_" in name or name.startswith("head.")}
        model.requires_grad_(False)
        for item in wanted.values():
            item.requires_grad_(True)
        subject = Subject(
            model=model,
            trainable=wanted,
            asked=frozenset(wanted),
            rows=part,
            settings=replace(settings, boundary=0),
            loss=cross_entropy,
            plain_loss=cross_entropy,
            rates=(2e-2, 2e-2),
        )
        assert found_by(run_preflight(subject))["trial steps"].startswith("4 tensors changed")


def refused(check: str, *expected: str, **arguments: Any) -> PreflightError:
    with pytest.raises(PreflightError) as caught:
        examine(**arguments)
    error = caught.value
    assert f"failed at '{check}'" in error.problem
    assert [words for words in expected if words not in error.problem] == []
    assert error.remedy
    assert error.exit_code == 1
    return error


def test_a_wrong_list_of_parameters_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()

    @contextmanager
    def forgets(boundary: int, moves: Moves) -> Any:
        with TunedModel.tuning(model, boundary, moves) as trainable:
            del trainable["head.linear.bias"]
            model.head.linear.bias.requires_grad_(False)
            yield trainable

    model.tuning = forgets  # type: ignore[method-assign, assignment]
    refused("trainable tensors", "head.linear.bias", "missing", model=model, rows=part, settings=settings)


def test_a_tensor_that_is_free_but_not_asked_for_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()

    @contextmanager
    def frees_all(boundary: int, moves: Moves) -> Any:
        with TunedModel.tuning(model, 0, moves) as trainable:
            model.boundary = boundary
            yield trainable

    model.tuning = frees_all  # type: ignore[method-assign, assignment]
    refused("trainable tensors", "not asked for", "embeddings", model=model, rows=part, settings=settings)


def test_a_tensor_that_the_optimizer_lacks_is_found(
    make_model: Make, part: TrainingRows, settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.training import step

    model, groups = make_model(), step._groups
    monkeypatch.setattr(step, "_groups", lambda *given: groups(*given)[:-1])
    refused("trainable tensors", "in the optimizer", "head.linear.bias", model=model, rows=part, settings=settings)


def test_a_detached_tensor_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model()
    dense: Any = model.backbone.block(1).intermediate.dense
    dense.forward = lambda hidden: functional.linear(hidden, dense.weight.detach(), dense.bias)
    name = "encoder.layer.1.intermediate.dense.weight"
    error = refused("trial steps", name, "no gradient arrives", model=model, rows=part, settings=settings)
    assert ".detach()" in error.remedy


def test_a_rate_too_small_to_move_anything_is_found_where_the_decay_by_block_makes_it(
    make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    still = replace(settings, boundary=0, block_decay=1e-20)
    error = refused("trial steps", "no step moves them", model=make_model(), rows=part, settings=still)
    assert error.remedy == "--block-decay 1"
    examine(make_model(), part, replace(settings, learning_rate=1e-12, head_learning_rate=1e-12))  # asked for: no fault


def test_labels_out_of_range_are_found_by_their_rows(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    wrong = part.targets.copy()
    wrong[[3, 7]] = (2, -1)
    rows = replace(part, targets=wrong, names=[f"toy.csv:{row}" for row in range(48)])
    refused(
        "labels",
        "from 0 to 1",
        "found -1, 2",
        "2 rows",
        "toy.csv:3, toy.csv:7",
        model=make_model(),
        rows=rows,
        settings=settings,
    )


def test_labels_that_are_all_masked_are_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    masked = replace(part, targets=np.full(48, -100))
    refused("labels", "48 targets", "masked", model=make_model(), rows=masked, settings=settings)

    def counts_nothing(outputs: Tensor, targets: Tensor) -> LossSum:
        return LossSum(sum=0 * outputs.sum(), weight=0.0)

    refused("labels", "masked", model=make_model(), rows=part, settings=settings, loss=counts_nothing)


@pytest.mark.parametrize("constant", [False, True])
def test_a_loss_that_ignores_the_labels_is_found(
    constant: bool, make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    def own_answer(outputs: Tensor, targets: Tensor) -> LossSum:
        return cross_entropy(outputs, torch.zeros_like(targets) if constant else outputs.argmax(1))

    refused("labels", "does not depend on the labels", model=make_model(), rows=part, settings=settings, loss=own_answer)


def test_a_head_that_is_not_saved_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    def saved_without_its_head(model: TunedModel) -> TunedModel:
        loaded = make_model()
        loaded.backbone.load_state_dict(model.backbone.state_dict())
        return loaded

    refused(
        "saved equals reloaded",
        "head.linear.weight",
        model=make_model(),
        rows=part,
        settings=settings,
        save_and_load=saved_without_its_head,
    )


def test_a_setting_of_the_head_that_is_not_saved_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    def saved_without_its_scaling(model: TunedModel) -> TunedModel:
        loaded = make_model()
        loaded.load_state_dict(model.state_dict())
        return loaded

    model = make_model()
    model.head.normalize = True  # type: ignore[assignment]
    found = "expected the same outputs"
    refused(
        "saved equals reloaded",
        found,
        model=model,
        rows=part,
        settings=settings,
        save_and_load=saved_without_its_scaling,
        start=None,
    )


def test_a_start_from_other_weights_than_said_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    refused(
        "loss at the start",
        "expected 0.010 to 0.020",
        "found 0.",
        model=make_model(),
        rows=part,
        settings=settings,
        start=lambda places: (0.01, 0.02),
    )


def test_a_model_that_sees_nothing_cannot_learn_a_batch_by_heart(
    make_model: Make, part: TrainingRows, settings: FitSettings
) -> None:
    """Every text becomes the same one: steps change the weights, and nothing is learnt."""

    class Blind(LinearHead):
        def forward(self, pooled: Tensor) -> Tensor:
            return super().forward(pooled.mean(0, keepdim=True).expand(len(pooled), -1))

    backbone = tiny_backbone("bert", seed=0)
    model = TunedModel(backbone, Blind(backbone.width, 2, dropout=0.0, seed=0))
    refused("overfitting", "8 rows", "at best", model=model, rows=part, settings=settings)


def test_a_loss_that_is_no_number_is_found(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    def overflows(outputs: Tensor, targets: Tensor) -> LossSum:
        part = cross_entropy(outputs, targets)
        return LossSum(sum=part.sum * (1 if outputs.requires_grad and outputs.is_leaf else torch.inf), weight=part.weight)

    refused("trial steps", "inf", model=make_model(), rows=part, settings=settings, loss=overflows, start=None)


def test_whatever_happens_in_a_trial_is_undone(make_model: Make) -> None:
    model = make_model()
    before = state(model)
    with (
        pytest.raises(ZeroDivisionError),
        model.tuning(0) as trainable,
        put_back(model, trainable, device="cpu"),
        torch.no_grad(),
    ):
        for item in trainable.values():
            item.add_(1)
        raise ZeroDivisionError
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())

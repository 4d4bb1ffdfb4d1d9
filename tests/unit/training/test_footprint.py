"""Memory: what is predicted before the first step beside what a process has then taken, and what is said of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.tasks.protocol import LossSum
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.footprint import Footprint, SavedBytes, measure_footprint
from luthier.training.loop import Supervision
from luthier.training.methods import build_rung
from luthier.training.model import TunedModel
from luthier.training.optimizer import build_groups, build_optimizer, build_recipe
from luthier.training.regularization import Penalties
from luthier.training.settle import Opening

Make = Callable[..., TunedModel]
GIB = 1 << 30

TRAINING = """
import json, sys
import numpy as np, torch, transformers
torch.set_num_threads(1)
from dataclasses import replace
from luthier.core.process import StopRequest, keep_freed_memory
from luthier.core.progress import Quiet
from luthier.models.backbone import wrap_backbone
from luthier.models.heads import LinearHead
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import LossSum
from luthier.testing.fitting import SHORT_FIT
from luthier.training.data import TrainingRows
from luthier.training.footprint import measure_footprint
from luthier.training.loop import Objective, Supervision, fit
from luthier.training.memory import peak_bytes
from luthier.training.model import TunedModel
from luthier.training.worst import try_worst

def cross_entropy(outputs, targets):
    return LossSum(sum=torch.nn.functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))

given = json.loads(sys.argv[1])
keep_freed_memory()
lengths = np.random.default_rng(0).integers(64, 128, 64)
ids = np.random.default_rng(1).integers(3, 4000, int(lengths.sum()))
inputs = TokenInputs.build(ids, np.r_[0, lengths.cumsum()], pad_id=0)
rows = TrainingRows(inputs=inputs, rows=np.arange(64), targets=np.arange(64) % 2)
name = given.pop("network")
network = getattr(transformers, name + "Model")(getattr(transformers, name + "Config")(vocab_size=4000, **given.pop("config")))
backbone = wrap_backbone(network.eval(), width=network.config.hidden_size)
model = TunedModel(backbone, LinearHead(backbone.width, 2, dropout=0.0, seed=0))
settings = replace(SHORT_FIT, num_epochs=0.5, **given)
with model.tuning(settings.boundary) as trainable:
    found = measure_footprint(model, trainable, rows, settings, loss=cross_entropy)
    supervision = Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest())
    try_worst(model, trainable, (rows, rows), settings, loss=cross_entropy, supervision=supervision)
objective = Objective(loss=cross_entropy, score=lambda outputs: {"accuracy": 0.5}, primary="accuracy")
fit(model, lambda boundary: (rows, rows), settings, objective=objective, supervision=supervision)
print(json.dumps([found.peak(settings.micro_batch), peak_bytes("cpu"), found.held]))
"""
CASES = {
    "bert, mostly activations": {
        "network": "Bert",
        "config": {"hidden_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 768},
        "batch_size": 32,
        "micro_batch": 32,
    },
    "gpt2, mostly weights": {
        "network": "GPT2",
        "config": {"n_embd": 512, "n_layer": 4, "n_head": 8, "bos_token_id": 0, "eos_token_id": 0},
        "batch_size": 8,
        "micro_batch": 2,
        "optimizer": "adam",
    },
}


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


def predicted(model: TunedModel, part: TrainingRows, settings: FitSettings) -> Footprint:
    with model.tuning(settings.boundary, settings.moves) as trainable:
        return measure_footprint(model, trainable, part, settings, loss=cross_entropy)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from Linux")
@pytest.mark.parametrize("case", CASES)
def test_a_training_takes_about_what_was_predicted(case: str) -> None:
    """Of the whole process, and of what the training takes on top of what was held before."""
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, json.dumps(CASES[case])], capture_output=True, text=True, timeout=120, check=True
    )
    promised, measured, held = json.loads(done.stdout.splitlines()[-1])
    assert measured - held > 50 << 20
    assert 0.6 < promised / measured < 1.6
    assert 0.5 < (promised - held) / (measured - held) < 2.0


def test_counting_leaves_no_trace(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    model = make_model(dropout=0.3)
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    predicted(model, part, settings)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_memory_is_counted_once_however_often_it_is_kept() -> None:
    """A product of a tensor with itself keeps it twice; a view of it is the same memory."""
    weight = nn.Parameter(torch.ones(8))
    holder = nn.Linear(1, 1)
    counter = SavedBytes(holder)
    with counter.counting():
        doubled = weight * 2
        kept = doubled * doubled + doubled[:4].repeat(2).exp()
    assert kept.requires_grad
    assert counter.num_bytes == 32 + 32  # `doubled` once, and the outcome of exp


def test_rows_cost_alike_whatever_their_number(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    found = predicted(make_model(dropout=0.0), part, settings)
    assert found.row > 0
    assert found.need(8) - found.need(4) == 4 * found.row


def test_fewer_blocks_and_blocks_computed_twice_keep_less(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    full, upper, twice = (
        predicted(make_model(), part, replace(settings, **change)).row
        for change in ({"boundary": 0}, {"boundary": 2}, {"boundary": 0, "recompute": "on"})
    )
    assert max(upper, twice) < full


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd:0.9", "sgd:0", "adafactor"])
def test_the_states_of_an_optimizer_are_of_the_size_that_its_recipe_says(name: str) -> None:
    weights = {"a": nn.Parameter(torch.ones(6, 4)), "b": nn.Parameter(torch.ones(5)), "c": nn.Parameter(torch.ones(3, 2, 4))}
    optimizer = build_optimizer(build_groups(weights.items(), learning_rate=0.1, weight_decay=0.0), device="cpu", name=name)
    for item in weights.values():
        item.grad = torch.ones_like(item)
    optimizer.step()
    kept = sum(
        value.numel()
        for state in optimizer.state.values()
        for key, value in state.items()
        if isinstance(value, Tensor) and key != "step"
    )
    assert kept == sum(build_recipe(name).state_size(tuple(item.shape)) for item in weights.values())


def test_copies_that_are_asked_for_are_predicted(make_model: Make, part: TrainingRows, settings: FitSettings) -> None:
    plain = predicted(make_model(), part, settings)
    penalties = Penalties(ewc=1.0)
    more = predicted(make_model(), part, replace(settings, soup=3, ema_decay=0.9, penalties=penalties))
    assert plain.copies == 2 * plain.gradients
    assert more.copies == 7 * plain.gradients


def footprint(**change: int) -> Footprint:
    parts = {"held": GIB, "before": 0, "copies": 0, "gradients": 0, "optimizer": 0, "fixed": 0, "store": 0}
    return Footprint(**{**parts, "row": GIB // 3, "room": 16 * GIB, **change})


def test_what_will_not_fit_is_said_with_what_does() -> None:
    said = footprint().warning(64, batch_size=64, device="cuda:0")
    assert said == (
        "Micro-batch 64 needs about 21.3 GiB on cuda:0; 16.0 GiB are free. "
        "Try: --micro-batch auto (32 fits; 2 micro-batches keep the effective batch at 64)"
    )
    assert footprint().warning(8, batch_size=64, device="cpu") == ""
    near = footprint().warning(40, batch_size=40, device="cpu")
    assert near == "Micro-batch 40 needs about 13.3 GiB; 16.0 GiB are free."
    assert "--max-length" in footprint(room=1).warning(8, batch_size=8, device="cpu")


def test_the_prediction_is_never_less_than_what_was_needed_before() -> None:
    assert footprint(before=9 * GIB).peak(3) == 9 * GIB
    assert footprint(store=GIB).peak(3) == footprint().peak(3) + GIB
    assert footprint(store=40 * GIB).fits(3)  # pages of files give way


class Notes(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def note(self, text: str, *, level: str = "info") -> None:
        self.said.append((level, text))


def test_a_rung_begins_with_the_prediction_and_a_warning_where_memory_is_short(
    make_model: Make, part: TrainingRows, settings: FitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prediction may be wrong: the training is warned of, and not refused."""
    rung, events, notes = build_rung("top-blocks:2", num_blocks=3), [], Notes()
    supervision = Supervision(observer=notes, record=events.append, stop=StopRequest())
    Opening().settle(make_model(), rung, (part, part), settings, loss=cross_entropy, supervision=supervision)
    assert notes.said == []
    (event,) = events
    assert (event["event"], event["micro_batch"]) == ("memory_predicted", 16)
    assert sum(event["parts"].values()) <= event["peak_bytes"]
    assert set(event["parts"]) == {"held", "copies", "gradients", "optimizer", "activations", "store"}

    given_back: list[bool] = []
    monkeypatch.setattr("luthier.training.settle.give_back_freed_memory", lambda: given_back.append(True))
    monkeypatch.setattr("luthier.training.footprint.room_bytes", lambda device, *, seats: 100_000)
    kept = Opening().settle(make_model(), rung, (part, part), settings, loss=cross_entropy, supervision=supervision)
    assert kept.micro_batch == 16
    (level, said), (_, sparing) = notes.said
    assert level == "warning"
    assert said.startswith("Micro-batch 16 needs about ")
    assert given_back
    assert "memory is not ample" in sparing
    assert np.isclose(events[-2]["room_bytes"], 100_000)
    assert events[-1]["event"] == "memory"

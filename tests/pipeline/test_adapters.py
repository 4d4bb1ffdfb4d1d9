"""Adapters through the whole story: from the store, killed and resumed, merged when saved, and beside it as peft has it."""

import copy
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import luthier
from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.errors import SpecError, Stopped
from luthier.features.passes import PassSettings, compute_features, to_device
from luthier.models.heads import LinearHead
from luthier.pipeline import Run
from luthier.pipeline.planning import plan
from luthier.spec import build_spec
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.checkpoint import Checkpoints
from luthier.training.data import TrainingRows
from luthier.training.loop import FitResult, Objective, Supervision, fit
from luthier.training.methods import build_rung
from luthier.training.model import TunedModel

from .conftest import TEXT_RUN

METHODS = ("lora:2:1", "dora:2:1", "ia3:1", "bitfit:1")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def train(
    method: str, root: Path | None = None, *, saved: Path | None = None, stop_at: int = -1, **settings: Any
) -> tuple[FitResult, dict[str, Tensor]]:
    """Four epochs of a method on a tiny BERT, from a store in `root` if there is one; what it gave, and all weights."""
    backbone, inputs = tiny_backbone("bert", seed=0), family_inputs("bert", num_rows=24, seed=0)
    rung = build_rung(method, num_blocks=3)
    moves = rung.moves if isinstance(rung.moves, str) else replace(rung.moves, dropout=0.1 if rung.moves.rank else 0.0)
    rows, targets = np.arange(24), np.arange(24) % 3
    rehearsal = backbone.rehearse(to_device(inputs.batch(rows[:2]), dtype=torch.float32, device="cpu"))
    store = None
    if root is not None:
        place = PassSettings(identity={"weights": "seeded"}, root=root, precision="float32", store_type="float32")
        features = compute_features(backbone, inputs, place, boundary_rows={rung.boundary: rows}, observer=Quiet())
        store = features.boundaries[rung.boundary]
    part = TrainingRows(inputs=inputs, rows=rows, targets=targets, store=store, is_padded=rehearsal.padded)
    stop = StopRequest()

    def record(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == stop_at:
            stop.signal_name = "SIGTERM"

    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return LossSum(sum=nn.functional.cross_entropy(outputs, targets, reduction="sum"), weight=len(targets))

    model = TunedModel(backbone, LinearHead(backbone.width, 3, dropout=0.1, seed=0))
    asked = replace(SHORT_FIT, boundary=rung.boundary, moves=moves, batch_size=6, micro_batch=6, num_epochs=4, **settings)
    states = Checkpoints(saved, seconds=None, observer=Quiet()) if saved is not None else None
    done = fit(
        model,
        lambda _: (part, part),
        asked,
        objective=Objective(
            loss=loss,
            score=lambda outputs: {"accuracy": float((outputs.argmax(1) == targets).mean())},
            primary="accuracy",
        ),
        supervision=Supervision(observer=Quiet(), record=record, stop=stop, checkpoints=states),
    )
    return done, {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("method", METHODS)
def test_from_the_store_it_is_the_same_training(method: str, tmp_path: Path) -> None:
    """Blocks below an adapter that only the last ones have are read, never computed; losses are those without a store."""
    without, _ = train(method, learning_rate=2e-3)
    stored, _ = train(method, tmp_path, learning_rate=2e-3)
    assert len(without.losses) == 16
    np.testing.assert_allclose(stored.losses, without.losses, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [
        *((method, "adamw") for method in METHODS),
        *(("lora:2:1", name) for name in ("adam", "sgd:0.9", "sgd:0", "adafactor")),
        ("top-blocks:1", "adafactor"),
        ("top-blocks:1", "sgd:0.9"),
    ],
)
def test_stopped_and_resumed_it_ends_with_the_same_bits(method: str, optimizer: str, tmp_path: Path) -> None:
    """Weights, losses and the best step: those of a training that was never stopped."""
    settings = {"optimizer": optimizer, "learning_rate": 1e-2, "ema_decay": 0.5}
    straight, expected = train(method, **settings)
    with pytest.raises(Stopped):
        train(method, saved=tmp_path, stop_at=7, **settings)
    again, found = train(method, saved=tmp_path, **settings)
    assert again.losses == straight.losses
    assert again.best_step == straight.best_step
    assert found.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


@pytest.fixture(scope="module", params=["lora:2:1", "dora:2", "ia3"])
def run(request: pytest.FixtureRequest, tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("adapted") / "run"
    settings = {**TEXT_RUN, "target": "topic", "model": str(text_model), "learning_rate": 2e-2}
    return luthier.tune(tickets, method=request.param, out=str(out), **settings)


def test_the_saved_model_is_merged_and_peft_makes_the_same_of_the_adapter(run: Run, text_model: Path) -> None:
    """The folder is a plain Hugging Face one; plain peft, with the pre-trained model, gives its outputs to 1e-5."""
    from peft import PeftModel
    from transformers import AutoModel

    tensors = load_file(run.model_path / "model.safetensors")
    assert not [name for name in tensors if "lora" in name or "ia3" in name or "base_layer" in name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft and transformers, about names of theirs that are deprecated
        merged = AutoModel.from_pretrained(run.model_path).eval()
        pretrained = AutoModel.from_pretrained(text_model).eval()
        plain = copy.deepcopy(pretrained)
        adapted = PeftModel.from_pretrained(pretrained, str(run.model_path / "adapter")).eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        ours, theirs, before = (model(input_ids=ids).last_hidden_state for model in (merged, adapted, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert float((ours - before).abs().max()) > 1e-3


def test_the_journal_says_how_large_the_adapter_is(run: Run) -> None:
    events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    (started,) = [event for event in events if event["event"] == "rung_started"]
    adapter = sum(value.numel() for value in load_file(run.model_path / "adapter" / "adapter_model.safetensors").values())
    head = sum(value.numel() for value in load_file(run.model_path / "head.safetensors").values())
    assert started["moves"]["kind"] == started["rung"].partition(":")[0]
    assert started["trainable_parameters"] == adapter + head


def test_settings_that_nobody_would_read_are_refused(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    asked = {**TEXT_RUN, "target": "topic", "model": str(text_model), "out": str(tmp_path / "run")}
    for method, settings, said in (
        ("full", {"adapter_alpha": 4.0}, "--adapter-alpha is for low-rank adapters, which 'full' is not"),
        ("ia3", {"adapter_dropout": 0.1}, "--adapter-dropout is for low-rank adapters, which 'ia3' is not"),
        ("auto", {"adapter_dropout": 0.1}, "--adapter-dropout is for low-rank adapters, which 'auto' is not"),
        ("lora:2", {"towards_pretrained": 0.1}, "'lora:2' leaves them where they are"),
        ("lora:2", {"ewc": 1.0}, "'lora:2' leaves them where they are"),
    ):
        with pytest.raises(SpecError, match=said):
            luthier.tune(tickets, method=method, **asked, **settings)
    assert not (tmp_path / "run").exists()


def test_an_optimizer_with_rates_of_its_own_says_so(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    asked = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "top-blocks:1", "num_epochs": 1}
    asked |= {"optimizer": "sgd:0.5", "out": str(tmp_path / "run"), "learning_rate": None}
    run = luthier.tune(tickets, **asked)
    lines = (run.folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    (decision,) = [item for item in map(json.loads, lines) if item["name"] == "learning_rate"]
    assert decision["override"] == "--learning-rate R --head-learning-rate R"
    assert decision["reason"].startswith("sgd:0.5 needs some")
    events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    (started,) = [event for event in events if event["event"] == "rung_started"]
    assert started["learning_rate"] == decision["value"]["top-blocks:1"] > 1e-3


def test_the_plan_counts_the_weights_of_an_adapter(tickets: Path, text_model: Path) -> None:
    asked = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "lora:2:1"}
    made = plan(build_spec(str(tickets), **asked))
    said = next(what for name, what, _ in made.steps if name == "train lora:2:1")
    assert re.search(r", [1-9][0-9,]* weights$", said)

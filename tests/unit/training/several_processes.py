"""Trainings that the tests run in one process and, by torchrun, in two: `python several_processes.py FOLDER`."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from luthier.core.process import StopRequest
from luthier.core.progress import Quiet
from luthier.core.seat import taken_seat
from luthier.errors import DivergedError, Stopped, UsageError
from luthier.features.passes import PassSettings, compute_features
from luthier.models.heads import LinearHead
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.checkpoint import Checkpoints
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import FitResult, Objective, Supervision, fit
from luthier.training.model import TunedModel
from luthier.training.processes import Processes, joined
from luthier.training.regularization import Penalties

NUM_ROWS = 45  # batches of sixteen: the last has thirteen, seven for one process and six for the other
BASE = replace(SHORT_FIT, boundary=1, num_epochs=3, learning_rate=2e-3, head_learning_rate=5e-3, warmup_fraction=0.2)
CASES: Mapping[str, Mapping[str, Any]] = {
    "top block": {},
    "everything": {"boundary": 0},
    "accumulation": {"boundary": 0, "micro_batch": 3},
    "fewer rows than processes": {"batch_size": 11, "num_epochs": 1},  # 45 = 4 * 11 + 1: the last batch is one row
    "penalties": {"penalties": Penalties(l1=1e-3, l2=1e-2, towards_pretrained=1e-2), "ema_decay": 0.9, "block_decay": 0.8},
    "clipped": {"max_gradient_norm": 0.05},
}


def rows(*, store: Any = None) -> TrainingRows:
    inputs = family_inputs("bert", num_rows=NUM_ROWS, seed=0)
    assert isinstance(inputs, TokenInputs)
    means = [inputs.ids[inputs.offsets[row] : inputs.offsets[row + 1]].mean() for row in range(NUM_ROWS)]
    targets = (np.array(means) > np.median(means)).astype(np.int64)
    return TrainingRows(inputs=inputs, rows=np.arange(NUM_ROWS), targets=targets, store=store)


def cross_entropy(outputs: Tensor, targets: Tensor) -> LossSum:
    return LossSum(sum=functional.cross_entropy(outputs, targets, reduction="sum"), weight=float(len(targets)))


def make_model(*, dropout: float = 0.0) -> TunedModel:
    backbone = tiny_backbone("bert", seed=0)
    for module in backbone.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return TunedModel(backbone, LinearHead(backbone.width, 2, dropout=dropout, seed=0))


def train(
    settings: FitSettings,
    processes: Processes,
    *,
    part: TrainingRows | None = None,
    model: TunedModel | None = None,
    **other: Any,
) -> tuple[FitResult, TunedModel]:
    part, model = part or rows(), model or make_model()

    def score(outputs: np.ndarray) -> Mapping[str, float]:
        loss = functional.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(part.targets))
        return {"log_loss": float(loss)}

    given = {"observer": Quiet(), "record": lambda event: None, "stop": StopRequest(), "processes": processes}
    objective = Objective(loss=other.pop("loss", cross_entropy), score=score, primary="log_loss", direction="lower")
    supervision = Supervision(**{**given, **other})
    return fit(model, lambda boundary: (part, part), settings, objective=objective, supervision=supervision), model


def told(result: FitResult, model: TunedModel) -> dict[str, Any]:
    """What must be the same, as JSON."""
    return {
        "losses": result.losses,
        "best_step": result.best_step,
        "outputs": result.outputs.tolist(),
        "weights": {name: value.double().sum().item() for name, value in model.state_dict().items()},
        "bits": {name: value.numpy().tobytes().hex()[:4000] for name, value in model.state_dict().items()},
    }


def stored(processes: Processes, folder: Path) -> dict[str, Any]:
    """The top block, fed from a store that one process fills."""
    model = make_model()
    part = rows()
    model.backbone.rehearse(part.batch(np.arange(2)).inputs)
    settings = PassSettings(identity={}, root=folder / "store", precision="float32", store_type="float32")
    with processes.one_at_a_machine_first():
        found = compute_features(model.backbone, part.inputs, settings, boundary_rows={1: part.rows}, observer=Quiet())
    return {**told(*train(BASE, processes, part=rows(store=found.boundaries[1]), model=model)), "reused": found.reused}


def short_of_memory(processes: Processes) -> dict[str, Any]:
    """The last process has room for two examples only; all of them go on in micro-batches of two."""
    said: list[str] = []

    class Listener(Quiet):
        def note(self, message: str, *, level: str = "info") -> None:
            said.append(message)

    def greedy(outputs: Tensor, targets: Tensor) -> LossSum:
        if processes.rank == processes.count - 1 and len(targets) > 2:
            raise torch.OutOfMemoryError("too many")
        return cross_entropy(outputs, targets)

    return {**told(*train(BASE, processes, loss=greedy, observer=Listener())), "said": said}


def diverging(processes: Processes) -> str:
    """A loss that is no number, in the last process alone, ends the training of all."""

    def wrong(outputs: Tensor, targets: Tensor) -> LossSum:
        good = cross_entropy(outputs, targets)
        return LossSum(sum=good.sum * float("nan"), weight=good.weight) if processes.rank == processes.count - 1 else good

    try:
        train(BASE, processes, loss=wrong)
    except DivergedError as error:
        return error.problem
    return "nothing was raised"


def interrupted(processes: Processes, folder: Path, *, dropout: float) -> dict[str, Any]:
    """Stopped after two steps by a signal to the last process alone; then gone on with, and compared with an unbroken run."""
    events: list[int] = []
    stop = StopRequest()

    def stopping(event: Mapping[str, Any]) -> None:
        events.append(event["step"])
        if event["step"] == 2 and processes.rank == processes.count - 1:
            stop.signal_name = "SIGTERM"

    states = Checkpoints(folder / "states", seconds=1e9, observer=Quiet()) if processes.is_main else None
    whole, model = train(BASE, processes, model=make_model(dropout=dropout))
    try:
        train(BASE, processes, model=make_model(dropout=dropout), stop=stop, record=stopping, checkpoints=states)
    except Stopped as error:
        said = error.problem
    again, other = train(BASE, processes, model=make_model(dropout=dropout), checkpoints=states)
    return {"whole": told(whole, model), "again": told(again, other), "steps": events, "said": said}


def differing(processes: Processes) -> str:
    try:
        processes.refuse_difference("rows", str(processes.rank))
    except UsageError as error:
        return error.problem
    return "nothing was raised"


def shared(processes: Processes) -> list[Any]:
    """Tensors of every kind and facts of the main process, after their way."""
    tensors = {
        "a": {"x": torch.arange(3) + processes.rank, "y": torch.full((2, 0, 1), 1.5)},
        "b": {"z": torch.ones(2).bfloat16()},
    }
    given = tensors if processes.is_main else {}
    found, facts = processes.share(given, {"name": "Umlaut ü", "rank": processes.rank})
    shapes = {name: [str(value.dtype), list(value.shape)] for items in found.values() for name, value in items.items()}
    return [shapes, found["a"]["x"].tolist(), facts, processes.of_main(processes.rank + 0.5)]


def all_cases(processes: Processes, folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {name: told(*train(replace(BASE, **changes), processes)) for name, changes in CASES.items()}
    results["store"] = stored(processes, folder)
    results["memory"] = short_of_memory(processes)
    results["divergence"] = diverging(processes)
    results["interrupted"] = interrupted(processes, folder, dropout=0.3)
    results["dropout"] = told(*train(BASE, processes, model=make_model(dropout=0.3)))
    results["cost"] = processes.total_cost(train(BASE, processes)[0].cost).cpu_seconds
    results["difference"], results["shared"] = differing(processes), shared(processes)
    results["count"] = processes.count
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    with joined(taken_seat(), device="cpu") as together:
        found = all_cases(together, target)
        (target / f"rank-{together.rank}.json").write_text(json.dumps(found), encoding="utf-8")

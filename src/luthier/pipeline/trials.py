"""One trial of a search: the training of `tune`, on what all trials share.

The process, the loaded model, the encoded rows, the pass through the frozen model and the store of each boundary are shared.
Each trial trains a copy of the loaded model, so that nothing a trial does to it can reach another: trial k with the same values
gives the same score wherever and whenever it runs.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.process import Cost, StopRequest, Stopwatch
from luthier.core.progress import Observer, Quiet
from luthier.errors import ResourceError
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.predictions import group_indices
from luthier.evaluation.records import IndexedMeasure, Predictions
from luthier.features.passes import Features
from luthier.pipeline.before import Before, measure_frozen, measure_probe, probe_predictions
from luthier.pipeline.choose import Chosen, choose_model
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.run_folder import RunFolder
from luthier.pipeline.train import choose_rungs, has_probe, make_workbench, train
from luthier.spec import TuneSpec
from luthier.studies.records import Outcome
from luthier.studies.space import Space, Value, every_dimension, every_value
from luthier.studies.work import Report
from luthier.tasks.protocol import has_own_head, steering_measure
from luthier.training.memory import is_out_of_memory
from luthier.training.methods.rung import Rung
from luthier.training.settle import Opening

# Settings of the model that only its head has: another value needs no other pass through the frozen model.
OF_THE_HEAD = {"layers", "width", "activation", "dropout"}


@dataclass(kw_only=True)
class Desk:
    """What trials with the same pre-trained model share.

    Attributes:
        chosen: The model and the encoded rows.
        features: Of the one pass.
        befores: What the probe depends on -> the probe and its predictions on validation; only without a penalty of its own.
    """

    chosen: Chosen
    features: Features
    befores: dict[str, Before] = field(default_factory=dict)

    def before(self, spec: TuneSpec, prepared: Prepared) -> Before:
        """What training starts from; the test is not looked at."""
        training = spec.training
        name = f"{training.class_weights} {training.sampling}"
        if training.probe_penalty is None and name in self.befores:
            return self.befores[name]
        if self.chosen.task.probe is None:
            return Before(features=self.features, probe=None, test={}, validation=None, cost={})
        watch = Stopwatch()
        probe = measure_probe(spec, self.chosen, self.features)
        outputs = probe.logits(self.features.pooled[self.chosen.units("validation")])
        before = Before(
            features=self.features,
            probe=probe,
            test={},
            validation=probe_predictions(prepared, self.chosen, "validation", outputs),
            cost={"probe": watch.read()},
        )
        if training.probe_penalty is None:
            self.befores[name] = before
        return before


class Trials:
    """Runs trials.

    Args:
        base: What holds where nothing varies.
        prepared: The data.
        chosen: The model of `base`.
        space: What varies.
        stop: Looked at while a trial trains.
        observer: Is told of decisions.
    """

    def __init__(
        self, base: TuneSpec, prepared: Prepared, chosen: Chosen, space: Space, *, stop: StopRequest, observer: Observer
    ) -> None:
        self.base, self.prepared, self.space = base, prepared, space
        self._stop, self._observer = stop, observer
        watch = Stopwatch()
        self._desks: dict[str, Desk] = {}
        self._chosen = {_model_of(base): chosen}
        self.decisions: Sequence[Decision[Any]] = []
        torch.set_num_threads(chosen.threads)
        self.desk(base)
        self.shared_cost: Cost = watch.read()

    def desk(self, spec: TuneSpec) -> Desk:
        """What is shared by the trials with this model; one model is held at a time, the passes of all stay in the cache."""
        name = _model_of(spec)
        if name not in self._desks:
            self._desks.clear()
            chosen = self._chosen.pop(name, None) or choose_model(spec, self.prepared, backbone=None, observer=Quiet())
            rungs = all_rungs(spec, self.space, chosen)
            features, decision = measure_frozen(spec, chosen, rungs, observer=self._observer)
            self.decisions = [*self.decisions, decision]
            self._desks[name] = Desk(chosen=chosen, features=features)
        return self._desks[name]

    def run(self, values: Mapping[str, Value], report: Report) -> Outcome:
        """Train with some values; the score is that of `tune` with the same spec.

        Raises:
            DivergedError, ResourceError: the trial has failed.
            Stopped: the user asked to stop.
        """
        spec = self.base.with_values(values)
        desk = self.desk(spec)
        try:
            return self._run(spec, desk, report)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            said = (str(error).splitlines() or ["MemoryError"])[0][:200]
            raise ResourceError(f"Memory is short: {said}", remedy="a smaller --batch-size") from error

    def _run(self, spec: TuneSpec, desk: Desk, report: Report) -> Outcome:
        chosen = replace(desk.chosen, backbone=copy.deepcopy(desk.chosen.backbone))
        before = desk.before(spec, self.prepared)
        rungs = choose_rungs(spec, chosen)
        measure = steering_measure(self.prepared.task)

        def judge(share: float, scores: Mapping[str, float]) -> None:
            report(share, scores[measure])

        nowhere = RunFolder(Path(), origin={}, checkpoint_seconds=None, observer=Quiet())
        bench = make_workbench(spec, self.prepared, chosen, before, folder=nowhere, observer=Quiet(), stop=self._stop)
        # Only where there is a single training are there steps that can be compared with those of others.
        num_trainings = len(rungs) - (has_probe(spec, chosen.task) or has_own_head(chosen.task))
        own = replace(
            bench,
            shelf=None,
            opening=Opening(finds_rate=bench.opening.finds_rate, finds_micro_batch=bench.opening.finds_micro_batch),
            record=_forget,
            judge=judge if num_trainings == 1 else None,
        )
        _, results = train(spec, self.prepared, chosen, before, rungs, bench=own)
        winner = [result for result in results if result.kept][-1]
        return Outcome(
            score=winner.score,
            stats=stats_of(winner.predictions, measure),
            facts={"method": winner.rung.name, "epochs": round(winner.epochs, 3)},
        )

    def default_penalty(self) -> float | None:
        """What a run of `tune` would choose for its probe, or was told; None where there is no probe."""
        probe = self.desk(self.base).before(self.base, self.prepared).probe
        return None if probe is None else probe.penalty

    def units(self) -> Int[np.ndarray, " N"]:
        """Which rows of validation belong together."""
        chosen = self.desk(self.base).chosen
        roles = self.prepared.dataset.schema.roles
        return group_indices(chosen.table.take(chosen.parts["validation"]), roles.get("group"))


def methods_of(space: Space, base: TuneSpec) -> list[str]:
    """The methods that trials can have."""
    varied = [value for item in every_dimension(space) if item.path == "training.method" for value in every_value(item)]
    return [str(value) for value in varied] or [base.training.method]


def all_rungs(spec: TuneSpec, space: Space, chosen: Chosen) -> list[Rung]:
    """Whatever some trial may start from: all boundaries are stored in the one pass."""
    rungs: dict[str, Rung] = {}
    for method in methods_of(space, spec):
        for rung in choose_rungs(spec.with_values({"training.method": method}), chosen):
            rungs.setdefault(rung.name, rung)
    return list(rungs.values())


def stats_of(predictions: Predictions, name: str) -> Any:
    """Per-example statistics of a measure; None if it is no function of their sums."""
    measure = MEASURES[name]
    return None if isinstance(measure, IndexedMeasure) else measure.stats(predictions)


def _model_of(spec: TuneSpec) -> str:
    return str(spec.model.model_dump(exclude={"head": OF_THE_HEAD}))


def _forget(event: Mapping[str, Any]) -> None:
    """The journal of a trial is its curve in the study."""

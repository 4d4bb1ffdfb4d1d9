"""The story, from beginning to end. Each step is a function of its own package; this file says what follows what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from luthier.core.process import Cost, StopRequest, Stopwatch, stop_on_signals
from luthier.core.progress import Observer, Quiet
from luthier.evaluation.card import EvidenceCard, RunFacts, build_card
from luthier.evaluation.records import Predictions
from luthier.features.probe import Probe, fit_probe
from luthier.models.backbone import Backbone
from luthier.package.folder import ModelDescription, save_model
from luthier.package.model import Model, load_model
from luthier.pipeline.baselines import Baselines, measure_baselines
from luthier.pipeline.choose import Chosen, choose_model
from luthier.pipeline.measure_before import Measured, measure_before
from luthier.pipeline.prepare import Prepared, prepare
from luthier.pipeline.records import Run
from luthier.pipeline.run_folder import RunFolder, open_run_folder
from luthier.spec import TuneSpec
from luthier.training.ladder import RungResult, Workbench, climb, first_result, use_probe
from luthier.training.loop import FitSettings
from luthier.training.methods import build_rung, ladder_rungs
from luthier.training.methods.rung import Rung
from luthier.training.model import TunedModel


def tune(spec: TuneSpec, *, observer: Observer | None = None, backbone: Backbone | None = None) -> Run:
    """Load, check, split, choose, measure before, train, measure after, package, report.

    Args:
        spec: What was asked for.
        observer: Is told what happens.
        backbone: A backbone of one's own instead of `spec.model`.
    """
    observer = observer or Quiet()
    with stop_on_signals() as stop:
        prepared = prepare(spec, observer=observer)
        chosen = choose_model(spec, prepared, backbone=backbone, observer=observer)
        folder = open_run_folder(spec, prepared, chosen)
        torch.set_num_threads(chosen.threads)
        rungs = _rungs(spec, chosen)
        measured = measure_before(spec, prepared, chosen, rungs, observer=observer)
        baselines = measure_baselines(prepared, measured, seed=spec.training.seed, observer=observer)
        model, results = _train(spec, prepared, chosen, measured, rungs, folder, observer, stop)
        return _measure_after(spec, prepared, chosen, measured, baselines, model, results, folder, observer)

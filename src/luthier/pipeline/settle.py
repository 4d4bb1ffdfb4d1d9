"""What is tried before the first step of each rung, and what the self-test must know: where the loss starts, how to save."""

import shutil

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.models.own import package_of
from luthier.package.folder import load_folder, save_model
from luthier.pipeline.before import Before
from luthier.pipeline.choose import Chosen
from luthier.pipeline.description import describe_model
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.run_folder import RunFolder
from luthier.spec import TuneSpec
from luthier.tasks.protocol import PLAIN, HeadOrigin, LossSum
from luthier.training.model import TunedModel
from luthier.training.preflight import SelfTest
from luthier.training.settle import Opening

# How far the loss at the start may lie from what the probe's own logits give: relative, and absolute. The probe was fitted on
# features of the pass, which in bfloat16 or from an int8 store are not quite those that training sees.
EXACT, ROUNDED = (0.02, 0.01), (0.15, 0.05)


def build_opening(
    spec: TuneSpec, prepared: Prepared, chosen: Chosen, before: Before, *, head_origin: HeadOrigin, folder: RunFolder
) -> Opening:
    """What this run tries before each rung; with what was settled before, if it goes on after an interruption."""
    settings = spec.training
    opening = Opening(
        self_test=build_self_test(prepared, chosen, before, head_origin=head_origin, folder=folder)
        if settings.preflight
        else None,
        finds_rate=settings.learning_rate == "auto",
        finds_micro_batch=settings.micro_batch == "auto",
        file=folder.shelf.folder / "settled.json",
    )
    if folder.is_resumed:
        opening.remember()
    return opening


def build_self_test(
    prepared: Prepared, chosen: Chosen, before: Before, *, head_origin: HeadOrigin, folder: RunFolder
) -> SelfTest:
    """The self-test of a run.

    Args:
        head_origin: What each rung's head starts from: the loss must be that probe's, or what the task says of fresh heads.
    """

    def plain_loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return prepared.task.loss(outputs, targets, recipe=PLAIN)

    def of_the_probe(units: Int[np.ndarray, " B"]) -> tuple[float, float]:
        assert before.probe is not None
        logits = torch.from_numpy(before.probe.start_logits(before.features.pooled[units])).float()
        part = plain_loss(logits, torch.from_numpy(chosen.targets[units]))
        expected = float(part.sum) / part.weight
        relative, absolute = _tolerance(chosen, before)
        return expected * (1 - relative) - absolute, expected * (1 + relative) + absolute

    fresh = prepared.task.start_loss(chosen.state, "fresh")

    def save_and_load(model: TunedModel) -> TunedModel:
        path = folder.shelf.folder / "self-test"
        try:
            save_model(path, model, chosen.processor, describe_model(prepared, chosen, model))
            builder = chosen.backbone.builder
            return load_folder(path, device=chosen.device, allow=[package_of(builder)] if builder else [])[0]
        finally:
            shutil.rmtree(path, ignore_errors=True)

    start = of_the_probe if head_origin == "probe" else None if fresh is None else lambda rows: fresh
    return SelfTest(plain_loss=plain_loss, start=start, save_and_load=save_and_load)


def _tolerance(chosen: Chosen, before: Before) -> tuple[float, float]:
    stored = {decision.value for decision in before.decisions if decision.name == "store"}
    return EXACT if chosen.precision == "float32" and stored <= {"float32", "off"} else ROUNDED

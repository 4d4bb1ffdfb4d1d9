"""What the self-test before the first step knows of this run: where the loss must start, and how a model is saved."""

import shutil

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.package.folder import load_folder, package_of, save_model
from luthier.pipeline.before import Before
from luthier.pipeline.choose import Chosen
from luthier.pipeline.description import describe_model
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.run_folder import RunFolder
from luthier.tasks.protocol import PLAIN, HeadOrigin, LossSum
from luthier.training.model import TunedModel
from luthier.training.preflight import SelfTest

# How far the loss at the start may lie from what the probe's own logits give: relative, and absolute. The probe was fitted on
# features of the pass, which in bfloat16 or from an int8 store are not quite those that training sees.
EXACT, ROUNDED = (0.02, 0.01), (0.15, 0.05)


def build_self_test(
    prepared: Prepared, chosen: Chosen, before: Before, *, head_origin: HeadOrigin, folder: RunFolder
) -> SelfTest:
    """The self-test of a run.

    Args:
        head_origin: What each rung's head starts from: the loss must be that probe's, or what the task says of fresh heads.
    """

    def plain_loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return prepared.task.loss(outputs, targets, recipe=PLAIN)

    def of_the_probe(rows: Int[np.ndarray, " B"]) -> tuple[float, float]:
        logits = torch.from_numpy(before.probe.start_logits(before.features.pooled[rows])).float()
        part = plain_loss(logits, torch.from_numpy(chosen.targets[rows]))
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

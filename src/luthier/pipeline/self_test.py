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
from luthier.tasks.protocol import LossSum
from luthier.training.model import TunedModel
from luthier.training.preflight import SelfTest
from luthier.training.step import Loss

# How far the loss at the start may lie from what the probe's own logits give: relative, and absolute. The probe was fitted on
# features of the pass, which in bfloat16 or from an int8 store are not quite those that training sees.
EXACT, ROUNDED = (0.02, 0.01), (0.15, 0.05)


def build_self_test(prepared: Prepared, chosen: Chosen, before: Before, *, loss: Loss, folder: RunFolder) -> SelfTest:
    """The self-test of a run whose blocks are tuned under a probe's head."""
    probe, pooled = before.probe, before.features.pooled
    stored = {decision.value for decision in before.decisions if decision.name == "store"}
    is_exact = chosen.precision == "float32" and stored <= {"float32", "off"}
    relative, absolute = EXACT if is_exact else ROUNDED

    def plain_loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return prepared.task.loss(outputs, targets, label_smoothing=0.0)

    def start(rows: Int[np.ndarray, " B"]) -> tuple[float, float]:
        logits = torch.from_numpy(probe.start_logits(pooled[rows])).float()
        part = loss(logits, torch.from_numpy(chosen.targets[rows]))
        expected = float(part.sum) / part.weight
        return expected * (1 - relative) - absolute, expected * (1 + relative) + absolute

    def save_and_load(model: TunedModel) -> TunedModel:
        path = folder.shelf.folder / "self-test"
        try:
            save_model(path, model, chosen.processor, describe_model(prepared, chosen, model))
            builder = chosen.backbone.builder
            return load_folder(path, device=chosen.device, allow=[package_of(builder)] if builder else [])[0]
        finally:
            shutil.rmtree(path, ignore_errors=True)

    return SelfTest(plain_loss=plain_loss, start=start, save_and_load=save_and_load)

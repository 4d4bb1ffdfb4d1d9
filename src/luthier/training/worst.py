"""The worst batches first: what needs the most memory is tried before the first step, so that a shortage shows at once.

What needs most is the longest rows, as many as go into one pass: of training with its backward pass and the optimizer's state,
of an evaluation without. Where they do not fit, the training begins in pieces that do.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Int
from torch import nn

from luthier.features.passes import IMAGES_PER_BATCH, ROWS_PER_BATCH
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import Supervision, predict_rows
from luthier.training.model import TunedModel
from luthier.training.snapshot import put_back
from luthier.training.step import Loss, Stepper


def try_worst(
    model: TunedModel,
    trainable: Mapping[str, nn.Parameter],
    parts: tuple[TrainingRows, TrainingRows],
    settings: FitSettings,
    *,
    loss: Loss,
    supervision: Supervision,
) -> FitSettings:
    """Try one step on the longest rows of train and one evaluation of the longest of validation; everything is put back.

    Args:
        model: Inside `tuning` and `starting`.
        parts: Train and validation rows.

    Returns:
        The settings, with a micro-batch that fits, and with blocks computed twice where a single example needs it.

    Raises:
        ResourceError: not even one row fits into memory.
    """
    train, validation = parts
    with put_back(model, trainable, device=settings.device):
        stepper = Stepper(model, trainable, settings, loss=loss, processes=supervision.processes)
        stepper.update(train, longest_rows(train, stepper.micro_batch * supervision.processes.count), factor=0.0)
        problems = stepper.take_problems()
        most = ROWS_PER_BATCH if validation.is_padded else IMAGES_PER_BATCH
        places = longest_rows(validation, most * supervision.processes.count)
        worst = replace(validation, rows=validation.rows[places], targets=validation.targets[places])
        predict_rows(model, worst, settings, processes=supervision.processes)
    for problem in problems:
        supervision.observer.note(f"Tried before the first step, on the longest rows: {problem}", level="warning")
        supervision.record({"event": "memory", "step": 0, "problem": problem})
    recompute = "on" if stepper.recomputes else settings.recompute
    return replace(settings, micro_batch=stepper.micro_batch, recompute=recompute) if problems else settings


def longest_rows(rows: TrainingRows, number: int) -> Int[np.ndarray, " B"]:
    """The longest rows of a part, the longest first.

    Example:
        >>> from luthier.testing.inputs import family_inputs
        >>> inputs = family_inputs("bert", num_rows=9, seed=0)
        >>> rows = TrainingRows(inputs=inputs, rows=np.arange(9), targets=np.zeros(9, dtype=np.int64))
        >>> int(rows.lengths[longest_rows(rows, 2)].min()) == sorted(rows.lengths.tolist())[-2]
        True
    """
    return np.asarray(np.argsort(-rows.lengths, kind="stable")[:number])

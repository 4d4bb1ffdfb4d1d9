"""Units of a run as the loop takes them: to be learnt from, with companions or in other views, or to be scored."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from luthier.data.dataset import EXAMPLE_ID
from luthier.features.store import ActivationStore
from luthier.pipeline.choose import Chosen
from luthier.tasks.protocol import Companions
from luthier.training.data import TrainingRows


def known_units(chosen: Chosen, *parts: str) -> Int[np.ndarray, " u"]:
    """The units of some parts that can be trained on."""
    units = np.sort(np.concatenate([chosen.units(part) for part in parts]))
    return np.asarray(units[chosen.task.known(chosen.targets[units])])


def learning_rows(
    chosen: Chosen, units: Int[np.ndarray, " u"], store: ActivationStore | None, *, companions: Companions | None = None
) -> TrainingRows:
    """Some units to be learnt from, with their companions where the loss is over whole batches, or in other views."""
    companions = companions or chosen.companions
    if companions is None:
        rows = training_rows(chosen, units, store, is_packed=chosen.is_packed)
        return replace(rows, views=chosen.views) if chosen.views is not None else rows
    own = companions.among(units)
    return replace(training_rows(chosen, own.anchors, store), companions=own)


def training_rows(
    chosen: Chosen, units: Int[np.ndarray, " u"], store: ActivationStore | None, *, is_packed: bool = False
) -> TrainingRows:
    """Some units as the loop takes them."""
    assert chosen.backbone.rehearsal is not None

    def decode(outputs: Float[np.ndarray, "B ..."], units: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B K"]:
        return chosen.task.decode(outputs, chosen.inputs, units)

    return TrainingRows(
        inputs=chosen.inputs,
        rows=units,
        targets=chosen.targets[units],
        decode=decode,
        store=store,
        is_padded=chosen.backbone.rehearsal.padded and (store is None or not store.is_pooled),
        device=chosen.device,
        names=chosen.table.column(EXAMPLE_ID).take(chosen.inputs.row_of),
        is_packed=is_packed,
        mixed=chosen.mixed(units),
    )

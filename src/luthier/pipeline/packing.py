"""Whether texts of a batch share rows: where the network says of each the same as of it alone, and where it saves something."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.seeding import generator_for
from luthier.data.batches import epoch_batches
from luthier.errors import SpecError
from luthier.features.passes import to_device
from luthier.models.backbone import Backbone
from luthier.tasks.inputs import Inputs
from luthier.tasks.packing import PackableInputs, pack
from luthier.training.settings import TrainingSettings

PACKING = "packing"
WORTH = 0.8  # of the places of padded batches
TRIED = 4  # texts on which it is tried
TOLERANCE = 1e-4


def choose_packing(
    settings: TrainingSettings, backbone: Backbone, inputs: Inputs, units: Int[np.ndarray, " u"]
) -> Decision[bool] | None:
    """Whether the texts of a training share rows; None where there are no such texts.

    Args:
        units: Of train.

    Raises:
        SpecError: it was asked for, and the inputs or the network do not allow it.
    """
    is_packable = hasattr(inputs, "packed_batch")
    if settings.packing == "off" or not is_packable:
        if settings.packing == "on":
            problem = "--packing on is for texts that a language model continues, and there are none here."
            raise SpecError(problem, remedy="leave --packing out")
        return _decided(False, "as asked") if is_packable else None
    share = places_saved(inputs.lengths[units], batch_size=settings.first_micro_batch, seed=settings.seed)
    fault = packing_fault(backbone, cast(PackableInputs, inputs), units)
    if settings.packing == "on":
        if fault:
            raise SpecError(f"--packing on is not possible: {fault}.", remedy="--packing off")
        return _decided(True, "as asked", share)
    if fault:
        return _decided(False, fault, share)
    saved = f"batches of similar length would have {1 - share:.0%} fewer places"
    return _decided(share <= WORTH, saved, share)


def _decided(value: bool, reason: str, share: float | None = None) -> Decision[bool]:
    evidence = {} if share is None else {"places_of_padded_batches": round(share, 3)}
    return Decision(name=PACKING, value=value, reason=reason, evidence=evidence, override="--packing on|off")


def places_saved(lengths: Int[np.ndarray, " N"], *, batch_size: int, seed: int) -> float:
    """Places of packed batches as a share of those of padded ones, over an epoch.

    Example:
        >>> places_saved(np.array([8, 4, 4, 2, 2]), batch_size=5, seed=0)
        0.6
    """
    batches = epoch_batches(lengths, batch_size=batch_size, generator=generator_for(seed, "packing"))
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    packed = sum(int(np.prod(pack(lengths[batch]).shape)) for batch in batches)
    return packed / max(1, padded)


def packing_fault(backbone: Backbone, inputs: PackableInputs, units: Int[np.ndarray, " u"]) -> str:
    """Why packed texts would be told otherwise than alone; empty if they are told alike (tried on a few)."""
    few = np.concatenate([units[:1], units[np.argsort(inputs.lengths[units], kind="stable")[: TRIED - 1]]])
    arrays, packs = inputs.packed_batch(few)
    try:
        with torch.no_grad():
            packed = backbone(to_device(arrays, dtype=torch.float32, device="cpu")).hidden
            alone = backbone(to_device(inputs.batch(few), dtype=torch.float32, device="cpu")).hidden
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        return f"the network does not take texts that share a row ({str(error).splitlines()[0][:80]})"
    found, expected = packed[packs.places], alone[packs.texts, packs.within]
    if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        return "the network says something else of texts that share a row"
    return ""

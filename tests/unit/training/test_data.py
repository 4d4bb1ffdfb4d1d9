"""What the loop is fed with."""

from pathlib import Path

import numpy as np
import torch

from luthier.core.progress import Quiet
from luthier.features.passes import PassSettings, compute_features, to_device
from luthier.testing.backbones import tiny_backbone
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows


def test_a_batch_holds_the_rows_asked_for_with_their_targets(part: TrainingRows) -> None:
    some = TrainingRows(inputs=part.inputs, rows=np.array([5, 9, 2]), targets=np.array([1, 0, 1]))
    batch = some.batch(np.array([2, 0]))
    expected = part.inputs.batch(np.array([2, 5]))
    assert np.array_equal(batch.inputs["input_ids"].numpy(), expected["input_ids"])
    assert batch.targets.tolist() == [1, 1]
    assert batch.stored is None
    assert some.lengths.tolist() == part.inputs.lengths[[5, 9, 2]].tolist()


def test_pictures_from_the_store_are_not_decoded(tmp_path: Path) -> None:
    """The light batch has no pixels; the maps come from the disk, in the memory layout that convolutions like."""
    backbone, inputs = tiny_backbone("resnet", seed=0), family_inputs("resnet", num_rows=6, seed=0)
    rows = np.arange(6)
    rehearsal = backbone.rehearse(to_device(inputs.batch(rows[:2]), dtype=torch.float32, device="cpu"))
    settings = PassSettings(identity={}, root=tmp_path, precision="float32", store_type="float32")
    store = compute_features(backbone, inputs, settings, boundary_rows={2: rows}, observer=Quiet()).boundaries[2]
    part = TrainingRows(inputs=inputs, rows=rows, targets=rows, store=store, is_padded=rehearsal.padded)
    batch = part.batch(np.array([4, 1]))
    assert batch.stored is not None
    assert batch.stored.shape == (2, *rehearsal.shapes[2])
    assert batch.stored.is_contiguous(memory_format=torch.channels_last)
    assert batch.inputs["pixel_values"].untyped_storage().nbytes() == 4

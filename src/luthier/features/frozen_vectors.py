"""Vectors by a frozen model that stands beside the one that is tuned: computed each time, or kept in the activation store."""

import numpy as np
import torch
from jaxtyping import Float

from luthier.core.environment import cache_folder
from luthier.core.process import Cost
from luthier.core.progress import Observer
from luthier.features.passes import PRECISIONS, PassSettings, batches_by_length, compute_features, frozen_copy, to_device
from luthier.models.backbone import Backbone
from luthier.models.table_processor import ImageModel, TextModel
from luthier.tasks.inputs import ImageInputs, Inputs


def kept_vectors(
    backbone: Backbone, inputs: Inputs, model: TextModel | ImageModel, *, fingerprint: str, device: str, observer: Observer
) -> tuple[Float[np.ndarray, "N D"], Cost]:
    """Pooled vectors from the store, where they are put if they are not there; and what their pass cost, whenever that was.

    Args:
        model: What is known of the weights, and in which precision they are asked.
        fingerprint: Of the preprocessing.
        observer: Is told of the pass.
    """
    backbone.rehearse(to_device(inputs.batch(np.arange(1)), dtype=torch.float32, device="cpu"))
    identity = {
        "weights": model.weights_sha256,
        "processor": fingerprint,
        "device": device.partition(":")[0],
        "threads": torch.get_num_threads(),
    }
    settings = PassSettings(
        identity=identity, root=cache_folder() / "store", precision=model.precision, store_type="float32", device=device
    )
    found = compute_features(backbone, inputs, settings, boundary_rows={}, observer=observer)
    return found.pooled, found.cost


def computed_vectors(
    backbone: Backbone, inputs: Inputs, model: TextModel | ImageModel, *, device: str
) -> Float[np.ndarray, "N D"]:
    """Pooled vectors, computed now; arguments as of `kept_vectors`."""
    runner = frozen_copy(backbone, precision=model.precision, device=device)
    found = np.empty((len(inputs.lengths), model.width), dtype=np.float32)
    with torch.inference_mode():
        for rows in batches_by_length(inputs.lengths, is_media=isinstance(inputs, ImageInputs)):
            batch = to_device(inputs.batch(rows), dtype=PRECISIONS[model.precision], device=device)
            found[rows] = runner.pool(runner(batch)).float().cpu().numpy()
    return found

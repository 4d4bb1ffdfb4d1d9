"""What the loop is fed with: rows of one part as batches of tensors, from raw inputs or from the store."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from luthier.features.passes import to_device
from luthier.features.store import ActivationStore
from luthier.models.backbone import ModelInputs
from luthier.tasks.inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class TrainBatch:
    """One micro-batch: inputs, what was stored for them (or None), targets."""

    inputs: ModelInputs
    stored: Tensor | None
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The rows of one part.

    Attributes:
        inputs: Encoded rows of all parts.
        rows: Which of them belong to the part.
        targets: Targets of the part, in the order of `rows`.
        store: Activations that enter the first trainable block, if they are stored.
        is_padded: Whether stored activations are tokens of different length.
        device: Where batches go.
        names: Of the rows of all parts, by which messages call them; their numbers if there are none.
    """

    inputs: Inputs
    rows: Int[np.ndarray, " N"]
    targets: Int[np.ndarray, " N"]
    store: ActivationStore | None = None
    is_padded: bool = True
    device: str = "cpu"
    names: Sequence[object] = ()

    def names_of(self, places: Int[np.ndarray, " B"]) -> list[str]:
        """What to call some of the part's rows."""
        return [str(self.names[row] if self.names else row) for row in self.rows[places].tolist()]

    @property
    def lengths(self) -> Int[np.ndarray, " N"]:
        """Lengths of the part's rows."""
        return np.asarray(self.inputs.lengths[self.rows])

    def batch(self, places: Int[np.ndarray, " B"]) -> TrainBatch:
        """Tensors of some of the part's rows, by their place in the part."""
        rows = self.rows[places]
        arrays = self.inputs.batch(rows) if self.store is None else self.inputs.light_batch(rows)
        stored = None
        if self.store is not None:
            stored = self.store.read(self.store.rows_of(self.inputs.keys[rows]), padded=self.is_padded).to(self.device)
            stored = stored.contiguous(memory_format=torch.channels_last) if stored.ndim == 4 else stored
        return TrainBatch(
            inputs=to_device(arrays, dtype=torch.float32, device=self.device),
            stored=stored,
            targets=torch.from_numpy(self.targets[places]).to(self.device),
        )

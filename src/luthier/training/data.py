"""What the loop is fed with: rows of one part as batches of tensors, from raw inputs or from the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from luthier.data.mixture import MixedRows
from luthier.features.passes import to_device
from luthier.features.store import ActivationStore
from luthier.models.backbone import ModelInputs
from luthier.tasks.inputs import Inputs, ViewedInputs, work_lengths
from luthier.tasks.packing import PackableInputs
from luthier.tasks.protocol import Companions
from luthier.tasks.shaping import Views
from luthier.tasks.word_inputs import IGNORED

Decode = Callable[[Float[np.ndarray, "B ..."], Int[np.ndarray, " B"]], Float[np.ndarray, "B K"]]


@dataclass(frozen=True, kw_only=True)
class TrainBatch:
    """One micro-batch: inputs, what was stored for them (or None), targets."""

    inputs: ModelInputs
    stored: Tensor | None
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The units of one part: encoded rows, or windows of rows.

    Attributes:
        inputs: Encoded rows of all parts.
        rows: Which of their units belong to the part; with companions those that batches are drawn from.
        targets: Targets of the part, in the order of `rows`.
        decode: (outputs of a batch, its units) -> what is kept of them; None keeps the outputs themselves.
        store: Activations that enter the first trainable block, if they are stored.
        is_padded: Whether stored activations are tokens of different length.
        device: Where batches go.
        names: Of the units of all parts, by which messages call them; their numbers if there are none.
        is_packed: Whether several units share a row of a batch, each as if it stood alone: for inputs that can be packed, and
            losses that are sums over places.
        companions: For a loss over a whole batch: who comes into it beside the rows drawn, which are their anchors.
        mixed: The sources of the part's units, where several are mixed: epochs draw by their weights.
        views: Gives other views of units, with the targets in them, for steps of training.
    """

    inputs: Inputs
    rows: Int[np.ndarray, " N"]
    targets: np.ndarray
    decode: Decode | None = None
    store: ActivationStore | None = None
    is_padded: bool = True
    device: str = "cpu"
    names: Sequence[object] = ()
    is_packed: bool = False
    companions: Companions | None = None
    mixed: MixedRows | None = None
    views: Views | None = None

    def names_of(self, places: Int[np.ndarray, " B"]) -> list[str]:
        """What to call some of the part's rows."""
        return [str(self.names[row] if self.names else row) for row in self.rows[places].tolist()]

    def decoded(self, outputs: Float[np.ndarray, "B ..."], places: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B ..."]:
        """What is kept of a model's outputs for some of the part's rows."""
        return outputs if self.decode is None else self.decode(outputs, self.rows[places])

    @property
    def lengths(self) -> Int[np.ndarray, " N"]:
        """Lengths of the part's rows; where they come with companions, of the longest of these."""
        if self.companions is not None:
            return np.asarray(self.companions.lengths(self.rows, self.inputs.lengths))
        return np.asarray(work_lengths(self.inputs)[self.rows])

    @property
    def work(self) -> int:
        """Tokens, frames or pictures of all rows, with one batch of companions."""
        units = self.rows if self.companions is None else self.whole_batch(np.arange(len(self.rows)))[0]
        return int(self.inputs.lengths[units].sum())

    def in_view(self, view: int) -> "TrainingRows":
        """The same rows looked at in another way, with the targets of that view; unchanged where there is one way only."""
        if not isinstance(self.inputs, ViewedInputs):
            return self
        inputs = self.inputs.in_view(view)
        return replace(self, inputs=cast(Inputs, inputs), targets=inputs.labels(self.rows))

    def training_batch(self, places: Int[np.ndarray, " B"]) -> TrainBatch:
        """The same as a step of training sees it: other views, if there are any, drawn by torch's generator."""
        if self.views is None:
            return self.batch(places)
        seed = int(torch.randint(2**62, ()).item())  # a state that checkpoints keep: a step that is done again sees the same
        arrays, targets = self.views.batch(self.rows[places], self.targets[places], seed=seed)
        return TrainBatch(
            inputs=to_device(arrays, dtype=torch.float32, device=self.device),
            stored=None,
            targets=torch.from_numpy(targets).to(self.device),
        )

    def batch(self, places: Int[np.ndarray, " B"]) -> TrainBatch:
        """Tensors of some of the part's rows, by their place in the part, and of their companions if they have any."""
        if self.companions is not None:
            units, targets = self.whole_batch(places)
            return self.read(units, targets)
        if self.is_packed:
            return self._packed_batch(places)
        return self.read(self.rows[places], self.targets[places])

    def whole_batch(self, places: Int[np.ndarray, " B"]) -> tuple[Int[np.ndarray, " M"], np.ndarray]:
        """The units of a batch whose loss is over all of them, and its targets. The same rows have the same companions."""
        assert self.companions is not None
        anchors = self.rows[places]
        seed = int.from_bytes(blake2b(np.ascontiguousarray(anchors).tobytes(), digest_size=4).digest(), "little")
        return self.companions.around(anchors, seed=seed)

    def read(self, rows: Int[np.ndarray, " m"], targets: np.ndarray) -> TrainBatch:
        """Tensors of some units."""
        arrays = self.inputs.batch(rows) if self.store is None else self.inputs.light_batch(rows)
        stored = None
        if self.store is not None:
            stored = self.store.read(self.store.rows_of(self.inputs.keys[rows]), padded=self.is_padded).to(self.device)
            stored = stored.contiguous(memory_format=torch.channels_last) if stored.ndim == 4 else stored
        return TrainBatch(
            inputs=to_device(arrays, dtype=torch.float32, device=self.device),
            stored=stored,
            targets=torch.from_numpy(targets).to(self.device),
        )

    def _packed_batch(self, places: Int[np.ndarray, " B"]) -> TrainBatch:
        """The same units with as little as possible to fill up: what was stored of each, and its targets, moved likewise."""
        rows = self.rows[places]
        arrays, packs = cast(PackableInputs, self.inputs).packed_batch(rows)
        stored = None
        if self.store is not None:
            padded = self.store.read(self.store.rows_of(self.inputs.keys[rows]), padded=True)
            stored = padded.new_zeros((*packs.shape, *padded.shape[2:]))
            stored[packs.places] = padded[packs.texts, packs.within]
            stored = stored.to(self.device)
        return TrainBatch(
            inputs=to_device(arrays, dtype=torch.float32, device=self.device),
            stored=stored,
            targets=torch.from_numpy(packs.packed(self.targets[places], fill=IGNORED)).to(self.device),
        )

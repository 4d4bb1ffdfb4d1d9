"""Masked-column pre-training: hide some cells of a row and say from the others what they were. No label is looked at.

Use when: rows of a table, always; it pays most where few rows have labels, or columns depend on each other.
Cost: at most 500 steps of 128 rows (but two passes), a quarter of a minute for rows of twenty cells on one core.
Suggested values: 30 % of the cells hidden; more epochs than it needs do no harm, it keeps the best.
Source: Rubachev et al. 2022, "Revisiting pretraining objectives for tabular deep learning" (masked columns predicted from the
others); Devlin et al. 2019 (some hidden cells look like missing or rare ones, so that these are known too).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from luthier.core.progress import Observer, counted
from luthier.core.seeding import generator_for, seed_for
from luthier.features.passes import to_device
from luthier.models.table_cells import MASKED, MISSING, RARE
from luthier.models.table_network import TableNetwork, TableShape
from luthier.tasks.inputs import Inputs

MASK_FRACTION = 0.3
LOOKS_MISSING, LOOKS_RARE = 0.1, 0.05  # of the hidden cells
BATCH_SIZE = 128
LEARNING_RATE, WEIGHT_DECAY, MOST_WARMUP_STEPS = 2e-3, 1e-5, 50
HELD_OUT, MOST_HELD_OUT, FEWEST_HELD_OUT = 0.1, 2000, 400
MOST_EPOCHS, MOST_STEPS = 30, 500
PATIENCE = 5
Batch = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What pre-training gave.

    Attributes:
        epochs: Passes over the rows that were done, and `best_epoch` the one whose weights are kept (0: those from before).
        explained: Of what the hidden cells of rows held out leave open when nothing else is known, the share that the other
            cells tell; 0 to 1.
        rows: Rows learnt from; `held_out` are those that `explained` is measured on.
    """

    epochs: int
    best_epoch: int
    explained: float
    rows: int
    held_out: int


class CellDecoders(nn.Module):
    """From what the network knows of a row to its hidden cells: a number, a code, or the vector of a text or a picture."""

    def __init__(self, shape: TableShape) -> None:
        super().__init__()
        self.shape = shape
        self.number_weight = nn.Parameter(torch.zeros(shape.numbers, shape.width))
        self.number_bias = nn.Parameter(torch.zeros(shape.numbers))
        self.codes = nn.ModuleList(nn.Linear(shape.width, size) for size in shape.categories)
        self.texts = nn.ModuleList(nn.Linear(shape.width, shape.text_width) for _ in range(shape.texts))
        self.images = nn.ModuleList(nn.Linear(shape.width, shape.image_width) for _ in range(shape.images))

    def losses(self, hidden: Float[Tensor, "B T D"], whole: Batch, hides: Bool[Tensor, "B T"]) -> Float[Tensor, " T"]:
        """Summed loss of the hidden cells of each column: squared error of numbers and vectors, cross-entropy of codes."""
        known = hidden + hidden.mean(1, keepdim=True)
        found = []
        place = self.shape.numbers
        if place:
            values = (known[:, :place] * self.number_weight).sum(-1) + self.number_bias
            found.append(((values - whole["numbers"][..., 0]).square() * hides[:, :place]).sum(0))
        for column, layer in enumerate(self.codes):
            losses = functional.cross_entropy(layer(known[:, place + column]), whole["categories"][:, column], reduction="none")
            found.append((losses * hides[:, place + column]).sum()[None])
        place += len(self.codes)
        for name, layers in (("texts", self.texts), ("images", self.images)):
            for column, layer in enumerate(layers):
                losses = (layer(known[:, place]) - whole[name][:, column]).square().mean(-1)
                found.append((losses * hides[:, place]).sum()[None])
                place += 1
        return torch.cat(found)


def pretrain(
    network: TableNetwork, inputs: Inputs, *, epochs: int | None, seed: int, device: str, observer: Observer
) -> Pretrained:
    """Pre-train a fresh network in place; the weights of the best epoch on rows held out are kept.

    The same network, inputs, seed, device and number of threads give the same bits.

    Args:
        inputs: Encoded rows of train, with or without labels.
        epochs: At most; None chooses by the number of rows.
        seed: Of the order of rows, and of what is hidden.
    """
    order = generator_for(seed, "held out of pre-training").permutation(len(inputs.lengths))
    num_held = min(MOST_HELD_OUT, max(1, round(HELD_OUT * len(order)))) if len(order) > 1 else 0
    held, rows = order[:num_held], order[num_held:]
    limit = default_epochs(len(rows)) if epochs is None else epochs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "pre-training"))
        decoders = CellDecoders(network.shape).to(device)
        network.to(device).requires_grad_(True)
        course = _Course(network, decoders, inputs, seed=seed, device=device)
        open_losses = course.open_losses(held if num_held else rows)
        best, best_epoch, epoch = math.inf, 0, 0
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        with counted(observer, "pre-train", limit * len(rows), "rows"):
            for epoch in range(1, limit + 1):
                course.learn(rows, epoch, limit, observer)
                loss = course.held_loss(held if num_held else rows, open_losses)
                if loss < best:
                    best, best_epoch = loss, epoch
                    weights = {name: value.clone() for name, value in network.state_dict().items()}
                elif epoch - best_epoch >= PATIENCE:
                    break
    network.load_state_dict(weights)
    network.to("cpu").eval().requires_grad_(True)
    explained = 0.0 if best_epoch == 0 else max(0.0, 1 - best)
    return Pretrained(epochs=epoch, best_epoch=best_epoch, explained=explained, rows=len(rows), held_out=num_held)


def default_epochs(num_rows: int) -> int:
    """Passes over the rows, where nobody asks for a number.

    Example:
        >>> default_epochs(5_000), default_epochs(40_000)
        (12, 2)
    """
    return max(2, min(MOST_EPOCHS, MOST_STEPS // max(1, math.ceil(num_rows / BATCH_SIZE))))


class _Course:
    """The training itself."""

    def __init__(self, network: TableNetwork, decoders: CellDecoders, inputs: Inputs, *, seed: int, device: str) -> None:
        self.network, self.decoders, self.inputs = network, decoders, inputs
        self._seed, self._device, self._step = seed, device, 0
        parameters = [*network.parameters(), *decoders.parameters()]
        self._optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)

    def learn(self, rows: Int[np.ndarray, " N"], epoch: int, limit: int, observer: Observer) -> None:
        """One pass over the rows; the learning rate warms up, then falls to nothing over all passes."""
        generator = generator_for(self._seed, f"pre-training/{epoch}")
        order = rows[generator.permutation(len(rows))]
        steps = math.ceil(len(order) / BATCH_SIZE)
        self.network.eval()  # hidden cells are noise enough; dropout on top costs a third of the time
        for start in range(0, len(order), BATCH_SIZE):
            whole, hidden, hides = self._masked(order[start : start + BATCH_SIZE], generator)
            losses = self.decoders.losses(self.network(**hidden).last_hidden_state, whole, hides)
            loss = losses.sum() / hides.sum().clamp(min=1)
            self._step += 1
            rate = LEARNING_RATE * min(1.0, self._step / max(1, min(MOST_WARMUP_STEPS, steps * limit // 10)))
            rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, self._step / (steps * limit))))
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_([*self.network.parameters(), *self.decoders.parameters()], 1.0)
            self._optimizer.step()
            observer.advance(len(hides))

    def held_loss(self, rows: Int[np.ndarray, " N"], open_losses: Float[Tensor, " T"]) -> float:
        """Mean over columns of the loss of hidden cells, each as a share of what is open when nothing is known; same masks."""
        self.network.eval()
        losses, counts = torch.zeros(len(open_losses)), torch.zeros(len(open_losses))
        with torch.no_grad():
            for whole, hidden, hides in self._held_batches(rows):
                losses += self.decoders.losses(self.network(**hidden).last_hidden_state, whole, hides).cpu()
                counts += hides.sum(0).cpu()
        usable = (counts > 0) & (open_losses > 0)
        return float((losses[usable] / counts[usable] / open_losses[usable]).mean()) if usable.any() else 1.0

    def open_losses(self, rows: Int[np.ndarray, " N"]) -> Float[Tensor, " T"]:
        """The loss of each column when only the column's own distribution is known: variance, or entropy."""
        batch = self._tensors(self.inputs.batch(rows))
        found = []
        if "numbers" in batch:
            there = batch["number_states"] == 0
            for column in range(there.shape[1]):
                values = batch["numbers"][there[:, column], column, 0]
                found.append(values.var(correction=0) if len(values) else torch.tensor(0.0))
        if "categories" in batch:
            for column in range(batch["categories"].shape[1]):
                shares = torch.bincount(batch["categories"][:, column]).double()
                shares = shares[shares > 0] / shares.sum()
                found.append(-(shares * shares.log()).sum().float())
        if "texts" in batch:
            found += [batch["texts"][:, column].var(dim=0, correction=0).mean() for column in range(batch["texts"].shape[1])]
        for column in range(batch["images"].shape[1] if "images" in batch else 0):
            there = batch["images"][batch["image_states"][:, column] == 0, column]
            found.append(there.var(dim=0, correction=0).mean() if len(there) else torch.tensor(0.0))
        return torch.stack([value.cpu().float() for value in found])

    def _held_batches(self, rows: Int[np.ndarray, " N"]) -> Iterator[tuple[Batch, Batch, Tensor]]:
        """Few rows come several times, each time with other cells hidden."""
        generator = generator_for(self._seed, "hidden in rows held out")
        repeated = np.tile(rows, math.ceil(FEWEST_HELD_OUT / len(rows)))
        for start in range(0, len(repeated), BATCH_SIZE):
            yield self._masked(repeated[start : start + BATCH_SIZE], generator)

    def _masked(self, rows: Int[np.ndarray, " B"], generator: np.random.Generator) -> tuple[Batch, Batch, Tensor]:
        """The cells as they are, with some hidden, and which are. Of what is missing there is nothing to say."""
        whole = self._tensors(self.inputs.batch(rows))
        shape = self.network.shape
        hides = torch.from_numpy(generator.random((len(rows), shape.num_tokens)) < MASK_FRACTION).to(self._device)
        looks = torch.from_numpy(generator.random((len(rows), shape.num_tokens))).to(self._device)
        hidden = dict(whole)
        numbers, images = shape.numbers, shape.num_tokens - shape.images
        texts = images - shape.texts
        state = torch.where(looks < LOOKS_MISSING, MISSING, MASKED)
        if numbers:
            hides[:, :numbers] &= whole["number_states"] == 0
            hidden["number_states"] = torch.where(hides[:, :numbers], state[:, :numbers], whole["number_states"])
        if shape.categories:
            code = torch.where(looks < LOOKS_MISSING, MISSING, torch.where(looks < LOOKS_MISSING + LOOKS_RARE, RARE, MASKED))
            hides[:, numbers:texts] &= whole["categories"] != MISSING
            hidden["categories"] = torch.where(hides[:, numbers:texts], code[:, numbers:texts], whole["categories"])
        for name, cells in (("text_states", slice(texts, images)), ("image_states", slice(images, None))):
            if name in whole:
                hides[:, cells] &= whole[name] == 0
                hidden[name] = torch.where(hides[:, cells], state[:, cells], whole[name])
        return whole, hidden, hides

    def _tensors(self, batch: Mapping[str, np.ndarray]) -> Batch:
        return dict(to_device(batch, dtype=torch.float32, device=self._device))

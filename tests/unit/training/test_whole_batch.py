"""A loss over a whole batch: its gradients are the same however the batch is cut, and what is random is drawn twice alike."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from luthier.models.projection_head import ProjectionHead
from luthier.tasks.companions import Judged, twins_of
from luthier.tasks.contrastive import ranking_loss
from luthier.tasks.protocol import LossSum
from luthier.testing.backbones import tiny_bert
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.data import TrainingRows
from luthier.training.dropout import set_dropout
from luthier.training.model import TunedModel
from luthier.training.step import Stepper

BATCH = np.arange(8)
SETTINGS = replace(SHORT_FIT, batch_size=8, micro_batch=8)


def rows_with_companions() -> TrainingRows:
    """Eight queries with a document each, and a hard negative for some of them."""
    inputs = family_inputs("bert", num_rows=24, seed=0)
    judged = Judged(
        positives={unit: np.array([8 + unit]) for unit in range(8)},
        negatives={unit: np.array([16 + unit]) for unit in range(0, 8, 2)},
        twins=twins_of(inputs.keys),
    ).among(BATCH)
    return TrainingRows(inputs=inputs, rows=judged.anchors, targets=np.zeros((8, 1), dtype=np.int64), companions=judged)


def model_of(dropout: float) -> TunedModel:
    backbone = tiny_bert(seed=0)
    set_dropout(backbone, dropout)
    return TunedModel(backbone, ProjectionHead(backbone.width)).double()


def gradients(
    micro_batch: int, *, dropout: float = 0.0, recompute: str = "auto"
) -> tuple[dict[str, Tensor], tuple[float, float], Tensor]:
    """Of one batch; with the loss, its weight and the state of the random generator afterwards."""
    model, rows = model_of(dropout), rows_with_companions()
    with model.tuning(0) as trainable:
        stepper = Stepper(model, trainable, replace(SETTINGS, recompute=recompute), loss=ranking_loss)
        stepper.micro_batch = micro_batch
        found = stepper.accumulate(rows, BATCH)
        kept = {name: item.grad.clone() for name, item in trainable.items() if item.grad is not None}
    return kept, found, torch.get_rng_state()


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """In double precision, where rounding is far below what is asked for."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-6, atol=1e-9), name


@pytest.mark.parametrize("recompute", ["auto", "on"])
@pytest.mark.parametrize("micro_batch", [1, 2, 3, 5])
def test_gradients_do_not_depend_on_the_micro_batch(micro_batch: int, recompute: str) -> None:
    whole, (loss, weight), _ = gradients(8)
    cut, found, _ = gradients(micro_batch, recompute=recompute)
    assert found == (pytest.approx(loss, rel=1e-6), weight)
    assert_same(cut, whole)


def test_the_whole_batch_at_once_is_plain_backpropagation() -> None:
    model, rows = model_of(0.0), rows_with_companions()
    whole, (loss, weight), _ = gradients(8)
    with model.tuning(0) as trainable:
        model.training_mode()
        batch = rows.batch(BATCH)
        part = ranking_loss(model(batch.inputs), batch.targets)
        part.sum.backward()
        assert (float(part.sum.detach()), part.weight) == (pytest.approx(loss, rel=1e-6), weight)
        assert_same({name: item.grad for name, item in trainable.items() if item.grad is not None}, whole)


def test_dropout_is_the_same_in_both_passes() -> None:
    """Replayed by hand: the outputs that the loss saw are those whose graph the gradient goes through."""
    seen: list[Tensor] = []

    def remembering(outputs: Tensor, targets: Tensor) -> LossSum:
        seen.append(outputs.detach().clone())
        return ranking_loss(outputs, targets)

    model, rows, again = model_of(0.3), rows_with_companions(), []
    with model.tuning(0) as trainable:
        stepper = Stepper(model, trainable, SETTINGS, loss=remembering)
        stepper.micro_batch = 2
        handle = model.head.register_forward_hook(
            lambda module, args, output: again.append(output.detach()) if output.requires_grad else None
        )
        stepper.accumulate(rows, BATCH)
        handle.remove()
    units, _ = rows.whole_batch(BATCH)
    order = np.argsort(rows.inputs.lengths[units], kind="stable")
    assert torch.equal(seen[0][torch.from_numpy(order)], torch.cat(again))
    assert not torch.equal(gradients(2, dropout=0.3)[0]["head.linear.weight"], gradients(2)[0]["head.linear.weight"])


def test_equal_seeds_with_dropout_give_equal_steps() -> None:
    first, second = gradients(2, dropout=0.3), gradients(2, dropout=0.3)
    assert first[1] == second[1]
    assert torch.equal(first[2], second[2])
    assert all(torch.equal(value, second[0][name]) for name, value in first[0].items())


def test_short_memory_gives_the_same_step_in_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, expected, _ = gradients(8)
    model, rows = model_of(0.0), rows_with_companions()
    forward = TunedModel.forward

    def short(self: TunedModel, inputs: dict[str, Tensor], stored: Tensor | None = None) -> Tensor:
        if len(inputs["input_ids"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(self, inputs, stored)

    monkeypatch.setattr(TunedModel, "forward", short)
    with model.tuning(0) as trainable:
        stepper = Stepper(model, trainable, SETTINGS, loss=ranking_loss)
        found = stepper.accumulate(rows, BATCH)
        assert stepper.micro_batch < 8
        assert stepper.take_problems()
        assert found == (pytest.approx(expected[0], rel=1e-6), expected[1])
        assert_same({name: item.grad for name, item in trainable.items() if item.grad is not None}, whole)


class InThreads:
    """Two processes, as far as a step asks them: threads that wait for each other and add up what they have."""

    count = 2

    def __init__(self, rank: int, barrier: Barrier, desk: list[list[Tensor]]) -> None:
        self.rank, self.is_main, self._barrier, self._desk = rank, rank == 0, barrier, desk

    def share_of(self, places: np.ndarray) -> np.ndarray:
        return places[self.rank :: 2]

    def sum_tensors(self, tensors: list[Tensor]) -> None:
        self._desk[self.rank] = [item.detach().clone() for item in tensors]
        self._barrier.wait(timeout=60)
        for item, first, second in zip(tensors, *self._desk, strict=True):
            item.detach().copy_(first + second)
        self._barrier.wait(timeout=60)

    def sum(self, values: list[float]) -> list[float]:
        total = torch.tensor(values, dtype=torch.float64)
        self.sum_tensors([total])
        return total.tolist()

    def any(self, flag: bool) -> bool:
        return self.sum([float(flag)])[0] > 0

    def of_main(self, value: float) -> float:
        return self.sum([value if self.is_main else 0.0])[0]


@pytest.mark.parametrize("short", [False, True])
def test_several_processes_make_the_step_of_one(short: bool) -> None:
    """Each computes its share of the vectors; where one of them is short of memory, all begin again in smaller pieces."""
    whole, expected, _ = gradients(8)
    barrier, desk = Barrier(2), [[], []]
    failing, models = iter([short]), [model_of(0.0), model_of(0.0)]  # made here: threads share one random generator

    def work(rank: int) -> tuple[dict[str, Tensor], tuple[float, float], int]:
        model, rows = models[rank], rows_with_companions()
        with model.tuning(0) as trainable:
            stepper = Stepper(model, trainable, SETTINGS, loss=ranking_loss, processes=InThreads(rank, barrier, desk))
            forward = model.forward

            def maybe(*args: Any) -> Tensor:
                if rank == 1 and next(failing, False):
                    raise MemoryError("no room")
                return forward(*args)

            model.forward = maybe
            found = stepper.accumulate(rows, BATCH)
            kept = {name: item.grad.clone() for name, item in trainable.items() if item.grad is not None}
        return kept, found, stepper.micro_batch

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(work, range(2)))
    for kept, found, micro_batch in results:
        assert found == (pytest.approx(expected[0], rel=1e-9), expected[1])
        assert micro_batch == (2 if short else 4)
        assert_same(kept, whole)


def test_the_same_rows_have_the_same_companions() -> None:
    """So that a step that is done again, or a training that goes on, learns from the same batch."""
    inputs = family_inputs("bert", num_rows=24, seed=0)
    judged = Judged(positives={0: np.arange(4, 24), 1: np.arange(4, 24)}, twins=twins_of(inputs.keys)).among(np.array([0, 1]))
    rows = TrainingRows(inputs=inputs, rows=judged.anchors, targets=np.zeros((20, 1), dtype=np.int64), companions=judged)
    batches = [rows.whole_batch(np.array(places))[0].tolist() for places in ([0, 1, 2], [0, 1, 2], [0, 3, 12])]
    assert batches[0] == batches[1]
    assert batches[0] != batches[2]

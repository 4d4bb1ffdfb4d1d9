"""Masked-column pre-training: it learns what columns say of each other, from a seed, and nothing where there is nothing."""

import copy

import numpy as np
import pyarrow as pa
import pytest
import torch

from luthier.core.progress import Quiet
from luthier.models.table_fit import fit_table
from luthier.models.table_network import TableNetwork, TableShape, fresh_table_network
from luthier.models.table_processor import TableProcessor
from luthier.tasks.table_inputs import TableInputs
from luthier.training.masked_columns import Pretrained, pretrain

KINDS = [("a", "number"), ("b", "number"), ("c", "category")]


def made(*, related: bool, number: int = 400) -> TableInputs:
    generator = np.random.default_rng(0)
    a = generator.normal(size=number)
    b = -2 * a if related else generator.normal(size=number)
    c = np.where(a > 0, "up", "down") if related else generator.permutation(np.where(a > 0, "up", "down"))
    table = pa.table({"a": a, "b": b, "c": c})
    content = fit_table(table, KINDS, scaling="standard")
    return TableInputs.build(TableProcessor(content).encode(table), content)


def trained(inputs: TableInputs, *, epochs: int | None, seed: int = 0) -> tuple[TableNetwork, Pretrained]:
    torch.set_num_threads(1)
    network = fresh_table_network(TableShape(numbers=2, categories=(6,), width=16, blocks=2, heads=2), seed=1)
    return network, pretrain(network, inputs, epochs=epochs, seed=seed, device="cpu", observer=Quiet())


def test_it_learns_what_columns_say_of_each_other() -> None:
    _, related = trained(made(related=True), epochs=20)
    _, unrelated = trained(made(related=False), epochs=5)
    assert related.explained > 0.3
    assert unrelated.explained < 0.1
    assert related.rows == 360
    assert related.held_out == 40


def test_a_seed_gives_bits_and_disturbs_no_other_draw() -> None:
    inputs = made(related=True, number=120)
    weights = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        before = torch.random.get_rng_state()
        weights.append(trained(inputs, epochs=2)[0].state_dict())
        assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    other = trained(inputs, epochs=2, seed=5)[0].state_dict()
    assert not torch.equal(other["tokens.number_weight"], weights[0]["tokens.number_weight"])


def test_no_epochs_leave_the_network_as_it_is() -> None:
    fresh = fresh_table_network(TableShape(numbers=2, categories=(6,), width=16, blocks=2, heads=2), seed=1)
    network, result = trained(made(related=True, number=60), epochs=0)
    assert (result.epochs, result.best_epoch, result.explained) == (0, 0, 0.0)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in fresh.state_dict().items())


def test_what_is_hidden_or_missing_changes_the_tokens_and_other_rows_do_not() -> None:
    inputs = made(related=True, number=60)
    network = trained(inputs, epochs=1)[0]
    batch = {name: torch.from_numpy(np.asarray(array)) for name, array in inputs.batch(np.arange(3)).items()}
    whole = network(**batch).last_hidden_state
    hidden = copy.deepcopy(batch)
    hidden["number_states"][0, 0] = 2
    changed = network(**hidden).last_hidden_state
    assert not torch.allclose(whole[0], changed[0])
    assert torch.allclose(whole[1:], changed[1:], atol=1e-6)
    hidden["numbers"][0, 0] = 99.0
    assert torch.equal(network(**hidden).last_hidden_state, changed)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_handful_of_rows_is_no_mistake(rows: int) -> None:
    table = pa.table({"a": np.arange(rows) + 0.5, "b": np.arange(rows) * 2.5, "c": ["x"] * rows})
    content = fit_table(table, KINDS, scaling="quantile")
    inputs = TableInputs.build(TableProcessor(content).encode(table), content)
    shape = TableShape(numbers=2, categories=(content.categories[0].size,), width=8, blocks=1, heads=1)
    result = pretrain(fresh_table_network(shape, seed=0), inputs, epochs=1, seed=0, device="cpu", observer=Quiet())
    assert result.epochs == 1
    assert np.isfinite(result.explained)

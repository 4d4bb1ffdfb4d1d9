"""The order in which rows are trained on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.batches import draw_balanced, epoch_batches


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 99))
def test_a_balanced_draw_has_as_many_rows_of_every_class(classes: list[int], seed: int) -> None:
    labels = np.array(classes)
    drawn = draw_balanced(labels, np.random.default_rng(seed))
    assert len(drawn) == len(labels)
    counts = np.bincount(labels[drawn], minlength=5)[np.unique(labels)]
    assert counts.max() - counts.min() <= 1
    for label in np.unique(labels):
        times = np.bincount(drawn[labels[drawn] == label], minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1  # nothing comes again before everything else of its class has come


def test_balanced_batches_follow_from_the_generator_alone() -> None:
    lengths, labels = np.arange(1, 41), np.array([0] * 30 + [1] * 10)
    first, second, other = (
        epoch_batches(lengths, batch_size=8, generator=np.random.default_rng(seed), balance=labels) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert [len(batch) for batch in first] == [8] * 5
    assert np.bincount(labels[np.concatenate(first)]).tolist() == [20, 20]


def test_plain_batches_hold_every_row_once() -> None:
    batches = epoch_batches(np.arange(1, 42), batch_size=8, generator=np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(41))

"""Where answers stand in windows, the loss, and the best pieces of windows and rows, each beside a plain reference."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.spans import Marked, Span, read_answers, read_spans
from luthier.models.text_processor import TextProcessor
from luthier.models.windows import WindowRows
from luthier.tasks.inputs import EMPTY
from luthier.tasks.span_inputs import SpanInputs, span_targets
from luthier.tasks.span_scores import best_spans, merge_spans, span_loss
from luthier.testing.folders import tiny_text_model

WORDS = ["ada", "bob", "wrote", "it", "in", "rome", "late"]


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> TextProcessor:
    return TextProcessor.load(tiny_text_model(tmp_path_factory.mktemp("model"), words=WORDS))


def windows_of(
    lengths: list[tuple[int, int]], *, rows: list[int] | None = None, longest: int = 99, best: int = 2
) -> SpanInputs:
    """Windows of so many tokens of question and text, each token two characters wide, counted on through a row's windows."""
    sizes = [question + text for question, text in lengths]
    characters = [[(0, 0)] * question + [(3 * place, 3 * place + 2) for place in range(text)] for question, text in lengths]
    windows = WindowRows(
        ids=np.arange(sum(sizes), dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        type_ids=None,
        row_of=np.array(rows or range(len(lengths))),
        begin=np.array([question for question, _ in lengths]),
        end=np.array(sizes),
        characters=np.array(list(itertools.chain(*characters)), dtype=np.int32),
    )
    return SpanInputs.build(windows, pad_id=0, longest=longest, best=best)


def test_targets_point_at_the_tokens_of_the_answer_in_every_window_that_holds_it(processor: TextProcessor) -> None:
    text = "it late " * 12 + "ada wrote in rome " + "it late " * 12
    short = processor.with_max_length(24)
    inputs = SpanInputs.build(short.encode_windows([text], ["bob"]), pad_id=0, longest=99, best=1)
    targets = span_targets(inputs, [read_answers("ada wrote", text)], ("",))
    holding = np.flatnonzero(targets[:, 3] > 0)
    assert 0 < len(holding) < len(targets)
    for unit in holding:
        first, last = (int(place) - 1 for place in targets[unit, 3:])
        ids = inputs.tokens.ids[inputs.tokens.offsets[unit] :]
        assert [processor.token_of(int(item)) for item in ids[first : last + 1]] == ["ada", "wrote"]
    assert (targets[holding, 0] == 1).all()
    others = np.setdiff1d(np.arange(len(targets)), holding)
    assert targets[others, 0] == pytest.approx(1 / len(others))
    assert (targets[others, 3:] == 0).all()


def test_rows_without_an_answer_weigh_one_and_unusable_ones_nothing() -> None:
    inputs = windows_of([(2, 4), (2, 4), (2, 4), (1, 3)], rows=[0, 0, 1, 2])
    outside = Marked(spans=(Span(start=40, end=50),))
    targets = span_targets(inputs, [read_answers("[]", "text"), read_answers("no", "text"), outside], ("",))
    assert targets[:, 0].tolist() == [0.5, 0.5, 0.0, 0.0]
    assert targets[:, 1:3].tolist() == [[3, 7], [3, 7], [3, 7], [2, 5]]


def test_an_answer_inside_a_token_takes_the_whole_token() -> None:
    targets = span_targets(windows_of([(1, 4)]), [Marked(spans=(Span(start=4, end=7),))], ("",))
    assert targets[0, 3:].tolist() == [3, 4]


def test_each_slot_has_its_own_place_and_unknown_ones_none() -> None:
    text = "ab cd ef"
    cell = '[{"slot": "b", "start": 3, "end": 5}, {"slot": "new", "start": 0, "end": 2}]'
    targets = span_targets(windows_of([(0, 3)]), [read_spans(cell, text)], ("a", "b"))
    assert targets[0].tolist() == [1, 1, 4, 0, 0, 2, 2]


def test_the_loss_is_cross_entropy_over_the_places_of_the_text_and_nowhere() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 7, 4, generator=generator)
    targets = torch.tensor([[1.0, 2, 6, 3, 4, 0, 0], [0.25, 1, 4, 0, 0, 1, 3]])
    expected = 0.0
    for row, (begin, end) in enumerate(((2, 6), (1, 4))):
        places = [0, *range(begin, end)]
        each = [
            torch.nn.functional.cross_entropy(outputs[row, places, column], torch.tensor(places.index(int(target))))
            for column, target in enumerate(targets[row, 3:])
        ]
        expected += float(targets[row, 0]) * float(torch.stack(each).mean())
    part = span_loss(outputs, targets)
    assert float(part.sum) == pytest.approx(expected, rel=1e-5)
    assert part.weight == 1.25


def test_what_stands_outside_the_text_has_no_influence() -> None:
    outputs = torch.randn(1, 7, 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    span_loss(outputs, torch.tensor([[1.0, 3, 5, 3, 4]])).sum.backward()
    assert outputs.grad is not None
    assert outputs.grad.abs().sum(-1)[0].gt(0).tolist() == [True, False, False, True, True, False, False]


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=4),
    num_labels=st.integers(1, 3),
    longest=st.integers(1, 20),
    best=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
def test_the_best_pieces_are_those_of_trying_all(
    lengths: list[tuple[int, int]], num_labels: int, longest: int, best: int, seed: int
) -> None:
    inputs = windows_of(lengths, longest=longest, best=best)
    widest = max(map(sum, lengths)) + 2
    outputs = np.random.default_rng(seed).standard_normal((len(lengths), widest, 2 * num_labels)).astype(np.float32)
    kept = best_spans(outputs, inputs, np.arange(len(lengths))).reshape(len(lengths), num_labels, -1)
    for unit, (question, text) in enumerate(lengths):
        places = [0, *range(question + 1, question + text + 1)]
        for label in range(num_labels):
            starts, ends = (np.exp(outputs[unit, places, 2 * label + side].astype(np.float64)) for side in (0, 1))
            starts, ends = starts / starts.sum(), ends / ends.sum()
            tried = [
                (starts[first + 1] * ends[last + 1], 3 * first, 3 * last + 2)
                for first in range(text)
                for last in range(first, text)
                if 3 * last + 2 - 3 * first <= longest
            ]
            expected = sorted(tried, key=lambda item: -item[0])[:best]
            assert kept[unit, label, 0] == pytest.approx(starts[0] * ends[0], rel=1e-5)
            found = kept[unit, label, 1:].reshape(-1, 3)
            assert found[: len(expected)] == pytest.approx(np.array(expected).reshape(-1, 3), rel=1e-5)
            assert (found[len(expected) :] == EMPTY).all()


def test_a_row_takes_the_best_of_its_windows_and_counts_a_piece_once() -> None:
    nothing = [EMPTY] * 3
    windows = np.array(
        [
            [0.9, *(0.05, 3, 5), *(0.01, 0, 2)],
            [0.2, *(0.6, 9, 11), *(0.05, 3, 5)],
            [0.7, *(0.1, 6, 8), *nothing],
            [1.0, *nothing, *nothing],
        ],
        dtype=np.float32,
    )
    merged = merge_spans(windows, np.array([4, 4, 4, 7]), num_labels=1)
    assert merged == pytest.approx(np.array([[0.2, 0.6, 9, 11, 0.1, 6, 8], windows[3]], dtype=np.float32))


def test_windows_of_one_row_each_stay_as_they_are() -> None:
    decoded = np.random.default_rng(0).random((3, 8), dtype=np.float32)
    assert np.array_equal(merge_spans(decoded, np.array([2, 5, 9]), num_labels=2), decoded)

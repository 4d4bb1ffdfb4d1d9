"""Speech recognition against what defines it: jiwer's error rates, torch's CTC on each recording alone, alignments by hand."""

import itertools
import math
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluation.edit_distance import edit_distance
from luthier.evaluation.intervals import score
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.text_predictions import text_predictions
from luthier.models.backbone import State
from luthier.models.frame_head import FrameHead, certainly_blank
from luthier.models.heads import LinearHead
from luthier.tasks import TASKS
from luthier.tasks.transcripts import EMPTY, IGNORED, best_path, frames_needed, joined, spoken, text_of

TASK = TASKS["speech-recognition"]
WORDS = st.lists(st.sampled_from(["one", "two", "three", "for", "four", "a"]), min_size=0, max_size=7).map(" ".join)
SAID = st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=8)


@settings(deadline=None)
@given(pairs=SAID)
def test_error_rates_are_jiwers(pairs: list[tuple[str, str]]) -> None:
    targets, found = ([pair[side] for pair in pairs] for side in (0, 1))
    said = text_predictions(example_ids=[f"a:{row}" for row in range(len(pairs))], targets=targets, predictions=found)
    for name, expected in (("wer", jiwer.wer(targets, found)), ("cer", jiwer.cer(targets, found))):
        stats = MEASURES[name].stats(said)
        assert float(MEASURES[name].value(stats.sum(axis=0))) == pytest.approx(expected)


def test_the_interval_of_an_error_rate_weighs_long_texts_as_their_length() -> None:
    targets, found = ["a b c d e f g h", "x"] * 20, ["a b c d e f g h", "y"] * 20
    said = text_predictions(example_ids=[f"a:{row}" for row in range(40)], targets=targets, predictions=found)
    interval = score(said, [MEASURES["wer"]])["wer"]
    assert interval.value == pytest.approx(1 / 9)
    assert interval.low < 1 / 9 < interval.high < 0.25


def plain_distance(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    same = plain_distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(same, 1 + plain_distance(one[1:], other), 1 + plain_distance(one, other[1:]))


@given(one=st.text("abc", max_size=5), other=st.text("abc", max_size=5))
def test_the_distance_is_that_of_its_definition(one: str, other: str) -> None:
    assert edit_distance(one, other) == plain_distance(one, other)


def some_outputs(*, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of three recordings of 9, 6 and 4 frames, and their targets."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 9, 5, generator=generator)
    lengths = torch.tensor([9, 6, 4])
    targets = torch.full((3, 4), IGNORED)
    for row, places in enumerate(([1, 2, 2, 4], [3, 1], [4])):
        targets[row, : len(places)] = torch.tensor(places)
    return logits, lengths, targets


def test_frames_that_fill_up_a_batch_change_neither_loss_nor_gradient() -> None:
    logits, lengths, targets = some_outputs()
    mask = torch.arange(9)[None, :] < lengths[:, None]
    together, alone = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    whole = TASK.loss(certainly_blank(together, mask), targets)
    parts = [TASK.loss(alone[row : row + 1, : lengths[row]], targets[row : row + 1]) for row in range(3)]
    assert float(whole.sum.detach()) == pytest.approx(sum(float(part.sum.detach()) for part in parts), rel=1e-6)
    assert whole.weight == sum(part.weight for part in parts) == 7
    whole.sum.backward()
    torch.stack([part.sum for part in parts]).sum().backward()
    torch.testing.assert_close(together.grad, alone.grad, atol=1e-6, rtol=1e-5)
    assert not together.grad[~mask].any()


def test_the_loss_sums_over_every_alignment() -> None:
    logits = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(1))
    probs = logits.softmax(2)[0].double().numpy()

    def collapsed(path: tuple[int, ...]) -> list[int]:
        return [place for place, _ in itertools.groupby(path) if place]

    total = sum(
        math.prod(probs[frame, place] for frame, place in enumerate(path))
        for path in itertools.product(range(3), repeat=4)
        if collapsed(path) == [1, 1]
    )
    found = TASK.loss(logits, torch.tensor([[1, 1, IGNORED]]))
    assert float(found.sum) == pytest.approx(-math.log(total), rel=1e-5)


def test_the_loss_is_computed_in_float32() -> None:
    logits, _, targets = some_outputs()
    assert TASK.loss(logits.to(torch.bfloat16), targets).sum.dtype == torch.float32


def test_the_head_says_blank_where_nothing_is_heard_and_is_the_linear_layer_elsewhere() -> None:
    inner = LinearHead(6, 5, dropout=0.0, seed=0)
    hidden = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(7)[None, :] < torch.tensor([7, 3])[:, None]
    logits = FrameHead(inner)(State(hidden=hidden, mask=mask, pooled=None))
    torch.testing.assert_close(logits[mask], inner(hidden)[mask])
    assert logits[~mask].argmax(1).tolist() == [0] * 4


@given(paths=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4))
def test_the_best_path_is_collapsed_as_ctc_says(paths: list[list[int]]) -> None:
    found = best_path(np.eye(4)[np.array(paths)], 6)
    for path, row in zip(paths, found, strict=True):
        expected = [place for place, _ in itertools.groupby(path) if place]
        assert row[: len(expected)].tolist() == expected
        assert (row[len(expected) :] == EMPTY).all()


def test_windows_of_a_recording_are_read_one_after_the_other() -> None:
    decoded = np.array([[2, 3, EMPTY], [EMPTY] * 3, [3, 2, EMPTY], [2, EMPTY, EMPTY]], dtype=np.float32)
    merged = joined(decoded, np.array([5, 2, 2, 2]))
    assert [text_of(row, " no") for row in merged] == ["no", "on n"]
    assert joined(decoded, np.arange(4)) is decoded


def test_two_of_a_kind_need_a_frame_between_them() -> None:
    assert frames_needed([1, 1, 1]) == 5
    assert frames_needed([]) == 0


def test_texts_are_compared_in_small_letters_and_composed() -> None:
    assert spoken("  Caf\u0065\u0301\n ÉTÉ") == "caf\u00e9 été"
    assert spoken(None) == ""


def test_a_network_of_patches_is_refused(tmp_path: Path) -> None:
    from luthier.errors import ModelError
    from luthier.models.audio_processor import AudioProcessor
    from luthier.tasks.protocol import TaskState
    from luthier.testing.folders import tiny_audio_model

    state = TaskState(task="speech-recognition", values={"characters": "ab"})
    processor = AudioProcessor.load(tiny_audio_model(tmp_path, family="ast"))
    with pytest.raises(ModelError, match="patches of a spectrogram") as caught:
        TASK.encode([], processor, state)
    assert "wav2vec" in caught.value.remedy
    with pytest.raises(ModelError, match="no state for each moment"):
        FrameHead(LinearHead(4, 3, dropout=0.0, seed=0))(State(hidden=torch.ones(1, 4, 2, 2), mask=None, pooled=None))

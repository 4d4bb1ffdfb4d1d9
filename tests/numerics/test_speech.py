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

from luthier.errors import SpecError
from luthier.evaluation.edit_distance import edit_distance
from luthier.evaluation.intervals import score
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.text_predictions import text_predictions
from luthier.models.backbone import State
from luthier.models.frame_head import FrameHead, certainly_blank
from luthier.models.heads import LinearHead
from luthier.models.settings import GenerationSettings, refuse_idle_generation
from luthier.package.model import decoding
from luthier.tasks import TASKS
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.prefix_beams import best_prefixes
from luthier.tasks.protocol import TaskState, with_beams
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


def likeliest_text(probs: np.ndarray) -> tuple[tuple[int, ...], dict[tuple[int, ...], float]]:
    """All paths through a few frames, their probabilities added up by what they say."""
    texts: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        said = tuple(place for place, _ in itertools.groupby(path) if place != 0)
        texts[said] = texts.get(said, 0.0) + float(np.prod(probs[np.arange(len(probs)), path]))
    return max(texts, key=lambda text: texts[text]), texts


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 5), characters=st.integers(1, 3))
def test_enough_beams_find_the_likeliest_text_of_all(seed: int, frames: int, characters: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 1.5, (2, frames, characters + 1))
    found = best_prefixes(logits, 8, beams=200)
    for row, said in zip(logits, found, strict=True):
        probs = np.exp(row) / np.exp(row).sum(axis=1, keepdims=True)
        best, texts = likeliest_text(probs)
        text = tuple(int(place) for place in said if place != EMPTY)
        assert texts[text] == pytest.approx(texts[best], rel=1e-9)


def test_several_beams_hear_what_the_best_path_misses() -> None:
    logits = np.log(np.array([[[0.6, 0.4], [0.6, 0.4]]]))
    assert best_path(logits, 2).tolist() == [[EMPTY, EMPTY]]
    assert best_prefixes(logits, 2, beams=3).tolist() == [[1.0, EMPTY]]
    peaked = 20 * np.eye(3)[[[1, 1, 0, 1, 2, 2, 0]]]
    assert best_prefixes(peaked, 4, beams=2).tolist() == best_path(peaked, 4).tolist()


def test_beams_are_asked_for_by_the_state_and_only_when_the_model_is_asked() -> None:
    state = TaskState(task=TASK.name, values={"characters": "ab"})
    assert with_beams(TASK, state, 1) is state
    assert with_beams(TASKS["text-classification"], state, 5) is state
    asked = with_beams(TASK, state, 3)
    assert decoding(TASK, state) == TASK.decode
    logits = np.log(np.array([[[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]]))
    inputs = TokenInputs.build(np.arange(2), np.array([0, 2]), pad_id=0)
    assert decoding(TASK, asked)(logits, inputs, np.array([0])).tolist() == [[1.0, EMPTY]]
    assert decoding(TASK, state)(logits, inputs, np.array([0])).tolist() == [[EMPTY, EMPTY]]


def test_settings_of_writing_are_refused_for_frames_but_for_beams() -> None:
    refuse_idle_generation(GenerationSettings(num_beams=4), generates=False, searches=True, task=TASK.name)
    with pytest.raises(SpecError, match="--max-new-tokens") as refused:
        refuse_idle_generation(GenerationSettings(max_new_tokens=4), generates=False, searches=True, task=TASK.name)
    assert refused.value.remedy == "leave --max-new-tokens out"

"""Windows of long texts: nothing is lost, everything fits, and every token knows its characters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from luthier.errors import ModelError
from luthier.models.text_processor import TextProcessor
from luthier.models.windows import encode_windows
from luthier.testing.folders import tiny_text_model

WORDS = ["ada", "bob", "wrote", "it", "in", "rome", "late"]
texts = st.lists(st.sampled_from([*WORDS, "Zürich", "x,y", "北京", "(so)"]), max_size=60).map(" ".join)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> TextProcessor:
    return TextProcessor.load(tiny_text_model(tmp_path_factory.mktemp("model"), words=WORDS))


def byte_level() -> Tokenizer:
    """A tokenizer as GPT-2's: tokens begin with the space before them, and nothing special is added."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    return tokenizer


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(texts, min_size=1, max_size=4), asked=st.booleans(), question=texts, max_length=st.integers(16, 40))
def test_windows_hold_every_token_of_a_text_and_none_is_too_long(
    processor: TextProcessor, rows: list[str], asked: bool, question: str, max_length: int
) -> None:
    short = processor.with_max_length(max_length)
    windows = short.encode_windows(rows, [question] * len(rows) if asked else None)
    assert (np.diff(windows.offsets) <= max_length).all()
    assert np.unique(windows.row_of).tolist() == list(range(len(rows)))
    assert len(windows.ids) == len(windows.characters) == windows.offsets[-1]
    whole = processor.encode_windows(rows)
    for row, text in enumerate(rows):
        expected = {tuple(item) for item in _inside(whole, int(np.flatnonzero(whole.row_of == row)[0])).tolist()}
        found: set[tuple[int, ...]] = set()
        for window in np.flatnonzero(windows.row_of == row):
            characters = _inside(windows, int(window))
            assert (np.diff(characters[:, 0]) >= 0).all()
            found |= {tuple(item) for item in characters.tolist()}
        assert found == expected
        assert all(0 <= start <= end <= len(text) for start, end in found)


def _inside(windows: object, window: int) -> np.ndarray:
    first = windows.offsets[window]
    return windows.characters[first + windows.begin[window] : first + windows.end[window]]


def test_a_text_that_fits_is_one_window_equal_to_its_usual_encoding(processor: TextProcessor) -> None:
    windows = processor.encode_windows(["ada wrote it"], ["bob"])
    usual = processor.encode(["bob"], ["ada wrote it"])
    assert windows.ids.tolist() == usual.ids.tolist()
    assert windows.type_ids is not None and usual.type_ids is not None
    assert windows.type_ids.tolist() == usual.type_ids.tolist()
    assert (windows.begin.tolist(), windows.end.tolist()) == ([3], [6])
    assert windows.characters[3:6].tolist() == [[0, 3], [4, 9], [10, 12]]


def test_a_question_as_long_as_the_window_leaves_half_of_it_to_the_text(processor: TextProcessor) -> None:
    windows = processor.with_max_length(16).encode_windows(["ada wrote it in rome " * 5], ["bob " * 200])
    assert (windows.begin == 1 + 6 + 1).all()
    assert (windows.end - windows.begin == 7)[:-1].all()


def test_windows_overlap_by_a_quarter(processor: TextProcessor) -> None:
    windows = processor.with_max_length(24).encode_windows([" ".join(WORDS * 20)])
    first, second = (_inside(windows, window) for window in (0, 1))
    assert len({tuple(item) for item in first.tolist()} & {tuple(item) for item in second.tolist()}) == 6


def test_a_window_too_short_for_any_text_is_refused(processor: TextProcessor) -> None:
    with pytest.raises(ModelError, match="Windows of 6 tokens, 3 of them special, hold too little of a text") as caught:
        processor.with_max_length(6).encode_windows(["ada"], ["bob"])
    assert caught.value.remedy == "--max-length 64"


def test_byte_level_tokens_stand_for_the_characters_of_the_text() -> None:
    text = "ada wrote Zürich in 北京 late"
    windows = encode_windows(byte_level(), [text] * 2, ["it in"] * 2, max_length=40)
    for window in range(2):
        characters = _inside(windows, window)
        assert characters[0, 0] == 0 and characters[-1, 1] == len(text)
        pieces = {text[start:end].strip() for start, end in characters.tolist()}
        assert {"ada", "wrote", "late"} <= pieces


def test_normalised_texts_keep_the_characters_as_they_were_typed() -> None:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "zurich": 1, "ok": 2}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])
    text = "Ok  ZÜRICH ok"
    windows = encode_windows(tokenizer, [text], None, max_length=16)
    assert [text[start:end] for start, end in windows.characters.tolist()] == ["Ok", "ZÜRICH", "ok"]
    assert windows.ids.tolist() == [2, 1, 2]

"""Words to tokens against transformers' own word-aware encoding, and windows that lose no word."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from luthier.models.text_processor import TextProcessor
from luthier.models.word_windows import windows
from luthier.testing.folders import tiny_text_model

SENTENCES = [["Aspirin", "against", "100mg", "fever!"], [], ["don't", "A.B.", "x"], ["\u200d", "word"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("model"), words=("fever", "against"))


def test_ids_and_words_are_those_of_transformers(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = TextProcessor.load(folder).encode_words(SENTENCES[:3])
    expected = tokenizer(SENTENCES[:3], is_split_into_words=True)
    for row in range(3):
        words = expected.word_ids(row)
        firsts = [place for place, word in enumerate(words) if word is not None and (place == 0 or words[place - 1] != word)]
        assert rows.ids[rows.offsets[row] : rows.offsets[row + 1]].tolist() == expected["input_ids"][row]
        assert rows.places[rows.word_offsets[row] : rows.word_offsets[row + 1]].tolist() == firsts


def test_a_byte_level_tokenizer_sees_every_word_behind_a_space() -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.post_processor = processors.ByteLevel(trim_offsets=False)
    processor = TextProcessor(plain.to_str(), max_length=64, limit=64, special_ids={})
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(_with_space(plain.to_str())))
    words = ["New", "York", "!"]
    assert processor.encode_words([words]).ids.tolist() == theirs(words, is_split_into_words=True)["input_ids"]
    assert processor.encode_words([words]).ids[0] == alphabet.index("Ġ")


def _with_space(text: str) -> str:
    described = json.loads(text)
    described["pre_tokenizer"]["add_prefix_space"] = True
    return json.dumps(described)


def test_a_word_of_which_nothing_is_left_still_has_a_token(folder: Path) -> None:
    processor = TextProcessor.load(folder)
    rows = processor.encode_words(SENTENCES)
    assert np.diff(rows.word_offsets).tolist() == [len(words) for words in SENTENCES]
    assert rows.ids[rows.offsets[3] + 1] == processor.special_ids["unk"]


def test_counts_are_those_of_one_piece(folder: Path) -> None:
    processor = TextProcessor.load(folder)
    whole = processor.encode_words(SENTENCES)
    assert processor.count_word_tokens(SENTENCES).tolist() == np.diff(whole.offsets).tolist()


@given(
    sizes=st.lists(st.integers(1, 6), max_size=60),
    room=st.integers(1, 12),
)
@settings(deadline=None)
def test_windows_hold_every_word_fit_the_model_and_go_on(sizes: list[int], room: int) -> None:
    sizes = [min(size, room) for size in sizes]
    found = list(windows(sizes, room=room, overlap=room // 4))
    assert found[0][0] == 0
    assert found[-1][1] == len(sizes)
    assert all(sum(sizes[first:end]) <= room for first, end in found)
    for (first, end), (second, last) in pairwise(found):
        assert first < second <= end < last
        assert sum(sizes[second:end]) <= max(room // 4, 0)


def test_a_word_longer_than_the_window_is_read_in_part(folder: Path) -> None:
    rows = TextProcessor.load(folder).with_max_length(8).encode_words([["a", "z" * 50, "b"]])
    assert np.diff(rows.offsets).max() <= 8
    owners = rows.first_words[np.repeat(np.arange(len(rows.row_of)), np.diff(rows.word_offsets))]
    assert set(owners.tolist()) <= {0, 1, 2}
    assert len(rows.places) >= 3

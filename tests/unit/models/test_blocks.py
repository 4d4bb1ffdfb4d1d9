"""Documents as blocks: what must hold for any texts and any length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from luthier.errors import ModelError
from luthier.models.blocks import BlockForm, encode_blocks, frame_around, special_ids_of
from luthier.testing.language_folders import byte_tokenizer

TOKENIZER = byte_tokenizer(["the ship left the harbour at dawn"] * 9, vocabulary_size=290)
BEGIN, END = 1, 2
DOCUMENTS = st.lists(st.text(alphabet="abc ship\n", max_size=60), max_size=6)


def whole(text: str) -> list[int]:
    return list(TOKENIZER.encode(text, add_special_tokens=False).ids)


@given(DOCUMENTS, st.integers(8, 20))
def test_every_token_of_a_document_is_told_once_and_in_its_order(texts: list[str], length: int) -> None:
    for form in (
        BlockForm(before=(BEGIN,), after=(END,), max_length=length),
        BlockForm(before=(BEGIN,), after=(), max_length=length, end=END, overlaps=True),
    ):
        rows = encode_blocks(TOKENIZER, texts, form)
        block_of = np.repeat(np.arange(len(rows.row_of)), np.diff(rows.offsets))
        for number, text in enumerate(texts):
            mine = rows.told & (rows.row_of[block_of] == number)
            assert rows.ids[mine].tolist() == whole(text) + ([END] if form.end is not None else [])


@given(DOCUMENTS, st.integers(8, 20))
def test_no_block_is_too_long_or_holds_two_documents_and_none_is_missing(texts: list[str], length: int) -> None:
    rows = encode_blocks(TOKENIZER, texts, BlockForm(before=(BEGIN,), after=(END,), max_length=length))
    assert (np.diff(rows.offsets) <= length).all()
    assert np.unique(rows.row_of).tolist() == list(range(len(texts)))
    assert (np.diff(rows.row_of) >= 0).all()


def test_a_block_begins_with_the_last_token_of_the_one_before() -> None:
    text = "abcabcabcabcabcabc"
    rows = encode_blocks(TOKENIZER, [text], BlockForm(before=(BEGIN,), after=(), max_length=8, overlaps=True))
    first, second = (rows.ids[rows.offsets[block] : rows.offsets[block + 1]].tolist() for block in (0, 1))
    assert first == [BEGIN, *whole(text)[:6]]
    assert second[:2] == [BEGIN, first[-1]]
    assert rows.told[rows.offsets[1] : rows.offsets[1] + 3].tolist() == [False, False, True]


def test_tokens_of_a_word_share_a_number_that_no_other_word_has() -> None:
    rows = encode_blocks(TOKENIZER, ["abc cab abc", "abc"], BlockForm(before=(), after=(), max_length=64))
    encoding = TOKENIZER.encode("abc cab abc")
    assert len(np.unique(rows.words)) == 4
    for word in (0, 1, 2):
        places = [place for place, number in enumerate(encoding.word_ids) if number == word]
        assert len(set(rows.words[places].tolist())) == 1


def test_a_tokenizer_without_words_has_a_word_for_each_token() -> None:
    described = TOKENIZER.to_str().replace('"use_regex":true', '"use_regex":false')
    one_word = Tokenizer.from_str(described)
    rows = encode_blocks(one_word, ["abc cab abc bca cab" * 4], BlockForm(before=(), after=(), max_length=200))
    assert len(np.unique(rows.words)) == len(rows.ids)


def test_blocks_without_room_are_refused_with_a_length_that_has_some() -> None:
    with pytest.raises(ModelError, match="leave room for 2 tokens") as caught:
        encode_blocks(TOKENIZER, ["abc"], BlockForm(before=(BEGIN,), after=(END,), max_length=4))
    length = int(caught.value.remedy.removeprefix("--max-length "))
    encode_blocks(TOKENIZER, ["abc"], BlockForm(before=(BEGIN,), after=(END,), max_length=length))


def test_what_a_tokenizer_puts_around_a_text_is_told_from_it() -> None:
    tokenizer = Tokenizer.from_str(TOKENIZER.to_str())
    assert frame_around(tokenizer) == ((), ())
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", BEGIN), ("</s>", END)])
    assert frame_around(tokenizer) == ((BEGIN,), (END,))


def test_special_tokens_are_those_that_the_tokenizer_calls_so() -> None:
    assert special_ids_of(TOKENIZER.to_str()) == {0, 1, 2, 3, 4}

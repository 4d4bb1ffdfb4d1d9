"""Texts to be continued as token ids: what is learnt of them, what is cut, and what the model is asked with."""

import numpy as np
import pytest

from luthier.models.chat_template import Rendered
from luthier.models.text_processor import TextProcessor
from luthier.tasks.reply_inputs import ReplyInputs, kept_part
from luthier.tasks.reply_preview import marked_text, preview
from luthier.tasks.word_inputs import IGNORED
from luthier.testing.language_folders import byte_tokenizer


def processor(*, max_length: int = 64, texts: tuple[str, ...] = ()) -> TextProcessor:
    special = {"pad": 0, "bos": 1, "eos": 2}
    return TextProcessor(byte_tokenizer(texts).to_str(), max_length=max_length, limit=max_length, special_ids=special)


def answered(prompt: str, answer: str, *, lost: int = 0) -> Rendered:
    return Rendered(text=prompt + answer, learnt=((len(prompt), len(prompt + answer)),), opens=len(prompt), lost=lost)


def learnt_text(inputs: ReplyInputs, unit: int, by: TextProcessor) -> str:
    targets = inputs.targets()[unit]
    return by.decode(targets[targets != IGNORED].tolist(), special=True)


def test_only_the_answer_and_its_end_are_learnt_each_from_the_token_before() -> None:
    by = processor()
    inputs = ReplyInputs.build([answered("ab", "cd</s>")], by)
    ids = inputs.batch(np.array([0]))["input_ids"][0].tolist()
    assert by.decode(ids, special=True) == "abcd</s>"
    assert inputs.targets().tolist() == [[IGNORED, ids[2], ids[3], ids[4], IGNORED]]
    assert inputs.answer_lengths.tolist() == [3]


def test_several_answers_are_learnt_and_what_stands_between_is_not() -> None:
    text = Rendered(text="U a\nB bb\nU c\nB dd\nU e\n", learnt=((6, 8), (15, 17)), opens=15)
    by = processor()
    inputs = ReplyInputs.build([text], by)
    assert learnt_text(inputs, 0, by) == "bbdd"
    assert by.decode(inputs.batch(np.array([0]))["input_ids"][0].tolist()) == "U a\nB bb\nU c\nB dd"


def test_a_text_without_an_answer_is_all_prompt() -> None:
    by = processor()
    inputs = ReplyInputs.build([Rendered(text="only this", learnt=(), opens=9)], by)
    assert (inputs.targets() == IGNORED).all()
    assert inputs.prompts.tolist() == inputs.lengths.tolist() == [9]


def test_the_model_is_asked_with_what_it_has_learnt_from() -> None:
    by = processor(texts=("say hello hello hello",) * 5)
    assert len(by.encode_marked([" hello"]).ids) == 1  # a token that would reach from the prompt into the answer
    inputs = ReplyInputs.build([answered("say ", "hello"), Rendered(text="say ", learnt=(), opens=4)], by)
    asked = inputs.prompt_batch(np.array([0, 1]), room=60)["input_ids"]
    assert asked[0].tolist() == asked[1].tolist()
    assert learnt_text(inputs, 0, by) == "hello"


def test_too_long_a_context_loses_its_beginning_and_the_answer_stays_whole() -> None:
    by = processor(max_length=16)
    inputs = ReplyInputs.build([answered("x" * 30 + "abc", "yes</s>")], by)
    assert inputs.lengths.tolist() == [16]
    assert by.decode(inputs.batch(np.array([0]))["input_ids"][0].tolist()).endswith("xabcyes")
    assert learnt_text(inputs, 0, by) == "yes</s>"
    assert inputs.cut.tolist() == [21]


def test_too_long_an_answer_loses_its_end_and_some_context_stays() -> None:
    by = processor(max_length=16)
    inputs = ReplyInputs.build([answered("0123456789", "z" * 40)], by)
    assert by.decode(inputs.batch(np.array([0]))["input_ids"][0].tolist()) == "6789" + "z" * 12
    assert learnt_text(inputs, 0, by) == "z" * 12


@pytest.mark.parametrize("most", [4, 16, 64])
def test_whatever_is_cut_something_is_left_to_learn(most: int) -> None:
    for prompt in range(0, 100, 7):
        for answer in range(1, 100, 7):
            first, last = kept_part(prompt, prompt + answer, most)
            assert 0 < last - first <= most
            assert last > prompt
            assert prompt == 0 or first < prompt


def test_prompts_are_filled_up_on_the_left_and_cut_there() -> None:
    by = processor()
    inputs = ReplyInputs.build([answered("abcdef", "x"), answered("gh", "y")], by)
    batch = inputs.prompt_batch(np.array([0, 1]), room=4)
    assert [by.decode(row.tolist()) for row in batch["input_ids"]] == ["cdef", "gh"]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    assert batch["input_ids"][1, :2].tolist() == [by.pad_id] * 2


def test_a_preview_marks_what_is_learnt_and_counts_it() -> None:
    by = processor(max_length=16)
    inputs = ReplyInputs.build([answered("Q: ", "A</s>", lost=1), answered("x" * 40, "B</s>")], by)
    share, example = preview(inputs, np.array([0, 1]), by)
    assert share.value == "19.0 %"
    assert share.evidence == {"tokens": 21, "learnt": 4, "rows_cut": 1, "answers_lost": 1}
    assert "1 row lost the beginning" in share.reason
    assert (example.value, example.reason) == ("⟦learnt⟧", "Q: ⟦A</s>⟧")
    assert marked_text([70, 71], [False, True], by).count("⟦") == 1


def test_a_preview_of_nothing_learnt_shows_nothing() -> None:
    by = processor()
    inputs = ReplyInputs.build([Rendered(text="only", learnt=(), opens=4)], by)
    share, example = preview(inputs, np.array([0]), by)
    assert (share.value, example.reason) == ("0.0 %", "nothing is learnt")

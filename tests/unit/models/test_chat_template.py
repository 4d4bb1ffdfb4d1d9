"""Conversations as texts: rendered as transformers does it, and answers found again in them."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from luthier.core.storage import write_json, write_text
from luthier.errors import ModelError, SpecError
from luthier.models.chat_template import PLAIN_TEMPLATE, ChatTemplate, chosen_template, read_template
from luthier.models.text_processor import TextProcessor
from luthier.testing.language_folders import tiny_language_folder

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% endif %}{% for m in loop_messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + (system + ' ' if loop.first and system else '') + m['content'] }}"
    "{{ ' [/INST]' }}{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
THINKS = (  # as templates of models that think: what was thought in earlier turns is left out
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ 'A: ' + (m['content'] if loop.last else "
    "m['content'].split('</think>')[-1]) + '\n' }}{% else %}{{ 'U: ' + m['content'] + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}"
)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TALK = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "Three."},
]


def learnt(source: str, messages: list[dict[str, str]], places: tuple[int, ...]) -> list[str]:
    made = ChatTemplate(source=source, tokens=TOKENS).rendered(messages, learnt=places)
    return [made.text[start:end] for start, end in made.learnt]


@pytest.mark.parametrize("source", [CHATML, LLAMA])
def test_it_renders_as_transformers_does(source: str, tmp_path: Path) -> None:
    folder = tiny_language_folder(tmp_path, "llama")
    write_text(folder / "chat_template.jinja", source)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = TextProcessor.load(folder)
    template = ChatTemplate(source=str(processor.chat_template), tokens=processor.special_tokens())
    for messages in (TALK, [{"role": "system", "content": "Be kind."}, *TALK], TALK[:1]):
        for opens in (False, True):
            expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opens)
            assert template.text(messages, opens=opens) == expected


def test_answers_are_found_by_the_texts_before_them() -> None:
    assert learnt(CHATML, TALK, (1, 3)) == ["Two.<|im_end|>\n", "Three.<|im_end|>\n"]
    assert learnt(CHATML, TALK, (3,)) == ["Three.<|im_end|>\n"]
    assert learnt(LLAMA, TALK, (1, 3)) == [" Two. </s>", " Three. </s>"]
    assert learnt(PLAIN_TEMPLATE, TALK, (1, 3)) == [" Two.</s>\n", " Three.</s>\n"]


def test_what_the_template_marks_counts() -> None:
    marked = CHATML.replace(
        "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}",
        "{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' %}{% generation %}"
        "{{ m['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}",
    )
    assert learnt(marked, TALK, (1, 3)) == ["Two.<|im_end|>", "Three.<|im_end|>"]
    assert learnt(marked, TALK, (3,)) == ["Three.<|im_end|>"]


def test_answers_that_the_template_rewrites_are_not_learnt_and_are_counted() -> None:
    talk = [{**message, "content": f"<think>hm</think>{message['content']}"} for message in TALK]
    made = ChatTemplate(source=THINKS, tokens=TOKENS).rendered(talk, learnt=(1, 3))
    assert [made.text[start:end] for start, end in made.learnt] == ["<think>hm</think>Three.\n"]
    assert made.lost == 1
    assert made.text[: made.opens].endswith("A: ")


def test_the_prompt_is_what_stands_before_the_last_answer() -> None:
    template = ChatTemplate(source=CHATML, tokens=TOKENS)
    made = template.rendered(TALK, learnt=(3,))
    assert made.text[: made.opens] == template.text(TALK[:3], opens=True)
    asked = template.rendered(TALK[:3], learnt=())
    assert (asked.text, asked.opens) == (made.text[: made.opens], made.opens)


def test_tools_and_their_calls_reach_the_template() -> None:
    calls = [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "find", "arguments": {"id": 7}}}]}]
    text = ChatTemplate(source=PLAIN_TEMPLATE, tokens=TOKENS).text(
        [TALK[0], *calls], tools=[{"type": "function", "function": {"name": "find"}}], opens=False
    )
    assert json.loads(text.partition("Tools: ")[2].partition("\n")[0])[0]["function"]["name"] == "find"
    assert '"arguments": {"id": 7}' in text


def test_a_conversation_that_the_template_refuses_is_told_with_its_roles() -> None:
    with pytest.raises(ModelError, match=r"refuses a conversation \(user, user\): roles must alternate") as caught:
        ChatTemplate(source=LLAMA, tokens=TOKENS).text([TALK[0], TALK[0]], opens=True)
    assert "--chat-template none" in caught.value.remedy


def test_a_template_cannot_do_more_than_write() -> None:
    with pytest.raises(ModelError, match="refuses"):
        ChatTemplate(source="{{ messages.__class__.__mro__[1].__subclasses__() }}", tokens={}).text(TALK, opens=False)


def test_a_folders_template_is_found_where_transformers_keeps_it(tmp_path: Path) -> None:
    assert read_template(tmp_path) is None
    write_json(tmp_path / "tokenizer_config.json", {"chat_template": [{"name": "default", "template": "named"}]})
    assert read_template(tmp_path) == "named"
    write_json(tmp_path / "tokenizer_config.json", {"chat_template": "written there"})
    assert read_template(tmp_path) == "written there"
    write_text(tmp_path / "chat_template.jinja", "a file of its own")
    assert read_template(tmp_path) == "a file of its own"


def test_the_template_asked_for_is_taken(tmp_path: Path) -> None:
    write_text(tmp_path / "own.jinja", "mine")
    assert (chosen_template("auto", "own"), chosen_template("none", "own")) == ("own", None)
    assert chosen_template(str(tmp_path / "own.jinja"), "own") == "mine"
    with pytest.raises(SpecError, match="which is no file") as caught:
        chosen_template("nowhere.jinja", None)
    assert "auto, none, or a file" in caught.value.remedy


def test_a_template_goes_along_with_the_processor(tmp_path: Path) -> None:
    folder = tiny_language_folder(tmp_path / "model", "gpt2")
    processor = TextProcessor.load(folder).with_chat_template(CHATML)
    processor.save(tmp_path / "saved")
    again = TextProcessor.load(tmp_path / "saved")
    assert again.chat_template == CHATML
    assert again.fingerprint() == processor.fingerprint() != TextProcessor.load(folder).fingerprint()
    assert again.with_max_length(8).chat_template == CHATML

"""Conversations in OpenAI's form: read as templates know them, and every fault named."""

import json
from typing import Any

import pyarrow as pa
import pytest

from luthier.data.conversations import compared_words, looks_like_messages, read_conversation, spoken_by
from luthier.data.dataset import Dataset
from luthier.data.infer import infer_schema
from luthier.data.keys import input_keys
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings

USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}


def faults(*messages: Any, tools: Any = None) -> set[str]:
    return set(read_conversation(json.dumps(messages), None if tools is None else json.dumps(tools)).faults)


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([USER], "no_answer"),
        ([USER, {**ANSWER, "weight": 0}], "no_weight"),
        ([USER, {**ANSWER, "weight": 0.5}], "bad_weight"),
        ([USER, {**ANSWER, "weight": True}], "bad_weight"),
        ([{**USER, "weight": 1}, ANSWER], "bad_weight"),
        ([{"role": "human", "content": "Hi"}, ANSWER], "unknown_role"),
        ([{"content": "Hi"}, ANSWER], "unknown_role"),
        ([{"role": "user", "content": ""}, ANSWER], "empty_content"),
        ([USER, {"role": "assistant", "content": None}], "empty_content"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, ANSWER], "no_text"),
        ([USER, {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}], "bad_call"),
        ([USER, ANSWER, USER], "goes_on"),
    ],
)
def test_each_fault_has_its_name(messages: list[dict[str, Any]], fault: str) -> None:
    assert fault in faults(*messages)


@pytest.mark.parametrize("cell", [None, "", "no json", '{"role": "user"}', '["Hi"]', "[" * 100_000])
def test_what_is_no_list_of_messages_is_told(cell: str | None) -> None:
    assert "no_list" in read_conversation(cell).faults


def test_a_sound_conversation_has_no_fault() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}}
    tools = [{"type": "function", "function": {"name": "find"}}]
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Where "}, {"type": "text", "text": "is it?"}], "name": "Jo"},
        {"role": "assistant", "content": None, "tool_calls": [call], "weight": 0},
        {"role": "tool", "tool_call_id": "1", "content": ""},
        {"role": "assistant", "content": "Here.", "weight": 1, "refusal": None},
    ]
    read = read_conversation(json.dumps(messages), json.dumps(tools))
    assert dict(read.faults) == {}
    assert read.learnt == (4,)
    assert read.answer == "Here."
    assert [message["role"] for message in read.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert read.messages[1]["content"] == "Where is it?"
    assert read.messages[2]["tool_calls"][0]["function"]["arguments"] == {"id": 7}
    assert not any("weight" in message or "refusal" in message for message in read.messages)
    assert [message["role"] for message in read.context] == ["system", "user", "assistant", "tool"]


def test_functions_of_former_days_become_tools() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "find", "arguments": "{}"}}
    read = read_conversation(json.dumps([USER, old]), json.dumps([{"name": "find", "parameters": {}}]))
    assert dict(read.faults) == {}
    assert read.tools == ({"type": "function", "function": {"name": "find", "parameters": {}}},)
    assert json.loads(spoken_by(read.messages[1])) == [{"name": "find", "arguments": {}}]
    assert faults(USER, ANSWER, tools={"name": "find"}) == {"bad_tools"}


def test_conversations_are_compared_by_what_the_user_says() -> None:
    one, other = (json.dumps([{"role": "system", "content": system}, USER, ANSWER]) for system in ("Be kind.", "Be brief."))
    assert compared_words(one) == compared_words(other) == "Hi"
    table = pa.table({"example_id": ["a", "b", "c"], "messages": [one, other, one.replace("Hi", "Ho")]})
    schema, _ = infer_schema(table, DataSettings())
    keys = input_keys(Dataset(name="chats", table=table, schema=schema, parts={}))
    assert keys[0] == keys[1] != keys[2]


def test_a_column_of_conversations_is_both_text_and_target() -> None:
    cells = [json.dumps([{**USER, "content": f"Hi {row}"}, ANSWER]) for row in range(9)]
    table = pa.table({"example_id": [f"a:{row}" for row in range(9)], "messages": cells, "tools": ['[{"name": "f"}]'] * 9})
    schema, decisions = infer_schema(table, DataSettings())
    assert schema.kind_of("messages") is Kind.MESSAGES
    assert {role: schema.roles[role] for role in ("text", "target", "tools")} == {
        "text": "messages",
        "target": "messages",
        "tools": "tools",
    }
    assert all(decision.reason for decision in decisions)
    again, _ = infer_schema(table, DataSettings(target="messages"))
    assert again.roles["text"] == "messages"


def test_prompts_and_completions_are_known_by_their_names() -> None:
    columns = {"Prompt": ["why", "who", "when"], "completion": ["so", "me", "now"], "example_id": ["a", "b", "c"]}
    schema, _ = infer_schema(pa.table(columns), DataSettings())
    assert schema.roles["text"] == "Prompt"
    assert schema.roles["target"] == "completion"


def test_only_lists_of_objects_with_roles_look_like_messages() -> None:
    assert looks_like_messages(json.dumps([USER]))
    assert not looks_like_messages(json.dumps({"role": "user"}))
    assert not looks_like_messages(json.dumps([USER, "role"]))
    assert not looks_like_messages('[{"role": ')

"""What decides about answers, what they are compared with, and how prompts meet them."""

import json

import numpy as np
import pyarrow as pa

from luthier.data.schema import Kind
from luthier.models.text_processor import TextProcessor
from luthier.tasks import TASKS
from luthier.tasks.chat import as_row
from luthier.tasks.instruction import Exchange
from luthier.tasks.protocol import Sample, TaskState
from luthier.tasks.reply_inputs import ReplyInputs
from luthier.tasks.written import as_numbers, as_texts
from luthier.testing.language_folders import byte_tokenizer
from luthier.testing.tables import make_dataset

TASK = TASKS["instruction"]
ROLES = {"text": "prompt", "target": "completion"}


def processor(template: str | None = None) -> TextProcessor:
    special = {"pad": 0, "bos": 1, "eos": 2}
    return TextProcessor(byte_tokenizer().to_str(), max_length=64, limit=64, special_ids=special, chat_template=template)


def sample(rows: list[Exchange]) -> Sample:
    inputs = TASK.encode(rows, processor(), TaskState(task=TASK.name))
    assert isinstance(inputs, ReplyInputs)
    table = pa.table({"prompt": [row.prompt for row in rows], "completion": [row.completion for row in rows]})
    units = np.arange(len(rows))
    return Sample(table=table, roles=ROLES, rows=rows, targets=inputs.targets(), inputs=inputs, units=units)


def test_short_answers_are_right_or_wrong_and_long_ones_likely_or_not() -> None:
    for answer, decides in (("yes", "same_text"), ("well, " * 20, "perplexity")):
        columns = {"prompt": ["one", "two", "three"], "completion": [answer] * 3}
        data = make_dataset(columns, roles=ROLES, kinds={"completion": Kind.TEXT})
        suited, decision = TASK.suited(data)  # type: ignore[attr-defined]
        assert suited.primary_measure == suited.measures[0] == decision.value == decides
        assert "words on average" in decision.reason
    assert TASK.primary_measure == "perplexity"


def test_the_nearest_prompts_answer_is_given() -> None:
    train = sample([Exchange(prompt="where is my parcel", completion="lost"), Exchange(prompt="is it open", completion="yes")])
    others = sample([Exchange(prompt="where is the parcel", completion="found"), Exchange(prompt="open?", completion="no")])
    majority, classic = TASK.baselines
    decoded = classic.fit_predict(train, others, TaskState(task=TASK.name), 0)
    assert as_texts(decoded[:, 2:]) == ["lost", "yes"]
    assert decoded[:, 1].tolist() == [6.0, 3.0]  # letters, and the end
    often = majority.fit_predict(train, others, TaskState(task=TASK.name), 0)
    assert as_texts(often[:, 2:]) == ["yes", "yes"]
    assert (decoded[:, 0] > 0).all()


def test_counts_tell_what_they_have_seen_better_than_what_they_have_not() -> None:
    train = sample([Exchange(prompt="a", completion="the same")] * 8)
    others = sample([Exchange(prompt="b", completion="the same"), Exchange(prompt="b", completion="ZQXJKWVY")])
    for baseline in TASK.baselines:
        loss = baseline.fit_predict(train, others, TaskState(task=TASK.name), 0)[:, 0]
        assert loss[0] < loss[1]


def test_a_line_break_stands_where_prompts_would_run_into_answers() -> None:
    for prompt, completion, separator in (("Say hi", "hi", "\n"), ("Say hi: ", "hi", ""), ("Say hi", " hi", "")):
        columns = {"prompt": [prompt] * 3, "completion": [completion] * 3}
        data = make_dataset(columns, roles=ROLES, kinds={"completion": Kind.TEXT})
        state = TASK.fit_state(data.table, data.schema)
        assert state.values == {"separator": separator}
        by = processor()
        inputs = TASK.encode([Exchange(prompt=prompt, completion=completion)], by, state)
        ids = inputs.batch(np.array([0]))["input_ids"][0].tolist()
        assert by.decode(ids, special=True) == f"{prompt}{separator}{completion}</s>"


def test_with_a_template_a_prompt_is_what_a_user_says() -> None:
    template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    by = processor(template)
    inputs = TASK.encode([Exchange(prompt="Hi", completion="Ho"), "Hi"], by, TaskState(task=TASK.name))
    asked = inputs.prompt_batch(np.array([0, 1]), room=60)  # type: ignore[attr-defined]
    assert by.decode(asked["input_ids"][0].tolist()) == by.decode(asked["input_ids"][1].tolist()) == "[user]Hi[assistant]"


def test_a_question_may_be_a_text_or_a_conversation_that_goes_on() -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    assert as_row("Hi").messages == as_row(talk[:1]).messages
    assert as_row(talk).learnt == ()
    assert len(as_row(talk).messages) == 2


def test_what_was_not_written_is_empty() -> None:
    table = pa.table({"example_id": ["a", "b"], "prompt": ["x", "y"], "completion": ["one", None]})
    told = np.array([[1.0, 2.0], [0.0, 0.0]], dtype=np.float32)
    silent = TASK.predictions(table, told, TaskState(task=TASK.name), ROLES)
    assert silent.table["prediction"].to_pylist() == ["", ""]
    assert silent.table["target"].to_pylist() == ["one", ""]
    spoken = TASK.predictions(table, np.hstack([told, as_numbers(["one", "two"])]), TaskState(task=TASK.name), ROLES)
    assert spoken.table["prediction"].to_pylist() == ["one", "two"]
    assert spoken.table["loss"].to_pylist() == [1.0, 0.0]


def test_asked_from_a_table_what_comes_next_is_wanted() -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    cells = [json.dumps(talk[:1]), json.dumps(talk), json.dumps([*talk, talk[0]]), "only words", None]
    found = TASKS["chat"].rows(pa.table({"said": cells}), {"text": "said"})
    assert [row.learnt for row in found] == [(), (1,), (), (), ()]
    assert found[3].messages == ({"role": "user", "content": "only words"},)
    trained = TASKS["chat"].rows(pa.table({"said": cells}), {"text": "said", "target": "said"})
    assert trained[2].learnt == (1,)

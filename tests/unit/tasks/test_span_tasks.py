"""Question answering and span extraction on small tables: what is checked, chosen, answered, and known without a model."""

import numpy as np
import pytest

from luthier.data.dataset import Dataset
from luthier.data.schema import Kind
from luthier.data.spans import Span
from luthier.errors import DataError
from luthier.evaluation.baselines import chosen_rows
from luthier.tasks import TASKS, choose_task
from luthier.tasks.inputs import EMPTY
from luthier.tasks.protocol import Sample, Task
from luthier.tasks.shown_spans import Piece, marked_text
from luthier.tasks.sought import pieces_as_decoded
from luthier.testing.tables import make_dataset

CONTEXT = "Ada wrote the program in London. It was printed in Turin. The engine was never built."
QUESTIONS = {
    "question": ["Who wrote the program?", "Where was it printed?", "What was never built?", "Who paid for it?"],
    "context": [CONTEXT] * 4,
    "answers": ['[{"text": "Ada", "start": 0}]', "Turin", "The engine", "[]"],
}
QA_ROLES = {"text": "question", "text_pair": "context", "target": "answers"}


def questions(**changed: list[object]) -> Dataset:
    return make_dataset({**QUESTIONS, **changed}, roles=QA_ROLES, kinds={"answers": Kind.ANSWERS})


def slots(cells: list[object], texts: list[str]) -> Dataset:
    roles = {"text": "text", "target": "slots"}
    return make_dataset({"text": texts, "slots": cells}, roles=roles, kinds={"slots": Kind.SLOTS})


def sample(task: Task, dataset: Dataset) -> Sample:
    rows = task.rows(dataset.table, dataset.schema.roles)
    return Sample(table=dataset.table, roles=dataset.schema.roles, rows=rows, targets=np.zeros(len(rows)))


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        (questions(), "question-answering"),
        (make_dataset(QUESTIONS, roles=QA_ROLES, kinds={"answers": Kind.TEXT}), "question-answering"),
        (
            make_dataset(
                {**QUESTIONS, "at": [0, 51, 58, 0]}, roles={**QA_ROLES, "answer_start": "at"}, kinds={"answers": Kind.CATEGORY}
            ),
            "question-answering",
        ),
        (make_dataset(QUESTIONS, roles=QA_ROLES, kinds={"answers": Kind.CATEGORY}), "text-pair-classification"),
        (slots(["[]"], ["hello"]), "span-extraction"),
        (
            make_dataset(
                {"text": ["a"], "asked": ["b"], "slots": ["[]"]},
                roles={"text": "text", "text_pair": "asked", "target": "slots"},
                kinds={"slots": Kind.SLOTS},
            ),
            "span-extraction",
        ),
        (
            make_dataset(
                {"text": ["a"], "spans": ["[]"]}, roles={"text": "text", "target": "spans"}, kinds={"spans": Kind.SPANS}
            ),
            "token-classification",
        ),
    ],
)
def test_the_columns_say_which_task_it_is(dataset: Dataset, name: str) -> None:
    assert choose_task(dataset.schema)[0].name == name


@pytest.mark.parametrize("kind", [Kind.CATEGORY, Kind.IDENTIFIER])
def test_answers_that_look_like_labels_are_answers_if_one_says_so(kind: Kind) -> None:
    schema = make_dataset(QUESTIONS, roles=QA_ROLES, kinds={"answers": kind}).schema
    assert choose_task(schema, name="question-answering")[0].name == "question-answering"


def test_faults_are_told_by_part_with_their_rows_and_lost_rows_are_left_out() -> None:
    cells = ["Ada", "Ada", "nobody", '[{"text": "printed", "start": 3}]', "[1]", "in", "nobody", "{}"]
    dataset = make_dataset(
        {"question": [f"q{row}" for row in range(8)], "context": [CONTEXT] * 8, "answers": cells},
        roles=QA_ROLES,
        kinds={"answers": Kind.ANSWERS},
        sizes={"train": 6, "test": 2},
    )
    findings = {(item.part, item.evidence["fault"]): item for item in TASKS["question-answering"].check(dataset)}
    assert set(findings) == {
        ("train", "absent_answer"),
        ("train", "moved_answer"),
        ("train", "bad_cell"),
        ("train", "ambiguous_answer"),
        ("test", "absent_answer"),
        ("test", "bad_cell"),
    }
    lost = findings["train", "absent_answer"]
    assert lost.problem == (
        "1 of 6 train rows (16.7 %) has an answer that does not stand in its text; nothing can be learnt from that. "
        "Row: toy.csv:3."
    )
    assert lost.remedy == "copy the answer exactly as the text has it; write [] where there is none"
    assert lost.action is not None and lost.action.rows.tolist() == [2] and lost.by_default
    moved = findings["train", "moved_answer"]
    assert "names a start at which the text says something else; the answer stands in the text once" in moved.problem
    assert moved.severity == "info" and moved.action is None
    kept = findings["test", "absent_answer"]
    assert "no model can be right about that" in kept.problem and kept.action is None
    assert findings["test", "bad_cell"].evidence["excluded_from_scoring"]
    assert findings["test", "bad_cell"].rows.tolist() == [7]


def test_slots_outside_their_text_are_told() -> None:
    dataset = slots(
        ['[{"slot": "a", "start": 3, "end": 40}, {"slot": "b", "start": 0, "end": 5}]', "[]", "oops"], ["hello there"] * 3
    )
    first, second = TASKS["span-extraction"].check(dataset)
    assert "1 of 3 rows (33.3 %) is not written as answers or spans are; nothing can be learnt from that" in first.problem
    assert "has a span that ends outside its text, or before it begins; such spans are left out" in second.problem
    assert second.action is None


def test_the_state_says_how_long_answers_are_and_whether_some_are_missing() -> None:
    task = TASKS["question-answering"]
    dataset = questions()
    state = task.fit_state(dataset.table, dataset.schema)
    assert state.values == {"longest": 15, "may_be_absent": True, "reads_pair": True}
    some = dataset.table.slice(0, 3)
    assert not task.fit_state(some, dataset.schema).values["may_be_absent"]
    assert task.describe(state) == "a piece of the context, or no answer"


def test_nothing_is_answered_only_where_train_has_questions_without_an_answer() -> None:
    task, dataset = TASKS["question-answering"], questions()
    row = [("Who?", CONTEXT)]
    state = task.fit_state(dataset.table, dataset.schema)
    never = task.fit_state(dataset.table.slice(0, 3), dataset.schema)
    decoded = np.array([[0.5, 0.4, 0, 3, 0.1, 51, 56, EMPTY, EMPTY, EMPTY]], dtype=np.float32)
    (silent,), (sure,) = task.answers(decoded, row, state), task.answers(decoded, row, never)
    assert silent == {"text": None, "start": None, "end": None, "confidence": 0.5}
    assert sure == {"text": "Ada", "start": 0, "end": 3, "confidence": pytest.approx(0.4)}
    columns = task.columns(decoded, row, never, probs=True)
    assert list(columns) == ["prediction", "start", "end", "confidence", "prob_no_answer", "candidates"]
    assert '"text": "Turin"' in columns["candidates"][0]


def test_answers_are_slices_of_the_context_without_the_space_around_them() -> None:
    task, dataset = TASKS["question-answering"], questions()
    state = task.fit_state(dataset.table.slice(0, 3), dataset.schema)
    decoded = np.array([[0.0, 0.9, 3, 10, *[EMPTY] * 6]], dtype=np.float32)
    assert task.answers(decoded, [("?", CONTEXT)], state)[0] == {
        "text": "wrote",
        "start": 4,
        "end": 9,
        "confidence": pytest.approx(0.9),
    }


def test_slots_are_answered_by_name_with_a_column_for_each() -> None:
    task = TASKS["span-extraction"]
    dataset = slots(['[{"slot": "a", "start": 0, "end": 5}, {"slot": "b", "start": 6, "end": 11}]', "[]"], ["hello there"] * 2)
    state = task.fit_state(dataset.table, dataset.schema)
    decoded = pieces_as_decoded([[Span(start=0, end=5), None], [None, None]], best=1)
    columns = task.columns(decoded, ["hello there", "hi"], state, probs=True)
    assert list(columns) == ["prediction", "a", "b", "prob_a", "prob_b"]
    assert columns["a"].to_pylist() == ["hello", None]
    assert columns["prediction"] == ['[{"slot": "a", "start": 0, "end": 5, "text": "hello"}]', "[]"]
    assert task.answers(decoded, ["hello there", "hi"], state) == [
        {"a": {"text": "hello", "start": 0, "end": 5, "confidence": 1.0}},
        {},
    ]


def test_the_classic_finds_words_of_the_best_sentence() -> None:
    task, dataset = TASKS["question-answering"], questions()
    state = task.fit_state(dataset.table, dataset.schema)
    whole = sample(task, dataset)
    decoded = {item.name: item.fit_predict(whole, whole, state, 0) for item in task.baselines}
    said = {
        name: task.predictions(dataset.table, values, state, dataset.schema.roles).table["prediction"].to_pylist()
        for name, values in decoded.items()
    }
    assert set(said["majority"]) == {"Ada"}
    assert said["classic"][1] in "It was printed in Turin" and said["classic"][1]
    assert len(chosen_rows(4, 0)) == 4


def test_the_classic_for_slots_learns_words_and_what_stands_beside_them() -> None:
    task = TASKS["span-extraction"]
    names = ["ada", "bob", "cleo", "dan", "eve"] * 8
    texts = [f"please call {name} at {hour} pm" for hour, name in enumerate(names, 1)]
    cells = [
        f'[{{"slot": "who", "start": 12, "end": {12 + len(name)}}}, '
        f'{{"slot": "when", "start": {16 + len(name)}, "end": {19 + len(name) + len(str(hour))}}}]'
        for hour, name in enumerate(names, 1)
    ]
    train, others = slots(cells, texts), slots(["[]"] * 2, ["please call zoe at 99 pm", "nothing here"])
    state = task.fit_state(train.table, train.schema)
    classic = next(item for item in task.baselines if item.name == "classic")
    decoded = classic.fit_predict(sample(task, train), sample(task, others), state, 0)
    found = task.answers(decoded, ["please call zoe at 99 pm", "nothing here"], state)
    assert {name: piece["text"] for name, piece in found[0].items()} == {"who": "zoe", "when": "99 pm"}
    assert found[1] == {}


def test_long_texts_are_cut_far_from_what_is_marked() -> None:
    text = "a" * 500 + "RIGHT" + "b" * 500 + "GIVEN" + "c" * 500
    pieces = [Piece(start=500, end=505, before="⟦", behind="⟧"), Piece(start=1005, end=1010, before="«", behind="»")]
    shown = marked_text(text, pieces)
    assert "⟦RIGHT⟧" in shown and "«GIVEN»" in shown and len(shown) < 320
    assert marked_text(
        "both", [Piece(start=0, end=4, before="⟦", behind="⟧"), Piece(start=0, end=4, before="«", behind="»")]
    ) in (
        "⟦«both⟧»",
        "⟦«both»⟧",
        "«⟦both⟧»",
        "«⟦both»⟧",
    )


def test_rows_of_another_form_are_refused_with_an_example() -> None:
    dataset = questions()
    state = TASKS["question-answering"].fit_state(dataset.table, dataset.schema)
    with pytest.raises(DataError, match=r"Row 1 is 'Who\?'; each row is a question with its context") as caught:
        TASKS["question-answering"].encode([("Who?", CONTEXT), "Who?"], None, state)
    assert caught.value.remedy == 'model.predict([("Who wrote it?", "It was written by Ada.")])'
    with pytest.raises(DataError, match="each row is a text, or one with what was asked for"):
        TASKS["span-extraction"].encode([("a", "b", "c")], None, state)

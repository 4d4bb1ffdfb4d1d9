"""What cells say about places in a text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.kinds import judge_kind
from luthier.data.schema import Kind
from luthier.data.spans import FAULTS, Marked, Span, looks_like, read_answers, read_spans

TEXT = "Ada wrote it in Zürich, and Ada left."


def answer(text: str, start: object = None) -> str:
    return json.dumps([{"text": text, "start": start}])


@pytest.mark.parametrize(
    ("cell", "start", "spans"),
    [
        (answer("wrote", 4), None, [(4, 9)]),
        ('[{"text": "wrote", "answer_start": 4}]', None, [(4, 9)]),
        ('{"text": ["wrote", "it"], "answer_start": [4, 10]}', None, [(4, 9), (10, 12)]),
        ('{"text": [], "answer_start": []}', None, []),
        ("wrote it", None, [(4, 12)]),
        ("wrote it", "4", [(4, 12)]),
        ("wrote it", 4.0, [(4, 12)]),
        (" wrote it ", None, [(4, 12)]),
        (answer(" wrote ", 3), None, [(4, 9)]),
        ("[]", None, []),
        ('["wrote"]', None, [(4, 9)]),
    ],
)
def test_every_form_of_an_answer_is_placed(cell: str, start: object, spans: list[tuple[int, int]]) -> None:
    said = read_answers(cell, TEXT, start)
    assert [(span.start, span.end) for span in said.spans] == spans
    assert said.is_usable
    assert not said.faults


@pytest.mark.parametrize(
    ("cell", "fault", "spans"),
    [
        (answer("Bob", 0), "absent_answer", []),
        (answer("wrote", 9), "moved_answer", [(4, 9)]),
        (answer("wrote", -3), "moved_answer", [(4, 9)]),
        (answer("wrote", 4_000), "moved_answer", [(4, 9)]),
        (answer("left", TEXT.encode().index(b"left")), "byte_offsets", [(32, 36)]),
        (answer("Ada"), "ambiguous_answer", [(0, 3)]),
        (answer("Ada", 12), "lost_answer", []),
        (answer("  ", 3), "empty_answer", []),
        ('[{"start": 3}]', "bad_cell", []),
        ('[{"text": 7, "start": 3}]', "bad_cell", []),
        ('[{"text": "wrote", "start": "four"}]', "bad_cell", []),
        ('[{"text": "wrote", "start": 1.5}]', "bad_cell", []),
        ('{"text": ["wrote"], "answer_start": [4, 5]}', "bad_cell", []),
        ("  ", "bad_cell", []),
        ("[1, 2]", "bad_cell", []),
    ],
)
def test_every_fault_of_an_answer_has_its_name(cell: str, fault: str, spans: list[tuple[int, int]]) -> None:
    said = read_answers(cell, TEXT)
    assert said.faults == (fault,)
    assert [(span.start, span.end) for span in said.spans] == spans
    assert said.is_usable == bool(spans)
    assert fault in FAULTS


def test_all_wordings_are_kept_for_scoring_also_those_that_do_not_stand_in_the_text() -> None:
    said = read_answers('[{"text": "wrote", "start": 4}, {"text": "Zurich", "start": 16}]', TEXT)
    assert said.answers == ("wrote", "Zurich")
    assert said.spans == (Span(start=4, end=9),)
    assert said.is_usable


@pytest.mark.parametrize(
    ("cell", "fault", "spans"),
    [
        ('[{"label": "who", "start": 0, "end": 3}]', "", [(0, 3, "who")]),
        ('[{"slot": "who", "end": 3}]', "", [(0, 3, "who")]),
        ('[{"slot": "who", "start": 3, "end": 10}]', "", [(4, 9, "who")]),
        ('[{"label": "who", "start": 0, "end": 99}]', "outside_text", []),
        ('[{"label": "who", "start": 5, "end": 5}]', "outside_text", []),
        ('[{"label": "who", "start": -2, "end": 3}]', "outside_text", []),
        ('[{"label": "who", "start": 3, "end": 4}]', "outside_text", []),
        ('[{"label": "who", "start": 0, "end": 3, "text": "Bob"}]', "other_words", [(0, 3, "who")]),
        ('[{"label": "who", "start": 29, "end": 32, "text": "Ada"}]', "byte_offsets", [(28, 31, "who")]),
        (
            '[{"label": "who", "start": 0, "end": 3}, {"label": "who", "start": 28, "end": 31}]',
            "repeated_label",
            [(0, 3, "who")],
        ),
    ],
)
def test_spans_are_read_and_their_faults_named(cell: str, fault: str, spans: list[tuple[int, int, str]]) -> None:
    said = read_spans(cell, TEXT)
    assert [(span.start, span.end, span.label) for span in said.spans] == spans
    assert said.faults == ((fault,) if fault else ())
    assert said.is_usable


@pytest.mark.parametrize("cell", ["nothing", '{"label": "who"}', '[{"start": 1, "end": 2}]', '[{"label": "a"}]', "[3]", None])
def test_what_is_no_list_of_spans_is_not_usable(cell: str | None) -> None:
    assert read_spans(cell, TEXT) == Marked(faults=("bad_cell",), is_usable=False)


@given(text=st.text(min_size=1, max_size=30), data=st.data())
def test_an_answer_copied_from_the_text_is_found_where_it_was_copied(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    said = read_answers(answer(text[start:end], start), text)
    if text[start:end].strip():
        assert text[said.spans[0].start : said.spans[0].end] == text[start:end].strip()
        assert start <= said.spans[0].start < said.spans[0].end <= end
    else:
        assert not said.spans


@given(
    cell=st.one_of(
        st.text(max_size=20),
        st.builds(
            json.dumps,
            st.recursive(
                st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4)),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=3),
                    st.dictionaries(
                        st.sampled_from(["text", "start", "answer_start", "end", "label", "slot"]), inner, max_size=4
                    ),
                ),
                max_leaves=8,
            ),
        ),
    )
)
def test_no_cell_whatever_it_holds_stops_the_reading(cell: str) -> None:
    for said in (read_answers(cell, TEXT), read_spans(cell, TEXT)):
        assert set(said.faults) <= set(FAULTS)
        assert all(0 <= span.start < span.end <= len(TEXT) for span in said.spans)
    assert looks_like(cell) in ("answers", "slots", "empty", "")


def test_columns_of_answers_and_of_spans_are_told_from_texts() -> None:
    answers = [answer("a", 1), "[]", answer("b", 2), answer("c", 3)]
    spans = ['[{"slot": "a", "end": 3}]', "[]", "[]"]
    texts = ["[sic] he said", "[so] it was", "(no)"]
    for sample, kind in ((answers, Kind.ANSWERS), (spans, Kind.SLOTS), (texts, Kind.TEXT)):
        assert judge_kind(sample, present=len(sample), distinct=len(set(sample)), mean_words=3.0) is kind

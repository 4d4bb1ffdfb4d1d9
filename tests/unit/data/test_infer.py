"""What columns hold and which roles they play: guesses with reasons, flags that win, mistakes reported together."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.records import to_plain
from luthier.data import kinds as kinds_module
from luthier.data.infer import infer_columns, infer_schema
from luthier.data.load import load_source
from luthier.data.schema import Kind
from luthier.data.settings import DataSettings
from luthier.errors import DataError, LuthierError, SpecError

ROWS = 60
COLUMNS: dict[str, tuple[list[object], Kind]] = {
    "words": ([f"this is message number {n} of many" for n in range(ROWS)], Kind.TEXT),
    "classes": ([f"class {n % 4}" for n in range(ROWS)], Kind.CATEGORY),
    "digits": ([str(n % 5) for n in range(ROWS)], Kind.CATEGORY),
    "flags": ([n % 2 == 0 for n in range(ROWS)], Kind.CATEGORY),
    "prices": ([f"{n * 1.37:.2f}" for n in range(ROWS)], Kind.NUMBER),
    "floats": ([n / 7 for n in range(ROWS)], Kind.NUMBER),
    "ages": ([str(18 + n % 50) for n in range(ROWS)], Kind.NUMBER),
    "row": ([str(n + 1) for n in range(ROWS)], Kind.IDENTIFIER),
    "key": ([f"A-{n:04d}-X" for n in range(ROWS)], Kind.IDENTIFIER),
    "when": ([f"2026-01-{n % 28 + 1:02d} 10:{n:02d}" for n in range(ROWS)], Kind.DATETIME),
    "day": ([f"{n % 12 + 1}/{n % 28 + 1}/2026" for n in range(ROWS)], Kind.DATETIME),
    "same": (["x"] * ROWS, Kind.CONSTANT),
    "blank": (["", " ", None] * (ROWS // 3), Kind.EMPTY),
}


def table_of(**columns: list[object]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({"example_id": [f"a.csv:{n}" for n in range(rows)], **columns})


@pytest.mark.parametrize("name", COLUMNS)
def test_kinds_are_judged_from_values(name: str) -> None:
    values, kind = COLUMNS[name]
    column = infer_columns(table_of(**{name: values}))[0]
    assert column.kind is kind
    assert column.distinct == len({str(value) for value in values if value is not None and str(value).strip()})


def test_paths_of_pictures_count_as_such_only_if_they_exist(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.jpg").touch()
    assert infer_columns(table_of(p=[str(tmp_path / f"{n}.jpg") for n in range(3)]))[0].kind is Kind.IMAGE
    assert infer_columns(table_of(p=[str(tmp_path / f"no{n}.jpg") for n in range(3)]))[0].kind is not Kind.IMAGE


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.none() | st.text("ab \t\n\u00a0\u2003", max_size=5), max_size=40))
def test_missing_values_are_counted_exactly(values: list[str | None]) -> None:
    column = infer_columns(pa.table({"a": pa.array(values, pa.string())}))[0]
    assert column.missing == sum(value is None or not value.strip() for value in values)


def test_large_columns_are_counted_by_extrapolation_only_if_values_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds_module, "COUNTED_ROWS", 1000)
    table = pa.table({"unique": [str(n) for n in range(5000)], "few": [str(n % 70) for n in range(5000)]})
    assert [column.distinct for column in infer_columns(table)] == [5000, 70]


TEXT = [f"a message with some words {n}" for n in range(20)]
AB: list[object] = ["a", "b"] * 10


def roles(settings_: DataSettings | None = None, **columns: list[object]) -> dict[str, str]:
    return dict(infer_schema(table_of(**columns), settings_ or DataSettings())[0].roles)


def test_the_target_is_found_by_its_name_before_its_place() -> None:
    assert roles(text=TEXT, intent=AB, domain=AB) == {"target": "intent", "text": "text"}
    assert roles(text=TEXT, airline_sentiment=AB, zone=AB)["target"] == "airline_sentiment"
    assert roles(text=TEXT, target=AB, label=AB)["target"] == "label"
    assert roles(text=TEXT, channel=AB, churned=AB)["target"] == "churned"


def test_numbers_are_the_target_only_if_named_exactly_so() -> None:
    numbers: list[object] = [str(n / 3) for n in range(20)]
    assert roles(text=TEXT, monthly_score=numbers, judged=AB)["target"] == "judged"
    assert roles(text=TEXT, score=numbers)["target"] == "score"


def test_the_text_is_the_column_with_the_longest_values() -> None:
    longer: list[object] = [f"{text} and then much more of it" for text in TEXT]
    assert roles(title=TEXT, body=longer, label=AB)["text"] == "body"
    assert roles(word=[f"w{n}" for n in range(20)], text=["hi", "ho"] * 10, label=AB)["text"] == "text"


def test_every_guess_has_a_reason_and_an_override() -> None:
    when: list[object] = [f"2026-01-{n + 1:02d}" for n in range(20)]
    columns: dict[str, list[object]] = {
        "text": list(TEXT),
        "user_id": [f"u{n % 5}" for n in range(20)],
        "when": when,
        "label": AB,
    }
    schema, decisions = infer_schema(table_of(**columns), DataSettings())
    by_name = {decision.name: decision for decision in decisions}
    assert {name: decision.value for name, decision in by_name.items()} == {
        "target": "label",
        "text": "text",
        "group": None,
        "time": None,
    }
    assert all(decision.reason and decision.override for decision in decisions)
    assert "user_id" in by_name["target"].reason
    assert by_name["group"].override == "--group user_id" and by_name["time"].override == "--time when"
    assert schema.num_rows == 20
    to_plain(decisions)


def test_flags_win_and_ignored_columns_play_no_role() -> None:
    columns: dict[str, list[object]] = {"text": list(TEXT), "label": AB, "other": AB, "user": AB}
    assert roles(DataSettings(target="other", group="user"), **columns) == {"target": "other", "group": "user", "text": "text"}
    assert roles(DataSettings(ignore=("label", "user")), **columns) == {"target": "other", "text": "text"}
    schema, _ = infer_schema(table_of(**columns), DataSettings(ignore=("label",)))
    assert [column.name for column in schema.columns] == ["text", "label", "other", "user"]


def test_all_wrong_flags_are_reported_together_with_the_nearest_columns() -> None:
    with pytest.raises(SpecError) as caught:
        infer_schema(
            table_of(text=list(TEXT), category=AB), DataSettings(target="categry", text="Text", group="zzz"), name="t.csv"
        )
    message = str(caught.value)
    assert "3 problems" in message and "Columns: text, category" in message
    assert "Did you mean 'category'?" in message and "Did you mean 'text'?" in message
    assert "--target category" in caught.value.remedy and "--text text" in caught.value.remedy


def test_a_column_cannot_play_two_roles_or_be_ignored_as_well() -> None:
    table = table_of(text=list(TEXT), label=AB)
    with pytest.raises(SpecError, match="one role"):
        infer_schema(table, DataSettings(target="label", text="label"))
    with pytest.raises(SpecError, match="--ignore"):
        infer_schema(table, DataSettings(target="label", ignore=("label",)))


def test_without_a_label_column_the_message_names_the_columns_and_what_to_paste() -> None:
    table = table_of(review=list(TEXT), points=[str(n * 7919 % 1000 * 1000) for n in range(20)])
    with pytest.raises(DataError) as caught:
        infer_schema(table, DataSettings(), name="reviews.csv")
    assert "no column of reviews.csv looks like one: 'review' (text), 'points' (number)" in caught.value.problem
    assert caught.value.remedy == "luthier tune reviews.csv --text review --target points"
    schema, _ = infer_schema(table, DataSettings(), require_target=False)
    assert dict(schema.roles) == {"text": "review"}


@settings(max_examples=80, deadline=None)
@given(
    columns=st.dictionaries(
        st.text(max_size=6).filter(lambda name: name != "example_id"),
        st.lists(st.none() | st.text(max_size=8), min_size=5, max_size=5),
        max_size=4,
    )
)
def test_whatever_the_table_roles_name_columns_or_our_own_error_says_why_not(columns: dict[str, list[object]]) -> None:
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    try:
        schema, _ = infer_schema(table, DataSettings())
    except LuthierError as error:
        assert error.problem and error.remedy
    else:
        assert set(schema.roles.values()) <= set(columns)
        assert len(set(schema.roles.values())) == len(schema.roles)


REAL = {
    "banking77": {"target": "category", "text": "text"},
    "clinc150": {"target": "intent", "text": "text"},
    "tweet_emotion": {"target": "label", "text": "text"},
    "tweet_stance": {"target": "label", "text": "text"},
    "goemotions_single": {"target": "label", "text": "text"},
    "hymenoptera": {"target": "label", "image": "image"},
    "cifar10_subset": {"target": "label", "image": "image"},
    "airline_tweets": {"target": "airline_sentiment", "text": "text"},
    "telco_churn": {"target": "Churn", "id": "customerID"},
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", REAL)
def test_roles_of_real_data_sets_are_what_their_makers_meant(shared: Path, name: str) -> None:
    source = load_source([shared / "data" / name], DataSettings())
    schema, decisions = infer_schema(source.table, DataSettings(), name=name)
    assert dict(schema.roles) == REAL[name]
    if name == "clinc150":
        assert "domain" in next(decision.reason for decision in decisions if decision.name == "target")

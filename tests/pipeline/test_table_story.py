"""Tables, from the file to answers: columns are read, a network is pre-trained once, tuned, saved and asked."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import luthier
from luthier.cli.main import run as command
from luthier.errors import DataError, ModelError, SpecError
from luthier.pipeline import Run
from luthier.report.records import read_run

TABLE_RUN = {
    "num_epochs": 2, "threads": 1, "bootstrap_samples": 200, "table_pretraining_epochs": 3, "table_hidden_width": 16,
    "table_blocks": 2, "learning_rate": 3e-3,
}  # fmt: skip
HEADER = ("customer", "tenure", "plan", "price", "joined", "churn")


def make_rows(number: int, *, seed: int = 0) -> list[list[object]]:
    """Customers who leave more often the shorter they have stayed; some cells are missing."""
    generator = np.random.default_rng(seed)
    rows: list[list[object]] = []
    for place in range(number):
        tenure, plan = int(generator.integers(0, 72)), ("basic", "gold", "family")[int(generator.integers(3))]
        price = round(float(generator.gamma(3, 20)), 2)
        leaves = 1.5 * (plan == "basic") - tenure / 18 + price / 60 + generator.normal() * 0.3 > -0.3
        shown = "" if generator.random() < 0.05 else tenure
        day = f"2024-{1 + place % 12:02}-{1 + place % 28:02}"
        rows.append([f"C-{place:05}", shown, plan, price, day, "yes" if leaves else "no"])
    return rows


def write_table(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("data") / "churn.csv", make_rows(300))


@pytest.fixture(scope="module")
def table_run(churn: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "churn"
    return luthier.tune(
        churn, target="churn", method="full", out=str(out), false_alarm_cost=1, miss_cost=4, positive="yes", **TABLE_RUN
    )


def decision(run: Run, name: str) -> dict[str, object]:
    lines = (run.folder / "decisions.jsonl").read_text().splitlines()
    return next(made for made in map(json.loads, lines) if made["name"] == name)


def test_it_says_what_the_columns_are_and_what_pretraining_gave(table_run: Run) -> None:
    assert decision(table_run, "task")["value"] == "table-classification"
    features = decision(table_run, "features")
    assert features["value"] == ["tenure", "plan", "price", "joined"]
    assert features["evidence"]["not_read"] == {"customer": "it is the id", "churn": "it is the target"}
    prepared = decision(table_run, "preparation")["evidence"]["columns"]
    assert prepared["price"] == "number, quantile scaling"
    assert prepared["joined"] == "date: days, month, weekday"
    made = decision(table_run, "pretraining_epochs")
    assert made["value"] == 3
    assert "of what hidden cells leave open" in made["reason"]


def test_it_learns(table_run: Run) -> None:
    scores = table_run.metrics.test
    assert scores["tuned"]["roc_auc"].value > 0.75
    assert scores["classic"]["roc_auc"].value > 0.8
    assert set(scores) == {"majority", "classic", "pretrained", "probe", "tuned"}
    assert "average_precision" in scores["tuned"]


def test_the_threshold_by_cost_is_on_the_card(table_run: Run) -> None:
    alarms = table_run.metrics.alarms
    assert alarms["positive"] == "yes"
    assert 0 <= float(str(alarms["threshold"])) <= 1
    assert "Alarm for 'yes' from a probability of" in " ".join(str(table_run.card).split())


def test_the_saved_model_answers_by_the_threshold(table_run: Run, churn: Path) -> None:
    threshold = float(str(table_run.metrics.alarms["threshold"]))
    model = luthier.load_model(table_run.folder)
    with churn.open(newline="") as file:
        rows = list(csv.DictReader(file))
    probs = model.predict_probs(rows)[:, model.labels.index("yes")]
    assert model.predict(rows) == ["yes" if prob >= threshold else "no" for prob in probs]
    assert model.predict(rows) != ["yes" if prob >= 0.5 else "no" for prob in probs]
    assert f"`yes` from a probability of {threshold:.3g} on" in (table_run.model_path / "README.md").read_text()


def test_the_report_shows_the_columns_those_that_matter_first(table_run: Run) -> None:
    importance = read_run(table_run.folder).metrics.importance
    assert next(iter(importance)) in ("tenure", "plan")
    assert importance["tenure"] > importance["joined"]
    page = (table_run.folder / "report.html").read_text()
    assert "The columns" in page
    assert "number, quantile scaling" in page


def test_the_model_folder_is_loaded_without_any_permission_and_answers_dictionaries(table_run: Run) -> None:
    model = luthier.load_model(table_run.model_path)
    row = {"tenure": 1, "plan": "basic", "price": 90.0, "joined": "2024-03-01"}
    loyal = {"tenure": 70, "plan": "gold", "price": 10.0, "joined": None, "something else": 3}
    assert model.predict([row, loyal]) == ["yes", "no"]
    with pytest.raises(DataError, match="reads the columns 'tenure', 'price' and 'joined'"):
        model.predict([{"plan": "gold"}])
    with pytest.raises(DataError, match=r"Row 1: 'many' in column 'tenure' is no number") as caught:
        model.predict([row, {**row, "tenure": "many"}])
    assert "None where nothing is known" in caught.value.remedy
    card = (table_run.model_path / "README.md").read_text()
    assert "nobody else's weights are in it" in card
    assert 'model.predict([{"tenure": 0, "plan": "..."' in card


def test_predict_answers_a_file_and_names_the_cells_it_cannot_read(
    table_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["C-1", "abc", "gold", 12.5, "2024-03-04"], ["C-2", 3, "platinum", "inf", "4 March"], ["C-3", 70, "gold", 20, ""]]
    new, out = write_table(tmp_path / "new.csv", rows, HEADER[:-1]), tmp_path / "answers.csv"
    assert command(["predict", str(table_run.folder), str(new), "--out", str(out), "--probs"]) == 0
    with out.open() as file:
        answers = list(csv.DictReader(file))
    assert [answer["customer"] for answer in answers] == ["C-1", "C-2", "C-3"]
    assert all(answer["prediction"] in ("yes", "no") for answer in answers)
    told = capsys.readouterr()
    said = " ".join((told.out + told.err).split())
    assert "'abc' in column 'tenure' is no number" in said
    assert "'4 March' in column 'joined' is no date like those of train" in said
    write_table(new, [row[:3] for row in rows], HEADER[:3])
    assert command(["predict", str(table_run.folder), str(new)]) == 2
    assert "which the table lacks" in " ".join(capsys.readouterr().err.split())


def test_the_spec_of_a_run_gives_the_same_run_without_pretraining_again(table_run: Run, tmp_path: Path) -> None:
    again = tmp_path / "again"
    command(["tune", str(table_run.folder / "spec.yaml"), "--out", str(again), "--quiet"])
    assert "found in the cache" in (again / "decisions.jsonl").read_text()
    for name in ("model.safetensors", "head.safetensors", "processor.json"):
        assert (again / "model" / name).read_bytes() == (table_run.model_path / name).read_bytes()


@pytest.mark.parametrize("method", ["top-blocks:1", "lora:2", "gradual:1"])
def test_other_methods_work_and_the_store_changes_nothing(churn: Path, method: str, tmp_path: Path) -> None:
    losses = []
    for store in ("float32", "off"):
        settings = {**TABLE_RUN, "num_epochs": 1, "max_rows": 120, "store": store}
        run = luthier.tune(churn, target="churn", method=method, out=str(tmp_path / store), **settings)
        events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
        losses.append([event["loss"] for event in events if "loss" in event])
    assert losses[0]
    assert np.allclose(losses[0], losses[1], atol=1e-5)


def test_a_tuned_network_can_be_tuned_on(table_run: Run, churn: Path, tmp_path: Path) -> None:
    settings = {name: value for name, value in TABLE_RUN.items() if not name.startswith("table")}
    out = str(tmp_path / "run")
    again = luthier.tune(churn, target="churn", model=str(table_run.folder), method="probe", out=out, **settings)
    assert again.metrics.test["tuned"]["roc_auc"].value > 0.75
    assert decision(again, "name")["value"] == "model"


def test_texts_beside_other_columns_are_read_by_a_frozen_model(text_model: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [
        [
            " ".join(generator.choice(["invoice", "refund", "parcel", "courier", "please", "monday"], 6)),
            number % 9,
            number * 1.5,
        ]
        for number in range(120)
    ]
    labelled = [[*row, "late" if "parcel" in str(row[0]) else "paid"] for row in rows]
    table = write_table(tmp_path / "mixed.csv", labelled, ("message", "visits", "price", "label"))
    settings = {**TABLE_RUN, "task": "table-classification", "table_text_model": str(text_model), "method": "probe"}
    run = luthier.tune(table, out=str(tmp_path / "run"), **settings)
    assert run.metrics.test["probe" if "probe" in run.metrics.test else "tuned"]["roc_auc"].value > 0.7
    model = luthier.load_model(run.folder)
    assert (run.model_path / "texts" / "model.safetensors").is_file()
    assert len(model.predict([{"message": "parcel please", "visits": 1, "price": None}])) == 1
    without = luthier.tune(table, out=str(tmp_path / "without"), **{**settings, "table_text_model": "off"})
    assert decision(without, "preparation")["evidence"]["columns"].keys() == {"visits", "price"}


def test_numbers_are_predicted_and_rows_can_be_sentences(text_model: Path, tmp_path: Path) -> None:
    rows = [
        [row[1], row[2], row[3], round(float(str(row[3])) + float(str(row[1] or 0)) + 15 * len(str(row[2])), 2)]
        for row in make_rows(200)
    ]
    table = write_table(tmp_path / "prices.csv", rows, ("tenure", "plan", "price", "cost"))
    run = luthier.tune(table, target="cost", method="probe", out=str(tmp_path / "run"), **TABLE_RUN)
    assert run.metrics.task == "table-regression"
    assert run.metrics.test["classic"]["r2"].value > 0.6
    settings = {name: value for name, value in TABLE_RUN.items() if not name.startswith("table")}
    settings |= {"task": "table-as-text-regression", "model": str(text_model), "method": "probe"}
    sentences = luthier.tune(table, target="cost", out=str(tmp_path / "text"), **settings)
    row = {"tenure": 3, "plan": "gold", "price": 12.0}
    assert np.isfinite(luthier.load_model(sentences.folder).predict([row])).all()


def test_rows_without_an_answer_are_learnt_from(churn: Path, tmp_path: Path) -> None:
    rows = [[*row[:-1], "" if place % 4 == 0 else row[-1]] for place, row in enumerate(make_rows(160))]
    table = write_table(tmp_path / "some.csv", rows)
    run = luthier.tune(table, target="churn", method="probe", out=str(tmp_path / "run"), **TABLE_RUN)
    assert "40 rows without an answer among them" in decision(run, "pretraining_epochs")["reason"]
    assert decision(run, "unlabelled")["value"] == 40


def test_further_rows_without_answers_are_learnt_from_but_those_of_validation_and_test_are_not(tmp_path: Path) -> None:
    """A file with new rows, and with all rows of the table itself: of these only those of train may be learnt from."""
    rows = make_rows(100)
    table, new = write_table(tmp_path / "some.csv", rows), make_rows(60, seed=7)
    further = write_table(tmp_path / "more.csv", [row[:-1] for row in [*rows, *new]], HEADER[:-1])
    run = luthier.tune(table, target="churn", unlabelled=str(further), method="probe", out=str(tmp_path / "run"), **TABLE_RUN)
    made, split = decision(run, "unlabelled"), decision(run, "split")["value"]
    assert made["evidence"] == {"train": 0, "file": 160, "left_out": split["validation"] + split["test"]}
    assert made["value"] == 60 + split["train"]
    assert "160 rows of more.csv without an answer, less 20 that equal rows of validation or test" in made["reason"]
    pretrained = decision(run, "pretraining_epochs")["evidence"]
    assert pretrained["rows"] + pretrained["held_out"] == made["value"] + split["train"]


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        (
            {"table_pretraining_epochs": 0},
            "--table-pretraining-epochs 0 pre-trains nothing",
            "leave --unlabelled out, or",
        ),
        (
            {"task": "table-as-text-classification"},
            "learns from rows with answers only",
            "luthier adapt, which trains",
        ),
    ],
)
def test_rows_without_answers_that_nothing_would_read_are_refused(
    churn: Path, tmp_path: Path, settings: dict[str, object], problem: str, remedy: str
) -> None:
    with pytest.raises(SpecError, match=problem) as caught:
        luthier.tune(churn, target="churn", unlabelled=str(churn), out=str(tmp_path / "run"), **settings)
    assert remedy in caught.value.remedy


def test_further_rows_that_lack_a_column_are_refused_by_name(churn: Path, tmp_path: Path) -> None:
    further = write_table(tmp_path / "more.csv", [[1, "basic"]], ("tenure", "plan"))
    with pytest.raises(DataError, match="reads the columns 'price' and 'joined', which the table lacks"):
        luthier.tune(churn, target="churn", unlabelled=str(further), out=str(tmp_path / "run"), **TABLE_RUN)


class TestWrongInput:
    """What was wrong, and what to type."""

    def refused(self, table: Path, **settings: object) -> str:
        with pytest.raises((DataError, SpecError, ModelError)) as caught:
            luthier.tune(table, target="churn", out=str(table.parent / "run"), **{**TABLE_RUN, **settings})
        return f"{caught.value.problem} Try: {caught.value.remedy}"

    def test_dates_that_can_be_read_in_two_ways(self, tmp_path: Path) -> None:
        rows = [[*row[:4], f"{1 + place % 12}/{1 + place % 9}/2024", row[5]] for place, row in enumerate(make_rows(60))]
        said = self.refused(write_table(tmp_path / "t.csv", rows))
        assert "'joined' can be read with the day first or with the month first" in said
        assert "--ignore 'joined'" in said

    def test_features_that_are_no_columns_or_play_another_part(self, churn: Path) -> None:
        said = self.refused(churn, features=["tenur", "churn"])
        assert "Did you mean 'tenure'?" in said
        assert "--target and --features both name 'churn'" in said

    def test_a_text_model_for_a_table(self, churn: Path, text_model: Path) -> None:
        said = self.refused(churn, model=str(text_model))
        assert "does not read tables" in said
        assert "--task table-as-text-classification" in said

    def test_settings_of_tables_where_there_is_none(self, tickets: Path, text_model: Path) -> None:
        with pytest.raises(SpecError, match="--table-hidden-width is for tables") as caught:
            luthier.tune(tickets, target="topic", model=str(text_model), table_hidden_width=8, out="never")
        assert "leave --table-hidden-width out" in caught.value.remedy

    def test_blocks_of_a_network_that_is_not_made_yet(self, churn: Path) -> None:
        assert "--table-blocks 1" in self.refused(churn, keep_blocks=1)

    def test_costs_that_say_too_little(self, churn: Path) -> None:
        assert "--miss-cost says nothing without --false-alarm-cost" in self.refused(churn, miss_cost=3)
        said = self.refused(churn, miss_cost=3, false_alarm_cost=1, positive="maybe")
        assert "--positive names 'maybe', which is no label" in said

    def test_columns_that_give_the_answer_away(self, tmp_path: Path) -> None:
        rows = [[row[0], row[5].upper() if isinstance(row[5], str) else "", row[5]] for row in make_rows(80)]
        said = self.refused(write_table(tmp_path / "t.csv", rows, ("customer", "left", "churn")))
        assert "No column of t is left to learn from: 'left'" in said
        assert "--features left" in said


def test_mixed_types_in_a_column_are_named_by_row(tmp_path: Path) -> None:
    rows = [[*row[:3], "unknown" if place == 30 else row[3], *row[4:]] for place, row in enumerate(make_rows(80))]
    findings = luthier.check(write_table(tmp_path / "t.csv", rows), target="churn").findings
    strange = next(finding for finding in findings if finding.check == "table-columns")
    assert "1 cell of column 'price' holds no finite number (the first: 'unknown')" in strange.problem
    assert "t.csv:32" in strange.problem

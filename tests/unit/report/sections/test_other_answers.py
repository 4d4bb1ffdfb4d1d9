"""What the report says of several labels, of numbers, and of answers that it knows nothing about."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from luthier.core.storage import write_json
from luthier.evaluation.card import RunFacts, build_card
from luthier.evaluation.label_sets import label_set_predictions
from luthier.evaluation.numbers import answered_numbers, number_predictions, target_numbers
from luthier.evaluation.predictions import read_predictions, with_ids, write_predictions
from luthier.evaluation.records import Predictions
from luthier.evaluation.settings import EvaluationSettings
from luthier.report import write_report
from luthier.report.mistakes import read_mistakes
from luthier.report.records import RunRecords, read_run
from luthier.report.sections.calibration import build_calibration
from luthier.report.sections.evidence import build_evidence
from luthier.report.sections.failures import build_failures
from luthier.report.sections.summary import build_summary

LABELS = ["card", "loan", "pin"]
IDS = [f"x.csv:{row}" for row in range(60)]
DESCRIBED = {"majority": ("Mean of training", "Always answers with the mean."), "classic": ("Classic model", "A ridge.")}


def sets(noise: float) -> Predictions:
    generator = np.random.default_rng(0)
    true = generator.random((60, 3)) < (0.6, 0.3, 0.1)
    probs = np.clip(0.5 + (true - 0.5) * 0.8 + np.random.default_rng(1).normal(0, noise, true.shape), 0.01, 0.99)
    targets = [[LABELS[place] for place in np.flatnonzero(row)] for row in true]
    return label_set_predictions(example_ids=IDS, targets=targets, probs=probs, labels=LABELS)


def numbers(noise: float, lean: float = 0.0) -> Predictions:
    targets = np.linspace(1000, 9000, 60)
    answers = targets + np.random.default_rng(2).normal(lean, noise, 60)
    return number_predictions(example_ids=IDS, targets=targets, answers=answers)


def texts(right: int) -> Predictions:
    """Answers of a kind that the card and the report do not know: lists of spans."""
    columns = {
        "target": pa.array([[f"0:{row}"] for row in range(60)], pa.list_(pa.string())),
        "prediction": pa.array([[f"0:{row}"] if row < right else [] for row in range(60)], pa.list_(pa.string())),
    }
    return Predictions(table=with_ids(IDS, columns), answer_kind="spans")


def run_of(folder: Path, models: dict[str, Predictions], measures: tuple[str, ...], task: str) -> RunRecords:
    facts = RunFacts(task=task, described=DESCRIBED)
    card = build_card(models, facts, measures=measures, settings=EvaluationSettings(bootstrap_samples=300))
    write_json(folder / "metrics.json", card.metrics)
    write_predictions(folder / "predictions.parquet", models["tuned"], others=models)
    return read_run(folder)


@pytest.fixture
def of_sets(tmp_path: Path) -> RunRecords:
    models = {"majority": sets(0.8), "classic": sets(0.5), "tuned": sets(0.3)}
    return run_of(tmp_path, models, ("micro_f1", "macro_f1", "micro_precision", "micro_recall"), "text-multi-label")


@pytest.fixture
def of_numbers(tmp_path: Path) -> RunRecords:
    models = {"majority": numbers(2000), "classic": numbers(400), "tuned": numbers(150, lean=-90)}
    return run_of(tmp_path, models, ("mae", "pearson", "r2"), "text-regression")


def test_predictions_come_back_as_they_were(of_sets: RunRecords, tmp_path: Path) -> None:
    found = read_predictions(tmp_path / "predictions.parquet")
    assert set(found) == {"tuned", "majority", "classic"}
    assert (
        found["classic"]
        .table.select(["target", "prediction", "probs"])
        .equals(sets(0.5).table.select(["target", "prediction", "probs"]))
    )
    assert {said.answer_kind for said in found.values()} == {"labels"}


def test_a_model_without_a_column_shows_no_other_models(tmp_path: Path) -> None:
    tuned = numbers(1)
    more = Predictions(table=tuned.table.append_column("spread", pa.array(np.ones(60))), answer_kind="number")
    write_predictions(tmp_path / "p.parquet", more, others={"classic": tuned})
    found = read_predictions(tmp_path / "p.parquet")
    assert "spread" in found["tuned"].table.column_names
    assert found["classic"].table.column_names == tuned.table.column_names


def test_several_labels_have_a_table_counts_and_the_worst_answers(of_sets: RunRecords) -> None:
    facts = build_failures(of_sets).facts
    assert {row.label for row in facts["rows"]} == set(LABELS)
    assert facts["worst"][0] == "The worst answers"
    assert not facts["pairs"]
    assert not facts["heat"]
    counts = dict(facts["counts"])
    assert int(counts["Labels rightly given"]) + int(counts["Labels missed"]) == sum(
        int(str(row["support"])) for row in of_sets.metrics.per_class
    )
    worst = of_sets.mistakes[0]
    assert worst.note.startswith(("missed ", "wrongly gave "))
    assert worst.target != worst.prediction


def test_numbers_have_their_errors_drawn_and_told(of_numbers: RunRecords) -> None:
    facts = build_failures(of_numbers).facts
    assert "too low" in facts["errors"]["sentence"]
    assert sum(count for _, count, _, _ in facts["errors"]["bands"]) == 60
    assert [figure.startswith("<svg") for figure in facts["errors"]["figures"]] == [True, True]
    said = numbers(150, lean=-90)
    farthest = int(np.abs(answered_numbers(said) - target_numbers(said)).argmax())
    assert of_numbers.mistakes[0].example_id == IDS[farthest]
    assert "too" in of_numbers.mistakes[0].note


def test_the_summary_says_plainly_what_to_expect(of_sets: RunRecords, of_numbers: RunRecords) -> None:
    assert build_summary(of_sets).facts["plainly"].startswith("Of 100 labels that it gives, expect about")
    plainly = build_summary(of_numbers).facts["plainly"]
    assert plainly.startswith("Expect its answers to be 1")
    assert "where the truth lies between 1,000 and 9,000" in plainly
    assert "Those of the classic model are 3" in plainly


def test_a_lower_error_is_a_gain(of_numbers: RunRecords) -> None:
    facts = build_evidence(of_numbers).facts
    assert [row.name for row in facts["rows"]] == ["tuned", "classic", "majority"]
    assert facts["rows"][1].difference.startswith("+")
    assert facts["rows"][2].title == "Mean of training"
    gain = build_summary(of_numbers).facts["numbers"][1]
    assert gain.label.startswith("Gain of the tuned model against the classic model")
    assert gain.value.startswith("+")


def test_nothing_is_said_about_a_confidence_that_nobody_states(of_numbers: RunRecords) -> None:
    assert build_calibration(of_numbers) is None


def test_the_confidence_of_several_labels_is_that_of_each_label_given(of_sets: RunRecords) -> None:
    section = build_calibration(of_sets)
    assert section is not None
    assert "Over all labels that it gives the model claims" in section.facts["sentence"]
    assert sum(n for _, _, n in section.facts["points"]) == sum(int(str(row["predicted"])) for row in of_sets.metrics.per_class)
    assert not section.facts["temperature"]


def test_answers_of_an_unknown_kind_are_scored_compared_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of one's own brings its measure; the report shows what is wrong in the order of the file."""
    from luthier.evaluation.measures import MEASURES
    from luthier.evaluation.measures.accuracy import Proportion

    def is_equal(said: Predictions) -> np.ndarray:
        pairs = zip(said.table["target"].to_pylist(), said.table["prediction"].to_pylist(), strict=True)
        return np.array([target == answer for target, answer in pairs])

    measure = Proportion(name="exact_match", is_right=is_equal)
    monkeypatch.setattr(type(MEASURES), "__getitem__", lambda family, name: measure)
    run = run_of(tmp_path, {"classic": texts(30), "tuned": texts(50)}, ("exact_match",), "spans")
    monkeypatch.undo()
    assert not run.metrics.per_class
    assert not run.metrics.calibration
    assert [mistake.example_id for mistake in read_mistakes(tmp_path / "predictions.parquet", most=2)] == IDS[50:52]
    assert (run.mistakes[0].target, run.mistakes[0].prediction) == ("0:50", "none")
    page = write_report(tmp_path, title="spans", examples={}).read_text(encoding="utf-8")
    assert "Wrong answers" in page
    assert "confidence be believed" not in page

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from luthier.core.process import Cost
from luthier.core.records import to_plain
from luthier.core.storage import write_json
from luthier.errors import DataError, SpecError
from luthier.evaluation.card import EvidenceCard, RunFacts, build_card, read_metrics
from luthier.evaluation.compare import compare
from luthier.evaluation.intervals import score
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.predictions import classification_predictions, read_predictions, write_predictions
from luthier.evaluation.records import Metrics, Predictions
from luthier.evaluation.settings import EvaluationSettings

LABELS = ["card", "loan", "rate"]
SETTINGS = EvaluationSettings(bootstrap_samples=300)
MEASURED = ("accuracy", "macro_f1", "log_loss")
NUM_ROWS = 300


def model(share_right: float, *, prob: float | None = None, groups: list[str] | None = None) -> Predictions:
    """Examples have a difficulty; a model gets those right that are easy enough for it, and knows how often it is right."""
    prob = max(share_right, 0.4) if prob is None else prob
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 3, NUM_ROWS)
    said = np.where(generator.random(NUM_ROWS) < share_right, targets, (targets + 1) % 3)
    probs = np.full((NUM_ROWS, 3), (1 - prob) / 2)
    probs[np.arange(NUM_ROWS), said] = prob
    return classification_predictions(
        example_ids=[f"mails.csv:{place}" for place in range(NUM_ROWS)],
        targets=[LABELS[target] for target in targets],
        probs=probs,
        labels=LABELS,
        groups=groups,
    )


def all_models() -> dict[str, Predictions]:
    shares = {"tuned": 0.95, "probe": 0.85, "pretrained": 0.6, "classic": 0.7, "majority": 0.3}
    return {name: model(share) for name, share in shares.items()}


def cost(seconds: float) -> Cost:
    return Cost(cpu_seconds=seconds, wall_seconds=seconds, peak_memory_bytes=1)


FACTS = RunFacts(
    task="text-classification",
    absent={"scratch": "not asked for: --compare-scratch"},
    cost={"majority": cost(0), "classic": cost(4), "pretrained": cost(22), "probe": cost(24), "tuned": cost(250)},
    seeds=[0],
)


@pytest.fixture(scope="module")
def card() -> EvidenceCard:
    return build_card(all_models(), FACTS, measures=MEASURED, settings=SETTINGS)


def test_metrics_have_the_keys_of_the_format(card: EvidenceCard) -> None:
    plain = to_plain(card.metrics)
    promised = {
        "schema_version",
        "task",
        "primary_measure",
        "directions",
        "verdict",
        "verdict_reason",
        "n",
        "test",
        "comparisons",
    }
    assert promised | {"retained", "seeds", "absent", "cost"} <= set(plain)
    assert {"value", "low", "high"} == set(plain["test"]["tuned"]["accuracy"])
    assert {"a", "b", "measure", "difference", "low", "high", "p", "test"} <= set(plain["comparisons"][0])
    assert plain["directions"] == {"accuracy": "higher", "macro_f1": "higher", "log_loss": "lower"}
    assert plain["n"] == NUM_ROWS


def test_tuned_is_compared_with_every_other_model(card: EvidenceCard) -> None:
    pairs = {(item.a, item.b) for item in card.metrics.comparisons}
    assert pairs == {("tuned", other) for other in ("majority", "classic", "pretrained", "probe")}
    assert all(item.p_holm >= item.p for item in card.metrics.comparisons)


def test_the_card_says_what_the_single_functions_say(card: EvidenceCard) -> None:
    models = all_models()
    alone = score(models["probe"], [MEASURES[name] for name in MEASURED], samples=300)
    assert card.metrics.test["probe"] == alone
    pair = compare(models["tuned"], models["probe"], MEASURES["accuracy"], samples=300)
    shown = next(item for item in card.metrics.comparisons if item.b == "probe")
    assert (shown.difference, shown.low, shown.high, shown.p) == (pair.difference, pair.low, pair.high, pair.p)


def test_the_card_is_recomputable_from_the_predictions_file(card: EvidenceCard, tmp_path: Path) -> None:
    models = all_models()
    write_predictions(tmp_path / "predictions.parquet", models["tuned"], others=models)
    again = build_card(read_predictions(tmp_path / "predictions.parquet"), FACTS, measures=MEASURED, settings=SETTINGS)
    assert to_plain(again.metrics) == to_plain(card.metrics)


def test_metrics_come_back_from_their_file(card: EvidenceCard, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", card.metrics)
    back = read_metrics(tmp_path / "metrics.json")
    assert isinstance(back, Metrics)
    assert str(EvidenceCard(metrics=back)) == str(card)


def test_the_text_fits_and_shows_models_from_cheap_to_tuned(card: EvidenceCard) -> None:
    lines = str(card).splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line.removeprefix("▸").split()[0] for line in lines if line[:1] in "▸ " and line[:1] and line[2:3].strip()]
    assert [row for row in rows if row in FACTS.cost] == [
        "majority",
        "classic",
        "pretrained",
        "probe",
        "tuned",
        "tuned",
        "tuned",
    ]


def test_the_text_has_scores_gains_costs_and_the_verdict(card: EvidenceCard) -> None:
    text = str(card)
    tuned = next(line for line in text.splitlines() if line.startswith("▸ tuned"))
    interval = card.metrics.test["tuned"]["accuracy"]
    assert f"{100 * interval.value:.1f} %" in tuned
    assert f"{100 * interval.low:.1f} – {100 * interval.high:.1f}" in tuned
    assert tuned.endswith("4 min 10 s")
    classic = next(line for line in text.splitlines() if line.startswith("  classic"))
    gain = next(item for item in card.metrics.comparisons if item.b == "classic")
    assert f"{100 * gain.difference:+.1f}  < 0.001" in classic
    assert "300 test examples" in text
    assert "scratch (not asked for: --compare-scratch)" in text
    assert "VERDICT · Keep\n  tuned (accuracy" in text
    assert "McNemar's exact test, corrected for 4 comparisons (Holm)" in " ".join(text.split())


def test_wide_tables_lose_the_bar_first(card: EvidenceCard) -> None:
    narrow = build_card(all_models(), FACTS, measures=("accuracy",), settings=SETTINGS)
    assert "█" in str(narrow)
    assert "█" not in str(card)
    assert "log loss" in str(card)


def test_a_recommendation_other_than_tuned_is_marked() -> None:
    models = all_models() | {"tuned": model(0.85)}
    text = str(build_card(models, FACTS, measures=("accuracy",), settings=SETTINGS))
    assert "VERDICT · Keep with care" in text
    assert "\n▸ probe" in text
    assert "Recommended: probe (▸) instead of tuned." in text


def test_where_lower_is_better_the_gain_is_how_much_tuned_lowers() -> None:
    found = build_card(all_models(), FACTS, measures=("log_loss", "accuracy"), settings=SETTINGS)
    assert found.metrics.verdict == "keep"
    assert "tuned lowers" in str(found)
    assert all(item.difference < 0 for item in found.metrics.comparisons)


def test_a_probe_run_is_judged_against_the_untuned_ones() -> None:
    models = {name: said for name, said in all_models().items() if name != "probe"}
    facts = RunFacts(task="t", absent={"probe": "only the head was trained: tuned is a probe"})
    found = build_card(models, facts, measures=("accuracy",), settings=SETTINGS).metrics
    assert found.verdict == "keep"
    assert found.absent == {
        "probe": "only the head was trained: tuned is a probe",
        "scratch": "not measured in this run",
    }


def test_groups_are_the_unit_of_the_card() -> None:
    groups = [f"user {place // 10}" for place in range(NUM_ROWS)]
    models: Mapping[str, Predictions] = {"classic": model(0.7, groups=groups), "tuned": model(0.95, groups=groups)}
    found = build_card(models, FACTS, measures=("accuracy",), settings=SETTINGS)
    assert found.metrics.num_units == 30
    assert "300 test examples in 30 groups" in str(found)
    assert found.metrics.comparisons[0].test == "paired randomisation"


def test_calibration_that_got_worse_than_the_probes_calls_for_care() -> None:
    # Right in 85 and 95 % of cases: the probe says 85 %, the tuned model 60 %.
    models = all_models() | {"probe": model(0.85, prob=0.85), "tuned": model(0.95, prob=0.6)}
    found = build_card(models, FACTS, measures=("accuracy",), settings=SETTINGS).metrics
    assert found.verdict == "keep with care"
    assert "calibration error" in found.verdict_reason
    generous = SETTINGS.model_copy(update={"calibration_limit": 0.5})
    assert build_card(models, FACTS, measures=("accuracy",), settings=generous).metrics.verdict == "keep"


def test_the_record_holds_classes_confusion_and_calibration(card: EvidenceCard) -> None:
    metrics = card.metrics
    assert [row["label"] for row in metrics.per_class] == LABELS
    assert sum(map(sum, metrics.confusion)) == NUM_ROWS
    assert sum(metrics.confusion[place][place] for place in range(3)) == pytest.approx(
        NUM_ROWS * metrics.test["tuned"]["accuracy"].value
    )
    assert {"expected_calibration_error", "curve"} == set(metrics.calibration["tuned"])  # type: ignore[call-overload]


def test_a_card_without_the_tuned_model_is_refused() -> None:
    with pytest.raises(DataError, match="tuned model"):
        build_card({"classic": model(0.7)}, FACTS, measures=("accuracy",), settings=SETTINGS)


def test_a_misspelt_measure_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean 'accuracy'"):
        build_card(all_models(), FACTS, measures=("acuracy",), settings=SETTINGS)


def test_evaluation_imports_neither_torch_nor_scikit_learn_nor_scipy() -> None:
    code = (
        "import sys, luthier.evaluation.card, luthier.evaluation.baselines, luthier.evaluation.measures as m;"
        "list(map(m.MEASURES.__getitem__, m.MEASURES));"
        "print(sorted({'torch', 'transformers', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"

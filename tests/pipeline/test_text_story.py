"""From a table to a tuned model: what is learnt, what is decided, and that the same spec gives the same weights."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from safetensors.numpy import load_file

import luthier
from luthier.core.progress import Quiet
from luthier.pipeline import Run, plan
from luthier.spec import build_spec
from luthier.testing.folders import tiny_text_model

from .conftest import TEXT_RUN, make_texts, write_csv


def decisions_of(run: Run) -> dict[str, dict[str, object]]:
    lines = (run.folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines()
    return {decision["name"]: decision for decision in map(json.loads, lines)}


def test_a_table_becomes_a_model_that_beats_chance(text_run: Run) -> None:
    test = text_run.metrics.test
    assert test["tuned"]["accuracy"].low > test["majority"]["accuracy"].high
    assert {"majority", "classic", "pretrained", "tuned"} <= set(test)
    assert text_run.metrics.n == 30


def test_rows_of_validation_with_a_label_that_train_never_saw_choose_no_probe(text_model: Path, tmp_path: Path) -> None:
    """They cannot be answered rightly, so the probe's penalty is chosen without them; they count as wrong all the same."""
    rows = make_texts(60, seed=0)
    strange = [(f"nobody has ever said number {number}", "unheard of") for number in range(5)]
    parts = {"train": rows[:40], "validation": [*rows[40:50], *strange], "test": rows[50:]}
    for name, part in parts.items():
        write_csv(tmp_path / f"{name}.csv", part)
    given = {name: str(tmp_path / f"{name}.csv") for name in parts}
    run = luthier.tune(
        (), **given, target="topic", model=str(text_model), method="probe", out=str(tmp_path / "run"), **TEXT_RUN
    )
    assert run.metrics.n == 10
    assert 0 < run.metrics.validation["probe"] <= 10 / 15


def test_every_choice_is_written_down_with_its_reason(text_run: Run) -> None:
    decisions = decisions_of(text_run)
    assert {"target", "text", "task", "split", "name", "device", "precision", "threads", "max_length", "method"} <= set(
        decisions
    )
    assert all(decision["reason"] for decision in decisions.values())
    assert set(decisions["method"]["evidence"]) >= {"probe", "top-blocks:1"}


def test_the_model_answers_from_python(text_run: Run) -> None:
    model = luthier.load_model(text_run.model_path)
    assert model.labels == ("billing", "delivery", "device")
    answers = model.predict(["the refund payment card amount", "my parcel courier late tracking", "battery broken screen heat"])
    assert answers == ["billing", "delivery", "device"]
    assert np.allclose(model.predict_probs(["hello", "help"]).sum(axis=1), 1, atol=1e-5)
    assert model.predict([]) == []


@pytest.fixture(scope="module")
def rerun(text_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec = luthier.load_spec(text_run.folder / "spec.yaml")
    return luthier.tune(spec, out=str(tmp_path_factory.mktemp("again") / "run"))


def test_the_spec_of_a_run_gives_the_same_weights_again(text_run: Run, rerun: Run) -> None:
    for name in ("model.safetensors", "head.safetensors"):
        first, second = load_file(text_run.model_path / name), load_file(rerun.model_path / name)
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key], second[key]) for key in first)
    assert (text_run.folder / "predictions.parquet").read_bytes() == (rerun.folder / "predictions.parquet").read_bytes()
    first, second = (json.loads((run.folder / "metrics.json").read_text()) for run in (text_run, rerun))
    assert {**first, "cost": 0} == {**second, "cost": 0}


def test_the_spec_leaves_nothing_to_guess(text_run: Run) -> None:
    spec = luthier.load_spec(text_run.folder / "spec.yaml")
    assert (spec.task, spec.data.target, spec.data.text) == ("text-classification", "topic", "message")
    assert (spec.training.device, spec.training.precision, spec.training.threads) == ("cpu", "float32", 1)
    assert spec.model.max_length is not None


def test_a_given_test_file_is_scored_whole_and_cleaned_out_of_train(text_model: Path, tmp_path: Path) -> None:
    rows = make_texts(160, seed=3)
    write_csv(tmp_path / "train.csv", rows)
    write_csv(tmp_path / "test.csv", [*rows[:5], *make_texts(40, seed=4)])
    out = tmp_path / "run"
    run = luthier.tune(tmp_path, target="topic", model=str(text_model), out=str(out), method="probe", **TEXT_RUN)
    assert run.metrics.n == 45
    findings = json.loads((out / "findings.json").read_text())
    assert [removal["count"] for removal in findings["removals"] if removal["check"] == "overlap"] == [5]
    split = parquet.read_table(out / "split.parquet")
    trained = set(split.filter(pa.compute.not_equal(split["part"], "test"))["example_id"].to_pylist())
    assert trained.isdisjoint(f"train.csv:{line}" for line in range(2, 7))


def test_refit_learns_from_validation_too_and_keeps_the_choice(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    settings = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "top-blocks:1"}
    plain = luthier.tune(tickets, out=str(tmp_path / "plain"), **settings)
    again = luthier.tune(tickets, out=str(tmp_path / "refit"), refit=True, **settings)
    assert plain.metrics.validation == again.metrics.validation
    assert plain.metrics.test["probe"] == again.metrics.test["probe"]
    heads = [load_file(run.model_path / "head.safetensors")["linear.weight"] for run in (plain, again)]
    assert not np.array_equal(*heads)
    journal = [json.loads(line) for line in (again.folder / "journal.jsonl").read_text().splitlines()]
    finished = next(event for event in journal if event["event"] == "refit_finished")
    assert (finished["rows"], finished["rung"]) == (270, "top-blocks:1")
    steps = [event for event in journal if event["event"] == "refit_step"]
    best = next(event for event in journal if event["event"] == "rung_finished" and event["rung"] == "top-blocks:1")[
        "best_step"
    ]
    assert len(steps) == round(best / 8 * 9)  # 240 rows are 8 batches of 32, 270 rows are 9
    decision = decisions_of(again)["refit"]
    assert "validation are those from before" in decision["reason"]
    assert "refit" not in decisions_of(plain)


def test_refit_of_a_probe_keeps_its_penalty_and_moves_no_backbone(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    settings = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "probe"}
    plain = luthier.tune(tickets, out=str(tmp_path / "plain"), **settings)
    again = luthier.tune(tickets, out=str(tmp_path / "refit"), refit=True, **settings)
    assert (plain.model_path / "model.safetensors").read_bytes() == (again.model_path / "model.safetensors").read_bytes()
    assert (plain.model_path / "head.safetensors").read_bytes() != (again.model_path / "head.safetensors").read_bytes()


def journal_of(run: Run) -> list[dict[str, object]]:
    events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
    return [{**event, "cost": 0, "memory": 0} for event in events if event["event"] != "memory_predicted"]


@pytest.fixture(scope="module")
def one_epoch(text_model: Path) -> dict[str, object]:
    return {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "top-blocks:1", "num_epochs": 1}


@pytest.fixture(scope="module")
def unchanged(one_epoch: dict[str, object], tickets: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The journal of a run with the settings as they are."""
    return journal_of(luthier.tune(tickets, out=str(tmp_path_factory.mktemp("plain") / "run"), **one_epoch))


def test_a_run_repeats_itself_to_the_last_bit_of_its_losses(
    one_epoch: dict[str, object], unchanged: list[dict[str, object]], tickets: Path, tmp_path: Path
) -> None:
    assert journal_of(luthier.tune(tickets, out=str(tmp_path / "run"), **one_epoch)) == unchanged


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropout", 0.5),
        ("label_smoothing", 0.3),
        ("loss", "focal"),
        ("ewc", 1e4),
        ("mixup", 0.4),
        ("sampling", "balanced"),
        ("weight_decay", 10.0),
        ("max_gradient_norm", 0.01),
        ("schedule", "cosine"),
        ("warmup_fraction", 0.9),
        ("batch_size", 8),
        ("head_learning_rate", 0.1),
        ("store", "int8"),
        ("seed", 3),
        ("head_pooling", "first"),
        ("max_length", 8),
        ("evaluations_per_epoch", 1),
    ],
)
def test_every_setting_of_training_changes_what_is_learnt(
    name: str, value: object, one_epoch: dict[str, object], unchanged: list[dict[str, object]], tickets: Path, tmp_path: Path
) -> None:
    run = luthier.tune(tickets, out=str(tmp_path / "run"), **(one_epoch | {name: value}))
    assert journal_of(run) != unchanged


def test_micro_batches_change_memory_and_not_the_losses(one_epoch: dict[str, object], tickets: Path, tmp_path: Path) -> None:
    losses = []
    for size in (32, 5):
        settings = one_epoch | {"micro_batch": size, "dropout": 0.0}  # masks of dropout are drawn for each micro-batch
        journal = journal_of(luthier.tune(tickets, out=str(tmp_path / str(size)), **settings))
        losses.append([event["loss"] for event in journal if event["event"] == "step"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_patience_ends_a_training_that_gains_nothing(one_epoch: dict[str, object], tickets: Path, tmp_path: Path) -> None:
    settings = one_epoch | {"num_epochs": 30, "patience": 1, "learning_rate": 1e-9, "head_learning_rate": 1e-9}
    journal = journal_of(luthier.tune(tickets, out=str(tmp_path / "run"), **settings))
    assert sum(event["event"] == "evaluation" for event in journal) == 2
    assert journal[-1]["stopped_early"]


def test_a_spent_budget_ends_the_ladder_after_the_first_rung(
    one_epoch: dict[str, object], tickets: Path, tmp_path: Path
) -> None:
    settings = one_epoch | {"method": "auto", "budget": 0.001}
    journal = journal_of(luthier.tune(tickets, out=str(tmp_path / "run"), **settings))
    assert [event["rung"] for event in journal if event["event"] == "rung_finished"] == ["probe", "top-blocks:1"]


def test_max_rows_draws_some_rows_with_the_seed(one_epoch: dict[str, object], tickets: Path, tmp_path: Path) -> None:
    settings = one_epoch | {"method": "probe", "max_rows": 100}
    drawn = []
    for name, seed in (("first", 0), ("same", 0), ("other", 1)):
        run = luthier.tune(tickets, out=str(tmp_path / name), **(settings | {"seed": seed}))
        drawn.append(set(parquet.read_table(run.folder / "split.parquet").column("example_id").to_pylist()))
    assert [len(ids) for ids in drawn] == [100, 100, 100]
    assert drawn[0] == drawn[1] != drawn[2]


def test_groups_stay_together_and_are_what_is_resampled(one_epoch: dict[str, object], tmp_path: Path) -> None:
    rows = [(text, f"{label},user{place // 4}") for place, (text, label) in enumerate(make_texts(240))]
    source = write_csv(tmp_path / "tickets.csv", rows, header="message,topic,user")
    run = luthier.tune(source, out=str(tmp_path / "run"), group="user", **(one_epoch | {"method": "probe"}))
    parts: dict[int, set[str]] = {}
    for row in parquet.read_table(run.folder / "split.parquet").to_pylist():
        line = int(row["example_id"].rpartition(":")[2])
        parts.setdefault((line - 2) // 4, set()).add(row["part"])
    assert all(len(found) == 1 for found in parts.values())
    assert run.metrics.num_units == sum(found == {"test"} for found in parts.values())
    assert run.metrics.num_units < run.metrics.n


def test_a_plan_trains_nothing_and_writes_nothing(tickets: Path, text_model: Path, tmp_path: Path, cache: Path) -> None:
    before = sorted(cache.rglob("*"))
    out = tmp_path / "run"
    spec = build_spec(tickets, target="topic", model=str(text_model), out=str(out), threads=1)
    made = plan(spec, observer=Quiet())
    assert not out.exists()
    assert not any("already holds" in worry for worry in made.worries)
    assert sorted(cache.rglob("*")) == before
    assert [name for name, _, _ in made.steps] == ["measure before", "train top-blocks:1", "train full", "measure after"]
    assert all(seconds > 0 for _, _, seconds in made.steps)
    assert {decision.name for decision in made.decisions} >= {"target", "split", "store", "method"}


def test_a_plan_names_what_is_worrying(tmp_path: Path) -> None:
    rows = [(f"{text} write to jo{place}@example.org", label) for place, (text, label) in enumerate(make_texts(60))]
    rows += [(text, "rare") for text, _ in make_texts(3, seed=9)]
    model = tiny_text_model(tmp_path / "nc", licence="cc-by-nc-4.0")
    made = plan(build_spec(write_csv(tmp_path / "few.csv", rows), target="topic", model=str(model), threads=1))
    worries = " ".join(made.worries)
    assert "cc-by-nc-4.0, which does not allow commercial use" in worries
    train = next(decision.value["train"] for decision in made.decisions if decision.name == "split")
    assert f"Only {train} rows to learn from" in worries
    assert "'rare'" in worries
    test = next(decision.value["test"] for decision in made.decisions if decision.name == "split")
    assert f"about ±{100 / test**0.5:.0f} points" in worries
    assert "personal data" in worries
    assert made.memory_bytes > 50_000_000
    assert made.disk_bytes > 2_000_000


@pytest.mark.shared_data
def test_banking77_probe_is_far_above_chance(shared: Path, tmp_path: Path) -> None:
    table = csv.read_csv(shared / "data" / "banking77" / "train.csv")
    some = np.random.default_rng(0).choice(table.num_rows, 900, replace=False)
    csv.write_csv(table.take(some), tmp_path / "some.csv")
    settings = {"method": "probe", "rare_classes": "drop", "threads": 1, "bootstrap_samples": 200}
    run = luthier.tune(tmp_path / "some.csv", out=str(tmp_path / "run"), **settings)
    assert len(luthier.load_model(run.model_path).labels) > 70
    assert run.metrics.test["tuned"]["accuracy"].value > 0.6

"""Sources mixed by weight, from the files to the card: weights draw, and change nothing that is scored."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import luthier
from luthier.cli.main import run as command
from luthier.errors import SpecError
from luthier.features.probe import fit_probe
from luthier.pipeline import Run

QUICK = {"num_epochs": 1, "threads": 1, "bootstrap_samples": 200, "preflight": False}
WORDS = {"parcel": ("late parcel", "lost courier", "broken box"), "money": ("refund please", "wrong invoice", "paid twice")}


def write_texts(folder: Path) -> list[Path]:
    """Two sources: a table with many rows, and lines of JSON with few."""
    rng = np.random.default_rng(0)

    def row(place: int) -> dict[str, str]:
        label = ("parcel", "money")[place % 2]
        return {"text": f"{WORDS[label][int(rng.integers(3))]} number {place}", "label": label}

    with (folder / "mail.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label", "clerk"])
        writer.writeheader()
        writer.writerows({**row(place), "clerk": "x"} for place in range(120))
    lines = [json.dumps(row(place)) for place in range(1000, 1040)]
    (folder / "chat.jsonl").write_text("\n".join(lines) + "\n")
    return [folder / "mail.csv", folder / "chat.jsonl"]


@pytest.fixture(scope="module")
def mixed_run(text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("mixed")
    mail, chat = write_texts(folder)
    sources = [f"{mail}:1", f"{chat}:1"]
    return luthier.tune(
        sources, target="label", text="text", model=str(text_model), method="top-blocks:1", out=str(folder / "run"), **QUICK
    )


def test_the_run_says_how_sources_are_drawn_and_what_they_do_not_share(mixed_run: Run) -> None:
    made = [json.loads(line) for line in (mixed_run.folder / "decisions.jsonl").read_text().splitlines()]
    mixture = next(decision for decision in made if decision["name"] == "mixture")
    assert mixture["value"] == {"mail.csv": 0.5, "chat.jsonl": 0.5}
    assert "chat.jsonl 50% of the draws, 24% of the rows" in mixture["reason"]
    findings = json.loads((mixed_run.folder / "findings.json").read_text())["findings"]
    assert any("'clerk' is not in chat.jsonl" in finding["problem"] for finding in findings)


def test_each_source_has_its_score_on_the_card_and_in_the_report(mixed_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = mixed_run.metrics
    assert {item.source for item in metrics.by_source} == {"mail.csv", "chat.jsonl"}
    assert sum(item.n for item in metrics.by_source) == metrics.n  # every test row once: weights draw nothing here
    for model, scores in metrics.test.items():
        right = sum(item.n * item.scores[model].value for item in metrics.by_source)
        assert right / metrics.n == pytest.approx(scores["accuracy"].value)
    assert "BY SOURCE · accuracy" in str(mixed_run.card)
    assert "mail.csv (" in str(mixed_run.card)
    page = (mixed_run.folder / "report.html").read_text()
    assert "<h3>By source</h3>" in page
    assert "chat.jsonl" in page


def test_a_spec_in_yaml_mixes_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    for name, count in (("north", 80), ("south", 40)):
        rows = [f"{rng.normal():.3f},{rng.gamma(2):.3f},{('yes', 'no')[place % 2]}" for place in range(count)]
        (tmp_path / f"{name}.csv").write_text("size,age,left\n" + "\n".join(rows) + "\n")
    (tmp_path / "spec.yaml").write_text(
        f"sources: ['{tmp_path}/north.csv:1', '{tmp_path}/south.csv:2']\ndata: {{target: left}}\n"
        "model: {table: {pretraining_epochs: 1, hidden_width: 8, blocks: 1}}\n"
        f"training: {{method: probe, threads: 1, preflight: false}}\noutput: {{out: '{tmp_path}/run'}}\n"
    )
    assert command(["tune", str(tmp_path / "spec.yaml")]) in (0, 3)
    shown = " ".join("".join(capsys.readouterr()).split())
    assert "south.csv 67% of the draws, 33% of the rows" in shown
    assert "south.csv (" in shown


def test_weights_and_balanced_sampling_exclude_each_other(tmp_path: Path) -> None:
    mail, chat = write_texts(tmp_path)
    with pytest.raises(SpecError, match="both say how rows are drawn") as caught:
        luthier.tune([f"{mail}:1", f"{chat}:2"], target="label", sampling="balanced", out=str(tmp_path / "run"))
    assert "--class-weights balanced" in caught.value.remedy


@pytest.mark.parametrize("loss", ["cross-entropy", "binary", "squared"])
def test_a_probe_with_weights_is_one_on_rows_repeated(loss: str) -> None:
    """A row that weighs two counts as two rows."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 3)).astype(np.float32)
    features -= features.mean(0)
    targets = np.where(features[:, 0] + rng.normal(size=40) > 0, 1, 0)
    answers = targets if loss == "cross-entropy" else np.stack([targets, 1 - targets], axis=1).astype(np.float32)
    weights = np.repeat([2.0, 1.0], 20)
    settings = {"num_outputs": 2, "normalize": False, "loss": loss, "penalties": (0.1,)}
    weighted = fit_probe((features, answers), (features, answers), row_weights=weights, **settings)
    rows = np.repeat(np.arange(40), weights.astype(int))
    repeated = fit_probe((features[rows], answers[rows]), (features, answers), **settings)
    found, expected = (probe.logits(features) for probe in (weighted, repeated))
    plain = fit_probe((features, answers), (features, answers), **settings).logits(features)
    assert np.abs(found - expected).max() < 0.3 * np.abs(plain - expected).max()

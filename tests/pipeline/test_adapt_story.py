"""Language models adapted to texts: masked and causal, what they forget, and that the folder is a plain one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

import luthier
from luthier.cli.main import run as command
from luthier.core.progress import Quiet
from luthier.errors import DataError, ModelError, SpecError
from luthier.pipeline import Run
from luthier.pipeline.run_folder import SPEC
from luthier.spec import load_spec
from luthier.testing.folders import tiny_text_model
from luthier.testing.language_folders import tiny_language_folder

from .conftest import make_texts, write_csv

SEA = ["the", "ship", "left", "harbour", "at", "dawn", "with", "salt", "rope", "and", "crew"]
LAND = ["a", "farmer", "ploughs", "heavy", "fields", "below", "old", "hills", "near", "wide", "woods"]
FAST = {
    "method": "full", "num_epochs": 3, "learning_rate": 1e-2, "batch_size": 8, "threads": 1, "precision": "float32",
    "bootstrap_samples": 200, "preflight": False,
}  # fmt: skip
MASKED, CAUSAL = ("bert", "distilbert", "modernbert"), ("gpt2", "llama", "qwen2")
FAMILIES = dict.fromkeys(MASKED, AutoModelForMaskedLM) | dict.fromkeys(CAUSAL, AutoModelForCausalLM)


def sentences(words: list[str], number: int, *, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(words, generator.integers(6, 40))) + f" {row}." for row in range(number)]


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "sea.txt"
    path.write_text("\n\n".join(sentences(SEA, 60, seed=0)))
    return path


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("land")
    for number, text in enumerate(sentences(LAND, 25, seed=1)):
        (folder / f"{number}.txt").write_text(text)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    texts = sentences([*SEA, *LAND], 40, seed=2)
    return {family: tiny_language_folder(folder / family, family, texts=texts) for family in (*FAMILIES, "t5")}


@pytest.fixture(scope="module")
def runs(sea: Path, land: Path, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        family: luthier.adapt(sea, model=str(models[family]), general=str(land), out=str(folder / family), **FAST)
        for family in FAMILIES
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_the_domain_is_told_better_and_both_perplexities_stand_on_the_card(runs: dict[str, Run], family: str) -> None:
    metrics = runs[family].metrics
    assert metrics.primary_measure == "perplexity"
    assert set(metrics.test) == {"majority", "classic", "pretrained", "tuned"}
    assert metrics.test["tuned"]["perplexity"].value < 0.8 * metrics.test["pretrained"]["perplexity"].value
    assert set(metrics.retained) == {"pretrained", "tuned"}
    for interval in (scores["perplexity"] for scores in metrics.retained.values()):
        assert interval.low < interval.value < interval.high
    assert "General texts (25 texts of land" in str(runs[family].card)
    page = (runs[family].folder / "report.html").read_text()
    assert "What it could do before" in page
    assert "The texts told worst" in page


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_loads_in_transformers_and_tells_texts_as_it_does_here(runs: dict[str, Run], family: str) -> None:
    model = luthier.load_model(runs[family].model_path)
    network = FAMILIES[family].from_pretrained(runs[family].model_path).eval()
    ids = model.processor.encode(["the ship left harbour at dawn"]).ids.astype(np.int64)
    batch = {"input_ids": torch.from_numpy(ids)[None], "attention_mask": torch.ones(1, len(ids), dtype=torch.int64)}
    with torch.no_grad():
        there = network(**batch).logits
        here = model._backbone(batch).hidden
    assert torch.allclose(there, here, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_tied_weights_stay_one_tensor_and_are_saved_once(runs: dict[str, Run], family: str) -> None:
    network = FAMILIES[family].from_pretrained(runs[family].model_path)
    if family == "llama":  # which brings a head of its own
        assert network.get_output_embeddings().weight is not network.get_input_embeddings().weight
        return
    table = network.get_input_embeddings().weight
    assert network.get_output_embeddings().weight is table
    with safe_open(runs[family].model_path / "model.safetensors", "pt") as file:
        saved = [name for name in file.keys() if file.get_slice(name).get_shape() == list(table.shape)]  # noqa: SIM118
        assert len(saved) == 1
        assert torch.equal(file.get_tensor(saved[0]), table)


def test_it_answers_with_perplexities_from_python_and_the_command_line(
    runs: dict[str, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = luthier.load_model(runs["gpt2"].model_path)
    sea, land, nothing = model.predict(["the ship left harbour at dawn", "wide woods near old hills", ""])
    assert sea < land
    assert nothing is None or nothing > 0
    table = tmp_path / "new.csv"
    table.write_text("text\nthe ship left\na farmer\n")
    out = tmp_path / "told.jsonl"
    assert command(["predict", str(runs["gpt2"].model_path), str(table), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows[0]["perplexity"] < rows[1]["perplexity"]
    assert {"token_loss", "tokens"} <= set(rows[0])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "sea.txt").write_text("the ship left")
    (tmp_path / "new" / "land.txt").write_text("a farmer")
    assert command(["predict", str(runs["gpt2"].model_path), str(tmp_path / "new"), "--out", str(out)]) == 0
    told = {row["document"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert told["sea.txt"]["perplexity"] == pytest.approx(rows[0]["perplexity"])
    capsys.readouterr()


def test_the_card_says_how_to_load_it_and_what_the_hub_calls_it(runs: dict[str, Run]) -> None:
    for family, (task, auto) in {"bert": ("fill-mask", "MaskedLM"), "gpt2": ("text-generation", "CausalLM")}.items():
        card = (runs[family].model_path / "README.md").read_text()
        assert f"pipeline_tag: {task}\n" in card
        assert f"`transformers.AutoModelFor{auto}.from_pretrained`" in card
        assert "head.safetensors" not in card


def test_the_adapted_encoder_is_tuned_on_labels(runs: dict[str, Run], tmp_path: Path) -> None:
    tickets = write_csv(tmp_path / "tickets.csv", make_texts(60, seed=0))
    run = luthier.tune(
        tickets, target="topic", text="message", model=str(runs["bert"].model_path), **{**FAST, "method": "probe"},
        out=str(tmp_path / "run"),
    )  # fmt: skip
    assert run.metrics.task == "text-classification"
    assert "probe" in run.metrics.test or run.metrics.recommended
    config = json.loads((run.model_path / "config.json").read_text())
    assert config["architectures"] == ["BertModel"]


def test_the_spec_of_a_run_is_one_of_texts_alone(runs: dict[str, Run]) -> None:
    spec = load_spec(runs["bert"].folder / SPEC)
    assert spec.task == "masked-language-modeling"
    assert spec.data.general is not None
    again = luthier.check(spec)
    assert again.roles["text"] == again.roles["target"] == "text"


def test_the_store_changes_no_loss_of_a_causal_model(sea: Path, models: dict[str, Path], tmp_path: Path) -> None:
    losses = {}
    for store in ("float32", "off"):
        asked = {**FAST, "method": "top-blocks:1", "num_epochs": 1, "store": store}
        run = luthier.adapt(sea, model=str(models["gpt2"]), out=str(tmp_path / store), **asked)
        events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
        losses[store] = [event["loss"] for event in events if event["event"] == "step"]
        assert decisions(run)["store"]["value"] == store
    assert len(losses["off"]) > 3
    assert losses["float32"] == pytest.approx(losses["off"], abs=1e-5)


def decisions(run: Run) -> dict[str, dict[str, object]]:
    lines = (run.folder / "decisions.jsonl").read_text().splitlines()
    return {decision["name"]: decision for decision in map(json.loads, lines)}


@pytest.mark.parametrize("method", ["top-blocks:1", "lora:2", "gradual"])
def test_a_masked_model_hides_other_words_in_each_epoch_so_that_nothing_is_stored(
    method: str, sea: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    asked = {**FAST, "method": method, "num_epochs": 2}
    run = luthier.adapt(sea, model=str(models["modernbert"]), out=str(tmp_path / "run"), **asked)
    made = decisions(run)["store"]
    assert made["value"] == "off"
    assert "other words are hidden in each epoch" in str(made["reason"]) or "no rung trains" in str(made["reason"])
    assert decisions(run)["general"]["value"] is None
    assert "not measured" in str(run.card)


class Killed(BaseException):
    """The process ends here."""


class Killer(Quiet):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def advance(self, amount: int = 1, text: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def test_a_killed_adaptation_goes_on_to_the_same_weights(sea: Path, models: dict[str, Path], tmp_path: Path) -> None:
    asked = {**FAST, "model": str(models["bert"]), "checkpoint_seconds": 0}
    whole = luthier.adapt(sea, out=str(tmp_path / "whole"), **asked)
    with pytest.raises(Killed):
        luthier.adapt(sea, out=str(tmp_path / "killed"), observer=Killer(11), **asked)
    resumed = luthier.resume(tmp_path / "killed")
    weights = [(run.model_path / "model.safetensors").read_bytes() for run in (whole, resumed)]
    assert weights[0] == weights[1]


def test_general_texts_are_mixed_into_training_and_others_measure(
    sea: Path, land: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    run = luthier.adapt(
        sea,
        model=str(models["bert"]),
        general=str(land),
        general_share=0.2,
        out=str(tmp_path / "run"),
        **{**FAST, "num_epochs": 1},
    )
    made = decisions(run)
    assert made["general_share"]["value"] == pytest.approx(0.2, abs=0.05)
    assert made["general"]["evidence"]["scored"] == 5  # type: ignore[index]
    parts = run.folder / "split.parquet"
    import pyarrow.parquet as pq

    rows = pq.read_table(parts).to_pylist()
    mixed = {row["example_id"] for row in rows if row["example_id"].startswith("general:")}
    assert mixed
    assert {row["part"] for row in rows if row["example_id"] in mixed} == {"train"}


def test_a_verdict_says_when_too_much_was_forgotten(sea: Path, land: Path, models: dict[str, Path], tmp_path: Path) -> None:
    base = luthier.adapt(sea, model=str(models["bert"]), out=str(tmp_path / "base"), **{**FAST, "num_epochs": 8})
    run = luthier.adapt(
        land, model=str(base.model_path), general=str(sea), out=str(tmp_path / "run"), **{**FAST, "num_epochs": 8}
    )
    before, after = (run.metrics.retained[name]["perplexity"].value for name in ("pretrained", "tuned"))
    assert after > 1.1 * before
    if run.metrics.verdict == "keep with care":
        assert "perplexity of general texts went from" in run.metrics.verdict_reason
    assert run.metrics.verdict != "keep"


def wrong(sea: Path, land: Path, models: dict[str, Path], folder: Path) -> dict[str, tuple[dict[str, object], type, str, str]]:
    numbers = write_csv(folder / "numbers.csv", [(str(row), str(row * 0.5)) for row in range(40)], header="a,b")
    labelled = write_csv(folder / "labelled.csv", make_texts(40, seed=3), header="note,kind")
    empty = folder / "empty.txt"
    empty.write_text("\n \n")
    plain = tiny_text_model(folder / "encoder")
    bert, gpt2 = str(models["bert"]), str(models["gpt2"])
    texts: dict[str, object] = {"sources": sea, "model": bert}
    labels = {"sources": labelled, "model": bert, "text": "note", "target": "kind"}
    return {
        "no model": ({"sources": sea}, SpecError, "No model is named", "…ForMaskedLM"),
        "no head": ({**texts, "model": str(plain)}, ModelError, "is a BertModel: it has no head", "--model FOLDER"),
        "two parts": ({**texts, "model": str(models["t5"])}, ModelError, "T5ForConditionalGeneration", "--model FOLDER"),
        "another task": ({**texts, "task": "text-classification"}, SpecError, "no task that adapts", "luthier tune --task"),
        "a target": (labels, SpecError, "from the texts alone", "--text note"),
        "no texts": ({**texts, "sources": numbers}, DataError, "No column of numbers looks like texts", "--text a"),
        "nothing": ({**texts, "sources": empty}, DataError, "only white space", "a text on each line"),
        "no such file": ({**texts, "sources": folder / "none.txt"}, DataError, "There is no", ""),
        "general alike": ({**texts, "general": str(sea)}, DataError, "stand in sea too", "--general FILE"),
        "lonely share": ({**texts, "general_share": 0.1}, SpecError, "no general texts", "--general FILE"),
        "probe": ({**texts, "method": "probe"}, SpecError, "keeps the head", "--method lora"),
        "short blocks": ({**texts, "model": gpt2, "max_length": 4}, ModelError, "leave room for 3 tokens", "--max-length"),
    }  # fmt: skip


CASES = (
    "no model", "no head", "two parts", "another task", "a target", "no texts", "nothing", "no such file", "general alike",
    "lonely share", "probe", "short blocks",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_adapted_is_refused_with_a_way_out(
    case: str, sea: Path, land: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    settings, kind, problem, remedy = wrong(sea, land, models, tmp_path)[case]
    sources = settings.pop("sources")
    with pytest.raises(kind) as caught:
        luthier.adapt(sources, **{**FAST, "num_epochs": 1, **settings}, out=str(tmp_path / "run"))  # type: ignore[arg-type]
    assert problem in str(caught.value)
    assert remedy in str(caught.value)


def test_general_texts_are_for_tasks_that_tell_texts(sea: Path, tmp_path: Path) -> None:
    tickets = write_csv(tmp_path / "tickets.csv", make_texts(30, seed=0))
    with pytest.raises(SpecError, match="--general is for models that are adapted to texts"):
        luthier.tune(tickets, target="topic", general=str(sea))


def test_the_verb_says_what_it_chose(
    sea: Path, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["adapt", str(sea), "--model", str(models["gpt2"]), "--plan", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "causal-language-modeling: gpt2 is a GPT2LMHeadModel: it tells each token from those before it" in out
    assert command(["adapt"]) == 0
    assert "--general" in capsys.readouterr().out

"""From conversations and prompts to a model that answers: tuned, measured, saved, asked; with a tiny model made from a seed."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

import luthier
from luthier.cli.main import run as command
from luthier.evaluation.predictions import read_predictions
from luthier.models.load import load_network
from luthier.pipeline import Run, plan
from luthier.pipeline.run_folder import RunFolder
from luthier.spec import build_spec
from luthier.testing.language_folders import tiny_language_folder

from .conftest import write_csv

COLOURS = {"sky": "blue", "grass": "green", "rose": "red", "snow": "white"}
ASKED = {"threads": 1, "precision": "float32", "bootstrap_samples": 200, "preflight": False, "batch_size": 8}
# Enough for the tiny model to know the colours by heart.
LEARNS = {**ASKED, "method": "full", "num_epochs": 24, "learning_rate": 1e-2, "patience": 24, "evaluations_per_epoch": 1}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = ["What colour is the sky, grass, rose or snow? blue green red white"] * 3
    return tiny_language_folder(tmp_path_factory.mktemp("language") / "tiny", "llama", texts=texts, width=32)


def conversations(count: int) -> list[dict[str, object]]:
    made = []
    for number in range(count):
        thing, colour = list(COLOURS.items())[number % len(COLOURS)]
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?", "weight": 0},
            {"role": "user", "content": f"What colour is the {thing} {number}?"},
            {"role": "assistant", "content": colour},
        ]
        made.append({"messages": messages if number % 3 else [messages[0], *messages[3:]], "parallel_tool_calls": False})
    return made


def write_chats(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chats(tmp_path_factory.mktemp("chats") / "chats.jsonl", conversations(80))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator, words = np.random.default_rng(0), ["one", "so", "pray", "oh", "well", "kind", "sir", "now", "do", "tell"]
    table = []
    for number in range(80):  # said so differently that no two are nearly the same
        thing, colour = list(COLOURS.items())[number % len(COLOURS)]
        table.append((f"{' '.join(generator.choice(words, 6))} {thing}", colour))
    return write_csv(tmp_path_factory.mktemp("pairs") / "pairs.csv", table, header="prompt,completion")


@pytest.fixture(scope="session")
def tuned(chats: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("tuned") / "run"
    return luthier.tune(chats, model=str(model), out=str(out), **LEARNS)


def test_a_plan_promises_no_probe_where_the_network_brings_its_head(chats: Path, model: Path) -> None:
    found = plan(build_spec(chats, model=str(model), threads=1))
    assert "baselines, and the model as it comes" in found.steps[0][1]
    assert not any("probe" in f"{name} {what}" for name, what, _ in found.steps)


def losses_of(run: Run) -> list[float]:
    events = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def test_a_card_judges_short_answers_by_how_many_are_right(tuned: Run) -> None:
    test = tuned.metrics.test
    assert tuned.metrics.primary_measure == "same_text"
    assert set(test) == {"majority", "classic", "pretrained", "tuned"}
    assert test["tuned"]["same_text"].value == 1.0
    assert test["pretrained"]["same_text"].value == 0.0
    assert test["tuned"]["perplexity"].value < 1.5 < test["classic"]["perplexity"].value
    assert test["majority"]["perplexity"].value < test["pretrained"]["perplexity"].value
    assert "probe" in tuned.metrics.absent


def test_the_model_card_says_how_transformers_loads_it(tuned: Run) -> None:
    card = (tuned.model_path / "README.md").read_text()
    assert "`transformers.AutoModelForCausalLM.from_pretrained`; how it writes is in `generation_config.json`." in card
    assert "pipeline_tag: text-generation" in card


def test_what_is_learnt_is_shown_before_anything_is(tuned: Run) -> None:
    decisions = {item["name"]: item for item in map(json.loads, (tuned.folder / "decisions.jsonl").read_text().splitlines())}
    assert re.fullmatch(r"\d+\.\d %", decisions["learnt_tokens"]["value"])
    example = decisions["example"]["reason"]
    assert re.fullmatch(r".*⟦ (blue|green|red|white)</s>⏎⟧", example)
    assert "Yes?" not in example or "⟦ Yes?" not in example
    assert decisions["decides"]["value"] == "same_text"
    assert decisions["text"]["value"] == decisions["target"]["value"] == "messages"
    assert "What colour is the" in (tuned.folder / "report.html").read_text()


def test_the_model_answers_texts_and_conversations_as_it_was_measured(tuned: Run, chats: Path, tmp_path: Path) -> None:
    answers = luthier.load_model(tuned.model_path)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What colour is the snow 3?"}]
    assert answers.predict([asked]) == ["white"]
    assert answers.predict([[*asked, {"role": "assistant", "content": "white"}, asked[1]], "Hi"])[0] != ""
    out = tmp_path / "answers.jsonl"
    assert command(["predict", str(tuned.folder), str(chats), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    said = {f"chats.jsonl:{number}": row["prediction"] for number, row in enumerate(rows, 1)}
    scored = read_predictions(tuned.folder / "predictions.parquet")["tuned"].table.to_pylist()
    assert [said[row["example_id"]] for row in scored] == [row["prediction"] for row in scored]


def test_its_spec_runs_again_to_the_same_weights(tuned: Run, tmp_path: Path) -> None:
    spec = luthier.load_spec(tuned.folder / "spec.yaml")
    assert (spec.task, spec.data.target, spec.data.text) == ("chat", "messages", None)
    again = luthier.tune(spec, out=str(tmp_path / "again"))
    assert (again.model_path / "model.safetensors").read_bytes() == (tuned.model_path / "model.safetensors").read_bytes()


def test_a_prompt_with_its_completion_is_learnt_without_a_template(pairs: Path, model: Path, tmp_path: Path) -> None:
    run = luthier.tune(pairs, model=str(model), out=str(tmp_path / "run"), **LEARNS)
    assert run.metrics.task == "instruction"
    assert run.metrics.test["tuned"]["same_text"].value == 1.0
    assert luthier.load_model(run.model_path).predict(["oh tell sir do now pray rose"]) == ["red"]


@pytest.mark.parametrize("method", ["top-blocks:1", "lora:4:2", "gradual"])
def test_the_store_and_packing_change_no_step(method: str, pairs: Path, model: Path, tmp_path: Path) -> None:
    asked = {**ASKED, "method": method, "num_epochs": 2, "learning_rate": 3e-3, "model": str(model), "adapter_dropout": 0.0}
    found = []
    for number, (store, packing) in enumerate([("float32", "off"), ("off", "off"), ("float32", "on"), ("off", "on")]):
        run = luthier.tune(pairs, out=str(tmp_path / f"run{number}"), store=store, packing=packing, **asked)
        found.append(losses_of(run))
    assert len(found[0]) >= 8
    for others in found[1:]:
        np.testing.assert_allclose(others, found[0], atol=1e-5)


class Killed(BaseException):
    """The process ends here."""


def test_a_run_that_is_killed_goes_on_to_the_same_weights(
    pairs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**ASKED, "method": "lora:4:2", "num_epochs": 2, "learning_rate": 1e-2, "model": str(model), "packing": "on"}
    straight = luthier.tune(pairs, out=str(tmp_path / "straight"), **asked, checkpoint_seconds=0)
    written = RunFolder.record

    def record(folder: RunFolder, event: Mapping[str, object]) -> None:
        written(folder, event)
        if event["event"] == "step" and event["step"] == 9:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "record", record)
        with pytest.raises(Killed):
            luthier.tune(pairs, out=str(tmp_path / "run"), **asked, checkpoint_seconds=0)
    again = luthier.resume(tmp_path / "run")
    for name in ("model.safetensors", "adapter/adapter_model.safetensors", "generation_config.json"):
        assert (again.model_path / name).read_bytes() == (straight.model_path / name).read_bytes()
    assert losses_of(again) == losses_of(straight)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers by a name of former days
def test_an_adapter_loads_in_peft_and_says_what_the_merged_model_says(pairs: Path, model: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    asked = {**ASKED, "method": "lora:4", "num_epochs": 2, "learning_rate": 1e-2, "model": str(model)}
    run = luthier.tune(pairs, out=str(tmp_path / "run"), **asked)
    plain = AutoModelForCausalLM.from_pretrained(model, dtype="float32").eval()
    ids = torch.arange(5, 45).reshape(2, 20)
    with torch.no_grad():
        untuned = plain(ids).logits
        adapted = PeftModel.from_pretrained(plain, run.model_path / "adapter").eval()(ids).logits
        merged = load_network(run.model_path, "llama", kind="causal-lm")(ids).logits
    torch.testing.assert_close(adapted, merged, rtol=0, atol=1e-5)
    assert (merged - untuned).abs().max() > 1e-3


def test_long_answers_are_judged_by_their_perplexity(model: Path, tmp_path: Path) -> None:
    rows = [(f"Tell me of {number}.", f"Well {number} is a number and a fine one at that I would say.") for number in range(40)]
    asked = {**ASKED, "method": "full", "num_epochs": 1, "model": str(model), "max_new_tokens": 4}
    run = luthier.tune(write_csv(tmp_path / "long.csv", rows, header="prompt,completion"), out=str(tmp_path / "run"), **asked)
    assert run.metrics.primary_measure == "perplexity"
    assert run.metrics.directions["perplexity"] == "lower"


def test_a_search_tries_what_trains_something_and_goes_by_what_steers(pairs: Path, model: Path, tmp_path: Path) -> None:
    asked = {"threads": 1, "precision": "float32", "bootstrap_samples": 200, "preflight": False, "num_epochs": 1}
    search = luthier.search(pairs, model=str(model), trials=2, out=str(tmp_path / "search"), **asked)
    methods = {trial.values["training.method"] for trial in search.record.trials}
    assert methods and "probe" not in methods
    assert search.record.measure == "perplexity"
    assert search.run.metrics.task == "instruction"

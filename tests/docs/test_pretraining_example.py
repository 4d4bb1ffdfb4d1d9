"""The script that makes small language models: a few steps on clauses of leases, for each kind."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import luthier
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model

ROOT = Path(__file__).parents[2]
SCRIPT, LEASES = ROOT / "examples" / "pretraining" / "language_model.py", ROOT / "examples" / "data" / "leases.txt"
KINDS = {
    "causal": "LlamaForCausalLM",
    "masked": "ModernBertForMaskedLM",
    "denoising": "T5ForConditionalGeneration",
}


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def make(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch, *sources: str) -> Path:
    words = [str(folder), *(sources or (str(LEASES),)), "--kind", kind, "--steps", "3", "--entries", "400"]
    monkeypatch.setattr(sys, "argv", ["language_model.py", *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_comes_out_that_loads_with_its_weights_tied(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / kind, kind, monkeypatch)
    network = getattr(transformers, KINDS[kind]).from_pretrained(folder).eval()
    assert network.get_output_embeddings().weight is network.get_input_embeddings().weight
    assert (folder / "model.safetensors").is_file()
    record = json.loads((folder / "pretraining.json").read_text())
    assert record["sources"] == [str(LEASES)]
    assert 0 < record["held_out_loss"] < 10
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = "The Tenant shall pay the Rent; añ 😀."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert resolve_model(ModelSettings(name=str(folder)), modality="text").config["architectures"] == [KINDS[kind]]


def test_a_causal_one_ends_turns_and_texts_with_the_same_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "causal", "causal", monkeypatch)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    said = [{"role": "user", "content": "Who pays?"}, {"role": "assistant", "content": "The Tenant."}]
    made = tokenizer.apply_chat_template(said, return_dict=True, return_assistant_tokens_mask=True)
    ids, is_answer = made["input_ids"], made["assistant_masks"]
    answer = [token for token, is_own in zip(ids, is_answer, strict=True) if is_own]
    assert tokenizer.decode(answer) == "The Tenant.<|end|>"
    assert answer[-1] == tokenizer.eos_token_id
    begun = tokenizer.apply_chat_template(said[:1], add_generation_prompt=True, tokenize=False)
    assert begun == "<|user|>Who pays?<|end|><|assistant|>"


def test_what_is_held_out_follows_from_the_first_column_and_is_not_learnt(script: dict[str, Any], tmp_path: Path) -> None:
    rows = [(f"word {number}", f"palabra {number}") for number in range(200)]
    table = tmp_path / "pairs.tsv"
    table.write_text("eng\tspa\n" + "".join(f"{first}\t{second}\n" for first, second in rows))
    learnt, held_out = script["read_sources"]([f"{table}:eng,spa"])
    kept = {first for first, _ in rows if script["is_held_out"](first)}
    assert 5 < len(kept) < 40
    assert set(held_out) == {text for first, second in rows if first in kept for text in (first, second)}
    assert not set(learnt) & set(held_out)
    assert len(learnt) + len(held_out) == 400


def test_spans_and_what_stood_there_make_up_the_text(script: dict[str, Any]) -> None:
    import numpy as np

    texts = LEASES.read_text().split("\n\n")
    tokenizer = script["train_tokenizer"](texts, "denoising", entries=400)
    blocks = script["blocks_of"](texts, tokenizer, "denoising")[:4]
    hidden = script["hide_spans"](blocks, tokenizer, np.random.default_rng(0))
    marks = set(tokenizer.convert_tokens_to_ids([f"<|mark_{number}|>" for number in range(64)]))
    for block, given, answer in zip(blocks.tolist(), hidden["input_ids"].tolist(), hidden["labels"].tolist(), strict=True):
        spans: dict[int, list[int]] = {}
        for token in answer[:-1]:
            if token in marks:
                last = spans.setdefault(token, [])
            else:
                last.append(token)
        whole = [token for place in given for token in (spans[place] if place in marks else [place])]
        assert whole == block


def test_equal_seeds_make_equal_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (make(tmp_path / name, "masked", monkeypatch) for name in ("first", "second"))
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


def test_it_can_be_adapted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    folder = make(tmp_path / "masked", "masked", monkeypatch)
    run = luthier.adapt(
        LEASES, model=str(folder), method="full", num_epochs=1, threads=1, bootstrap_samples=200, preflight=False,
        out=str(tmp_path / "run"),
    )  # fmt: skip
    assert set(run.metrics.test) == {"majority", "classic", "pretrained", "tuned"}
    assert torch.isfinite(torch.tensor(run.metrics.test["tuned"]["perplexity"].value))

"""Answers written token by token: as transformers writes them, and as a loop without a cache does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.errors import ModelError, SpecError
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.generation import choose_max_new_tokens, cut_at, set_generation, write_texts, write_tokens
from luthier.models.load import load_network
from luthier.models.processors import TextProcessor, load_processor
from luthier.models.settings import GenerationSettings, NetworkKind, refuse_idle_generation
from luthier.testing.folders import tiny_text_model
from luthier.testing.language_folders import tiny_language_folder

GREEDY = GenerationSettings()
TEXTS = ["a short one", "another text, which is longer"]


def _opened(folder: Path, family: str, kind: NetworkKind) -> tuple[Backbone, TextProcessor]:
    tiny_language_folder(folder, family, texts=TEXTS * 20)
    network: Any = load_network(folder, family, kind=kind)
    with torch.no_grad():  # so that the answers differ from place to place
        network.get_input_embeddings().weight.mul_(20)
    processor = load_processor(folder, "text")
    assert isinstance(processor, TextProcessor)
    return wrap_backbone(network, width=16, model_type=family), processor


def _prompts(processor: TextProcessor, texts: list[str]) -> dict[str, torch.Tensor]:
    rows = processor.encode(texts)
    longest = int(rows.lengths.max())
    ids = torch.full((len(texts), longest), processor.pad_id)
    mask = torch.zeros_like(ids)
    for row in range(len(texts)):
        found = torch.from_numpy(rows.row(row).astype(np.int64))
        ids[row, longest - len(found) :], mask[row, longest - len(found) :] = found, 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_a_prompt_beside_a_longer_one_is_answered_as_alone_and_without_a_cache(tmp_path: Path, family: str) -> None:
    backbone, processor = _opened(tmp_path, family, "causal-lm")
    set_generation(backbone.network, GREEDY, max_new_tokens=6)
    together = write_tokens(backbone, _prompts(processor, TEXTS), processor=processor)
    for text, found in zip(TEXTS, together, strict=True):
        ids = torch.from_numpy(processor.encode([text]).row(0).astype(np.int64))[None]
        wanted: list[int] = []
        while len(wanted) < 6 and wanted[-1:] != [processor.special_ids["eos"]]:
            with torch.no_grad():
                logits = backbone.network(input_ids=torch.cat([ids, torch.tensor([wanted], dtype=torch.long)], dim=1)).logits
            wanted.append(int(logits[0, -1].argmax()))
        assert found[: len(wanted)].tolist() == wanted


def test_an_encoder_decoder_answers_with_what_its_decoder_adds(tmp_path: Path) -> None:
    backbone, processor = _opened(tmp_path, "t5", "seq2seq-lm")
    set_generation(backbone.network, GREEDY, max_new_tokens=5)
    inputs = _prompts(processor, TEXTS[:1])
    found = write_tokens(backbone, inputs, processor=processor)[0].tolist()
    ids = [1]
    for _ in range(5):
        with torch.no_grad():
            logits = backbone.network(**inputs, decoder_input_ids=torch.tensor([ids])).logits
        ids.append(int(logits[0, -1].argmax()))
    assert found == ids[1 : len(found) + 1]
    assert len(found) == 5 or found[-1] == 2


def test_four_beams_find_an_answer_at_least_as_likely_as_greedy(tmp_path: Path) -> None:
    backbone, processor = _opened(tmp_path, "t5", "seq2seq-lm")
    inputs = _prompts(processor, TEXTS)

    def likelihood(settings: GenerationSettings) -> torch.Tensor:
        set_generation(backbone.network, settings, max_new_tokens=4)
        written = write_tokens(backbone, inputs, processor=processor)
        begun = torch.cat([torch.ones(len(written), 1, dtype=torch.long), written], dim=1)
        with torch.no_grad():
            logits = backbone.network(**inputs, decoder_input_ids=begun[:, :-1]).logits
        probs = logits.log_softmax(-1).gather(2, begun[:, 1:, None])[..., 0]
        return (probs * (begun[:, 1:] != processor.pad_id)).sum(1)

    greedy, beams = likelihood(GREEDY), likelihood(GenerationSettings(num_beams=4, length_penalty=0.0))
    assert bool((beams >= greedy - 1e-4).all())
    assert backbone.network.generation_config.num_beams == 4  # type: ignore[union-attr]


def test_an_answer_ends_before_a_text_that_ends_answers(tmp_path: Path) -> None:
    backbone, processor = _opened(tmp_path, "gpt2", "causal-lm")
    set_generation(backbone.network, GREEDY, max_new_tokens=12)
    prompts = _prompts(processor, TEXTS)
    whole = write_texts(backbone, prompts, processor=processor)
    stop = whole[0][2]
    set_generation(backbone.network, GenerationSettings(stop_strings=(stop,)), max_new_tokens=12)
    assert write_texts(backbone, prompts, processor=processor) == [cut_at(text, [stop]) for text in whole]


def test_how_answers_are_written_is_found_again_in_the_folder(tmp_path: Path) -> None:
    backbone, processor = _opened(tmp_path / "base", "llama", "causal-lm")
    settings = GenerationSettings(stop_strings=("\n",))
    set_generation(backbone.network, settings, max_new_tokens=7)
    backbone.network.save_pretrained(tmp_path / "tuned")  # type: ignore[operator]
    loaded: Any = load_network(tmp_path / "tuned", "llama", kind="causal-lm")
    assert loaded.generation_config.max_new_tokens == 7
    assert loaded.generation_config.stop_strings == ["\n"]
    again = wrap_backbone(loaded, width=16, model_type="llama")
    prompts = _prompts(processor, TEXTS)
    assert write_texts(again, prompts, processor=processor) == write_texts(backbone, prompts, processor=processor)


def test_an_answer_may_be_a_quarter_longer_than_the_longest_of_train() -> None:
    assert choose_max_new_tokens(np.array([4, 100]), GREEDY).value == 125
    assert choose_max_new_tokens(np.array([1]), GREEDY).value == 8
    asked = choose_max_new_tokens(np.array([100]), GenerationSettings(max_new_tokens=9))
    assert (asked.value, asked.reason) == (9, "as asked")


@pytest.mark.parametrize(
    ("settings", "generates", "remedy"),
    [
        (GenerationSettings(num_beams=4), False, "leave --num-beams out"),
        (GenerationSettings(stop_strings=("x",)), False, "leave --stop-strings out"),
        (GenerationSettings(length_penalty=2.0), True, "--num-beams 4 --length-penalty 2"),
    ],
)
def test_settings_that_would_change_nothing_are_refused(settings: GenerationSettings, generates: bool, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        refuse_idle_generation(settings, generates=generates, task="text-classification")
    assert caught.value.remedy == remedy


def test_a_folder_without_such_a_head_is_refused(tmp_path: Path) -> None:
    tiny_text_model(tmp_path)
    with pytest.raises(ModelError, match="has no head that gives tokens") as caught:
        load_network(tmp_path, "bert", kind="masked-lm")
    assert "AutoModelForMaskedLM" in (caught.value.remedy or "")


def test_a_family_that_writes_nothing_is_refused(tmp_path: Path) -> None:
    tiny_language_folder(tmp_path, "distilbert")
    with pytest.raises(ModelError, match="transformers cannot load") as caught:
        load_network(tmp_path, "distilbert", kind="seq2seq-lm")
    assert "AutoModelForSeq2SeqLM" in (caught.value.remedy or "")

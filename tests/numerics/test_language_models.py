"""How well texts are told, beside transformers' own losses; and n-gram models that must be distributions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from luthier.features.passes import to_device
from luthier.models.text_processor import TextProcessor
from luthier.tasks import TASKS
from luthier.tasks.inputs import Inputs
from luthier.tasks.language_inputs import LanguageInputs
from luthier.tasks.ngrams import Told, ngram_losses, told_in, unigram_losses
from luthier.tasks.protocol import Sample, TaskState
from luthier.testing.language_folders import tiny_language_folder

TEXTS = ["the ship left the harbour", "at dawn, with salt and rope", "nobody said a word about the coming storm"]
KINDS = {
    "causal-language-modeling": ("llama", AutoModelForCausalLM),
    "masked-language-modeling": ("bert", AutoModelForMaskedLM),
}


def encoded(task: str, folder: Path) -> Inputs:
    return TASKS[task].encode(TEXTS, TextProcessor.load(folder), TaskState(task=task))


@pytest.mark.parametrize("task", KINDS)
def test_losses_are_those_of_transformers(task: str, tmp_path: Path) -> None:
    family, kind = KINDS[task]
    folder = tiny_language_folder(tmp_path / "model", family, texts=TEXTS)
    network, inputs = kind.from_pretrained(folder).eval(), encoded(task, folder)
    sums, weights = 0.0, 0
    for unit in range(len(TEXTS)):
        units = np.array([unit])
        batch = to_device(inputs.batch(units), dtype=torch.float32, device="cpu")
        labels = torch.from_numpy(inputs.labels(units))[:, : batch["input_ids"].shape[1]]
        # A causal network shifts labels itself, and takes the ids as they are.
        given = batch["input_ids"] if "causal" in task else labels
        with torch.no_grad():
            said = network(**batch, labels=given)
        weight = int((labels != -100).sum())
        sums, weights = sums + float(said.loss) * weight, weights + weight
        decoded = TASKS[task].decode(said.logits.numpy(), inputs, units)
        assert decoded[0].tolist() == pytest.approx([float(said.loss) * weight, weight], rel=1e-5)
        mine = TASKS[task].loss(said.logits, torch.from_numpy(inputs.labels(units)))
        assert float(mine.sum) / mine.weight == pytest.approx(float(said.loss), rel=1e-6)
    batch = to_device(inputs.batch(np.arange(3)), dtype=torch.float32, device="cpu")
    with torch.no_grad():
        whole = TASKS[task].loss(network(**batch).logits, torch.from_numpy(inputs.labels(np.arange(3))))
    assert float(whole.sum) == pytest.approx(sums, rel=1e-4)
    assert whole.weight == weights


def everywhere(near: int, far: int, vocabulary: int) -> Told:
    """Every token, in one context."""
    tokens = np.arange(vocabulary)
    return Told(tokens=tokens, near=np.full(vocabulary, near), far=np.full(vocabulary, far), row=np.zeros(vocabulary, int))


def test_ngram_models_give_distributions_in_every_context() -> None:
    generator = np.random.default_rng(0)
    stream = generator.integers(0, 7, 400)
    train = Told(tokens=stream[2:], near=stream[1:-1], far=stream[:-2], row=np.zeros(398, int))
    for near, far in ((0, 1), (3, 3), (8, 1), (-1, -1)):
        for losses in (unigram_losses, ngram_losses):
            chances = np.exp(-losses(train, everywhere(near, far, 9), vocabulary=9))
            assert chances.sum() == pytest.approx(1, abs=1e-9)
            assert (chances > 0).all()


def test_kneser_ney_by_hand() -> None:
    """Of the stream 0 1 2 0 1 2: after (0, 1) only 2 was seen, twice."""
    stream = np.array([0, 1, 2, 0, 1, 2])
    train = Told(tokens=stream[2:], near=stream[1:-1], far=stream[:-2], row=np.zeros(4, int))
    asked = Told(tokens=np.array([2]), near=np.array([1]), far=np.array([0]), row=np.zeros(1, int))
    unigram = (1 - 0.75) / 3 + 3 * 0.75 / 3 / 3  # each token follows one other; a third of what is left for each of three
    bigram = (1 - 0.75) / 1 + 0.75 * 1 / 1 * unigram  # 2 follows 1 in one wider context
    trigram = (2 - 0.75) / 2 + 0.75 * 1 / 2 * bigram
    assert ngram_losses(train, asked, vocabulary=3)[0] == pytest.approx(-np.log(trigram))


@pytest.mark.parametrize("task", KINDS)
def test_ngram_models_see_what_the_network_sees(task: str, tmp_path: Path) -> None:
    folder = tiny_language_folder(tmp_path / "model", KINDS[task][0], texts=TEXTS)
    inputs = encoded(task, folder)
    assert isinstance(inputs, LanguageInputs)
    sample = Sample(table=None, roles={}, rows=TEXTS, targets=np.zeros(3), inputs=inputs, units=np.arange(3))
    told = told_in(sample)
    labels, shown = inputs.labels(np.arange(3)), inputs.batch(np.arange(3))["input_ids"]
    row, place = np.nonzero(labels != -100)
    assert told.tokens.tolist() == labels[row, place].tolist()
    before = [
        shown[r, p if "causal" in task else p - 1] if "causal" in task or p else -1 for r, p in zip(row, place, strict=True)
    ]
    assert told.near.tolist() == before
    assert np.bincount(told.row).tolist() == (labels != -100).sum(axis=1).tolist()

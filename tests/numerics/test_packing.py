"""Texts packed into one row: the network says of each what it says of it alone."""

import numpy as np
import pytest
import torch
import transformers

from luthier.models.chat_template import Rendered
from luthier.models.text_processor import TextProcessor
from luthier.tasks.packing import pack
from luthier.tasks.reply_inputs import ReplyInputs
from luthier.testing.language_folders import byte_tokenizer

COMMON = {"vocab_size": 300, "max_position_embeddings": 64, "num_hidden_layers": 3, "hidden_size": 32, "intermediate_size": 48}
ATTENTION = {"num_attention_heads": 4, "num_key_value_heads": 2}
FAMILIES = {
    "gpt2": lambda: transformers.GPT2Config(vocab_size=300, n_positions=64, n_embd=32, n_layer=3, n_head=4),
    "llama": lambda: transformers.LlamaConfig(**COMMON, **ATTENTION),
    "qwen2": lambda: transformers.Qwen2Config(**COMMON, **ATTENTION),
    "sliding": lambda: transformers.MistralConfig(**COMMON, **ATTENTION, sliding_window=4),
}
TEXTS = ("a longer one, to begin with", "short", "of middle length", "x", "and another of them")


def inputs() -> ReplyInputs:
    tokenizer = byte_tokenizer()
    special = {"pad": 0, "bos": 1, "eos": 2}
    processor = TextProcessor(tokenizer.to_str(), max_length=64, limit=64, special_ids=special)
    return ReplyInputs.build([Rendered(text=text, learnt=((2, len(text)),), opens=2) for text in TEXTS], processor)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_text_has_the_same_logits_as_alone(family: str, attention: str) -> None:
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), attn_implementation=attention).eval()
    made = inputs()
    batch, packs = made.packed_batch(np.arange(len(TEXTS)))
    assert packs.shape[0] < len(TEXTS)
    with torch.no_grad():
        packed = network(**{name: torch.from_numpy(array) for name, array in batch.items()}, use_cache=False).logits
        for unit in range(len(TEXTS)):
            alone = network(input_ids=torch.from_numpy(made.batch(np.array([unit]))["input_ids"])).logits[0]
            found = packed[packs.pack[unit], packs.first[unit] : packs.first[unit] + packs.lengths[unit]]
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)


def test_nothing_is_lost_and_nothing_stands_twice() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        lengths = generator.integers(1, 30, generator.integers(1, 20))
        packs = pack(lengths)
        used = np.zeros(packs.shape, dtype=int)
        np.add.at(used, packs.places, 1)
        assert used.max() == 1
        assert used.sum() == lengths.sum()
        assert packs.shape[1] == lengths.max()
        assert packs.shape[0] <= len(lengths)
        rows = np.zeros((len(lengths), lengths.max()), dtype=np.int64)
        numbers = np.arange(1, lengths.sum() + 1)
        rows[packs.texts, packs.within] = numbers
        assert np.array_equal(packs.packed(rows, fill=0)[packs.places], numbers)
        positions = packs.positions
        assert np.array_equal(positions[packs.places], packs.within)
        assert (positions[used == 0] >= 0).all()

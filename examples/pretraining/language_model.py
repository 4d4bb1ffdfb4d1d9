"""Pre-train a small language model on texts: a tokenizer, then a network of two to four million weights, both from nothing.

    python examples/pretraining/language_model.py OUT SOURCE ... [--kind causal|masked|denoising] [--steps 1500]

A SOURCE is a text file (a text per paragraph, or per line where no line is empty), or a table with the columns to read:
`pairs.tsv:eng,spa`, `papers.jsonl:source`. OUT becomes a folder as Hugging Face's transformers load it, with
`tokenizer.json` (byte-level BPE), `config.json` and `model.safetensors`. Causal models have Llama's architecture, and a chat
template; masked ones are ModernBERTs, and those that take noise out small T5s. In all of them one table of weights reads and
writes tokens.

A tenth of the rows is held out, told by a checksum of their first column (`is_held_out`), so that anyone can tell again
which; OUT/held_out.txt has their texts, and OUT/pretraining.json says what was read and how well the held-out texts are told.
Give training parts alone, or test texts have been read before.

It costs about half a second of one CPU core for each step of 2,048 tokens. 1,500 steps read three million tokens: enough
for grammar and the words of the texts, and not for facts. Such a model is good for trying out what fine-tuning does, and for
measuring it honestly: what it has read is known.

Sources: Sennrich et al. 2016 (byte-pair encoding); Touvron et al. 2023 (Llama); Warner et al. 2024 (ModernBERT); Raffel et al.
2020 (T5: spans replaced by marks).
"""

import argparse
import json
import math
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from luthier.core.seeding import generator_for
from luthier.data.lists import parse_list
from luthier.data.load import load_source
from luthier.data.settings import DataSettings

POSITIONS, BLOCKS_PER_BATCH = 256, 8
HELD_OUT_PERCENT = 10
WARMUP_FRACTION = 0.1
MASKED_SHARE = 0.3  # twice the usual share: Wettig et al. 2023, "Should you mask 15% in masked language modeling?"
NOISE_SHARE, SPAN_TOKENS, MARKS = 0.15, 3, 64
IGNORED = -100

# Every turn ends with the mark that ends texts too, so that generation stops there; what stands between the two `generation`
# marks is what an assistant says, and what tuning on conversations learns.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def is_held_out(first: str) -> bool:
    """Whether a row is kept for measuring, by its first column.

    Example:
        >>> is_held_out("Go."), is_held_out("I slept.")
        (False, True)
    """
    return zlib.crc32(first.encode()) % 100 < HELD_OUT_PERCENT


def rows_of(source: str) -> Iterator[list[str]]:
    """The texts of each row of a source, in the order of its columns; a cell with a list is its items in a row."""
    name, _, columns = source.rpartition(":")
    if not name:
        text = Path(source).read_text(encoding="utf-8")
        pieces = re.split(r"\n\s*\n", text) if re.search(r"\n\s*\n\S", text) else text.splitlines()
        yield from ([" ".join(piece.split())] for piece in pieces if piece.strip())
        return
    table = load_source([name], DataSettings()).table
    for row in zip(*(table.column(column).to_pylist() for column in columns.split(",")), strict=True):
        cells = ["" if cell is None else str(cell) for cell in row]
        yield [" ".join(parse_list(cell) or [cell]) if cell.startswith("[") else cell for cell in cells]


def read_sources(sources: list[str]) -> tuple[list[str], list[str]]:
    """Texts to learn from and texts held out, each once, in a random order that is always the same."""
    parts: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for source in sources:
        for row in rows_of(source):
            parts[is_held_out(row[0])].update(dict.fromkeys(text for text in row if text.strip()))
    train, held_out = (list(part) for part in parts)
    seen = set(train)  # another row may have the same translation
    order = generator_for(0, "texts").permutation(len(train))
    return [train[place] for place in order], [text for text in held_out if text not in seen]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is trained.

    Attributes:
        marks: Tokens that are no text: what fills up, begins, and ends; then the others.
        learning_rate: At its peak.
        build: Tokenizer -> the network.
        hide: (blocks [B, T], tokenizer, generator) -> what the network is given; labels among it.
    """

    marks: tuple[str, ...]
    learning_rate: float
    build: Callable[[PreTrainedTokenizerFast], PreTrainedModel]
    hide: Callable[[np.ndarray, PreTrainedTokenizerFast, np.random.Generator], dict[str, np.ndarray]]


def build_llama(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A causal language model."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def build_modernbert(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A masked language model.

    One whose attention knows how far apart tokens stand learns in hundreds of steps that neighbours matter; a BERT needs
    thousands.
    """
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=6,
        max_position_embeddings=POSITIONS,
        global_attn_every_n_layers=1,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        tie_word_embeddings=True,
    )
    return ModernBertForMaskedLM(config)


def build_t5(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """An encoder and a decoder."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=160,
        d_kv=32,
        d_ff=448,
        num_layers=3,
        num_decoder_layers=3,
        num_heads=5,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return T5ForConditionalGeneration(config)


def next_tokens(
    blocks: np.ndarray, tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Nothing is hidden: each token is told from those before it."""
    return {"input_ids": blocks, "labels": blocks}


def hide_tokens(
    blocks: np.ndarray, tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Some tokens become masks, a few of them other tokens or stay as they are: 80, 10 and 10 of 100."""
    chosen = (generator.random(blocks.shape) < MASKED_SHARE) & ~np.isin(blocks, tokenizer.all_special_ids)
    kind = generator.random(blocks.shape)
    given = np.where(chosen & (kind < 0.8), tokenizer.mask_token_id, blocks)
    other = generator.integers(len(tokenizer.all_special_ids), len(tokenizer), blocks.shape)
    given = np.where(chosen & (kind >= 0.9), other, given)
    return {"input_ids": given, "labels": np.where(chosen, blocks, IGNORED)}


def hide_spans(blocks: np.ndarray, tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Spans become marks; the answer is each mark with what stood there.

    The number of spans and their length are the same in all blocks: nothing has to be filled up.
    """
    length = blocks.shape[1]
    spans = min(MARKS, max(1, round(length * NOISE_SHARE / SPAN_TOKENS)))
    marks = np.asarray(tokenizer.convert_tokens_to_ids([f"<|mark_{number}|>" for number in range(spans)]))
    given, labels = [], []
    for block in blocks:
        room = length - spans * (SPAN_TOKENS + 1)  # a token between two spans at least
        starts = np.sort(generator.integers(0, room + 1, spans)) + np.arange(spans) * (SPAN_TOKENS + 1)
        hidden = (starts[:, None] + np.arange(SPAN_TOKENS)).ravel()
        left = block.copy()
        left[starts] = marks
        given.append(np.delete(left, np.setdiff1d(hidden, starts)))
        answer = np.concatenate([marks[:, None], block[hidden].reshape(spans, SPAN_TOKENS)], axis=1).ravel()
        labels.append(np.append(answer, tokenizer.eos_token_id))
    return {"input_ids": np.stack(given), "labels": np.stack(labels)}


ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
KINDS = {
    "causal": Kind(marks=("<|pad|>", "<|end|>", "<|end|>", *ROLES), learning_rate=1.5e-3, build=build_llama, hide=next_tokens),
    "masked": Kind(
        marks=("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"), learning_rate=2e-3, build=build_modernbert, hide=hide_tokens
    ),
    "denoising": Kind(
        marks=("<|pad|>", "<|end|>", "<|end|>", *(f"<|mark_{number}|>" for number in range(MARKS))),
        learning_rate=2e-3,
        build=build_t5,
        hide=hide_spans,
    ),
}


def train_tokenizer(texts: list[str], kind: str, *, entries: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE: it can write any text, and has no unknown tokens."""
    marks = list(dict.fromkeys(KINDS[kind].marks))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=entries, special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    pad, begin, end, *others = KINDS[kind].marks
    if kind == "masked":
        numbers = [(mark, tokenizer.token_to_id(mark)) for mark in (begin, end)]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A {end}", pair=f"{begin} $A {end} $B:1 {end}:1", special_tokens=numbers
        )
        names = {"cls_token": begin, "sep_token": end, "mask_token": others[0], "unk_token": others[1]}
        return _fast(tokenizer, pad_token=pad, **names)
    if kind == "denoising":
        ends = [(end, tokenizer.token_to_id(end))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=ends)
        return _fast(tokenizer, pad_token=pad, eos_token=end)
    made = _fast(tokenizer, pad_token=pad, eos_token=end)
    made.chat_template = CHAT_TEMPLATE
    return made


def _fast(tokenizer: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=POSITIONS, clean_up_tokenization_spaces=False, **names
    )


def blocks_of(texts: list[str], tokenizer: PreTrainedTokenizerFast, kind: str) -> np.ndarray:
    """All texts one after the other, an end after each, cut into blocks [N, T] of equal length; the rest is dropped."""
    _, begin, end = (tokenizer.convert_tokens_to_ids(mark) for mark in KINDS[kind].marks[:3])
    encoded = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    stream = [token for encoding in encoded for token in (*encoding.ids, end)]
    length = POSITIONS - (kind == "masked")
    number = len(stream) // length
    blocks = np.array(stream[: number * length], dtype=np.int64).reshape(number, length)
    return np.concatenate([np.full((number, 1), begin), blocks], axis=1) if kind == "masked" else blocks


def loss_of(network: PreTrainedModel, kind: str, batch: dict[str, np.ndarray]) -> tuple[Tensor, int]:
    """Mean cross-entropy of the tokens that count, and how many they are."""
    given, labels = (torch.from_numpy(batch[name]) for name in ("input_ids", "labels"))
    if kind == "masked":  # scores are needed where something is hidden only, and they are a good part of the work
        counted = labels != IGNORED
        states = network.base_model(input_ids=given).last_hidden_state[counted]
        return nn.functional.cross_entropy(network.decoder(network.head(states)), labels[counted]), int(counted.sum())
    counted_tokens = labels.numel() - (len(labels) if kind == "causal" else 0)
    return network(input_ids=given, labels=labels).loss, counted_tokens


def evaluate(network: PreTrainedModel, kind: str, blocks: np.ndarray, tokenizer: PreTrainedTokenizerFast) -> float:
    """Mean loss per token of some blocks; what is hidden is always the same."""
    network.eval()
    generator, total, weight = generator_for(0, "held-out"), 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(blocks), BLOCKS_PER_BATCH):
            batch = KINDS[kind].hide(blocks[start : start + BLOCKS_PER_BATCH], tokenizer, generator)
            loss, tokens = loss_of(network, kind, batch)
            total, weight = total + float(loss) * tokens, weight + tokens
    network.train()
    return total / max(weight, 1)


def fit(network: PreTrainedModel, kind: str, blocks: np.ndarray, tokenizer: PreTrainedTokenizerFast, *, steps: int) -> None:
    """AdamW, a short warm-up, then down to nothing along a cosine; blocks in random order, again and again."""
    generator, rate = generator_for(0, "training"), KINDS[kind].learning_rate
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    warmup = max(1, round(WARMUP_FRACTION * steps))
    begin, order = time.perf_counter(), np.zeros(0, dtype=np.int64)
    network.train()
    for step in range(steps):
        if len(order) < BLOCKS_PER_BATCH:
            order = np.concatenate([order, generator.permutation(len(blocks))])
        chosen, order = order[:BLOCKS_PER_BATCH], order[BLOCKS_PER_BATCH:]
        rising, left = (step + 1) / warmup, (steps - step) / max(1, steps - warmup)
        optimizer.param_groups[0]["lr"] = rate * min(rising, 0.5 * (1 - math.cos(math.pi * min(1.0, left))))
        loss, _ = loss_of(network, kind, KINDS[kind].hide(blocks[chosen], tokenizer, generator))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            print(f"step {step + 1:,}: {float(loss.detach()):.3f} ({time.perf_counter() - begin:,.0f} s)", flush=True)


def main() -> None:
    """Train, and write the folder."""
    parser = argparse.ArgumentParser(description="Pre-train a small language model on texts.")
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="FILE.txt, or TABLE:COLUMN,COLUMN")
    parser.add_argument("--kind", choices=sorted(KINDS), default="causal")
    parser.add_argument("--steps", type=int, default=1_500, help="of 2,048 tokens")
    parser.add_argument("--entries", type=int, default=6_144, help="of the tokenizer")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    texts, held_out = read_sources(arguments.sources)
    tokenizer = train_tokenizer(texts, arguments.kind, entries=arguments.entries)
    blocks, others = (blocks_of(part, tokenizer, arguments.kind) for part in (texts, held_out))
    network = KINDS[arguments.kind].build(tokenizer)
    print(f"{len(texts):,} texts, {blocks.size:,} tokens; {network.num_parameters():,} weights", flush=True)
    fit(network, arguments.kind, blocks, tokenizer, steps=arguments.steps)
    measured = others[generator_for(0, "measured").permutation(len(others))[:200]]
    loss = evaluate(network, arguments.kind, measured, tokenizer)
    print(f"held-out texts: {loss:.3f} nats per token, perplexity {math.exp(loss):,.1f}")
    network.eval().save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)
    (arguments.out / "held_out.txt").write_text("\n\n".join(held_out) + "\n", encoding="utf-8")
    record: dict[str, Any] = {
        "sources": arguments.sources, "kind": arguments.kind, "steps": arguments.steps, "tokens_of_texts": int(blocks.size),
        "tokens_read": arguments.steps * BLOCKS_PER_BATCH * POSITIONS, "held_out_loss": loss,
    }  # fmt: skip
    (arguments.out / "pretraining.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

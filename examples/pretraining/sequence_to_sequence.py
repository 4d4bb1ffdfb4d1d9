"""Pre-train a small encoder-decoder, and the tokenizer it reads with, on a table of pairs of texts.

    python examples/pretraining/sequence_to_sequence.py OUT PAIRS.tsv [--text eng --target spa] [--epochs 1] [--noise 0]

What is written is a BART folder like any other: transformers loads it, and so does `luthier tune --model OUT`. A share of the
steps (`--noise`) learns to write a text again from a copy in which spans of words are missing, texts of both columns in turn;
the others learn to write the second text of a pair from the first. Give a part of the data that the tuning will not be measured
on.

Source: Lewis et al. 2020, "BART: denoising sequence-to-sequence pre-training"; Glorot & Bengio 2010 (the first weights).
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from luthier.core.seeding import generator_for
from luthier.data.load import load_source
from luthier.data.settings import DataSettings

PAD, END, UNKNOWN, GAP = "<pad>", "</s>", "<unk>", "<gap>"
LEARNING_RATE = 2e-3
HIDDEN_SHARE, SPAN = 0.3, 3  # of the tokens of a noisy text that is missing, and how many at once
LONGEST = 48


def build_tokenizer(texts: Sequence[str], *, vocabulary: int) -> PreTrainedTokenizerFast:
    """Pieces of words from bytes, so that no sign is unknown; every text ends with `</s>`."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [PAD, END, UNKNOWN, GAP]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN, model_max_length=LONGEST
    )


def build_network(tokenizer: PreTrainedTokenizerFast, *, width: int, blocks: int) -> BartForConditionalGeneration:
    """A BART of `blocks` blocks on either side; one table of embeddings serves encoder, decoder and output."""
    sizes = {f"{part}_layers": blocks for part in ("encoder", "decoder")}
    sizes |= {f"{part}_attention_heads": width // 32 for part in ("encoder", "decoder")}
    sizes |= {f"{part}_ffn_dim": 4 * width for part in ("encoder", "decoder")}
    settings = BartConfig(
        vocab_size=len(tokenizer),
        d_model=width,
        max_position_embeddings=2 * LONGEST,
        scale_embedding=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        forced_eos_token_id=None,
        **sizes,
    )
    network = BartForConditionalGeneration(settings)
    for parameter in network.parameters():  # small and post-norm, it learns sooner from these than from BART's own
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return network


def batches(lengths: np.ndarray, generator: np.random.Generator, *, tokens: int) -> Iterator[np.ndarray]:
    """Rows of like length, about so many tokens at a time, in random order."""
    order = np.argsort(lengths + generator.uniform(0, 3, len(lengths)))
    sizes = np.maximum.accumulate(lengths[order] + 3)
    pieces, begin = [], 0
    for place in range(1, len(order) + 1):
        if place == len(order) or (place - begin + 1) * sizes[place] > tokens:
            pieces.append(order[begin:place])
            begin = place
    yield from (pieces[place] for place in generator.permutation(len(pieces)))


def with_gaps(ids: Sequence[int], gap: int, generator: np.random.Generator) -> list[int]:
    """A copy in which spans of tokens are missing, a mark in place of each; the end stays."""
    body = np.array(ids[:-1])
    hidden = np.zeros(len(body), dtype=bool)
    for start in generator.integers(0, max(1, len(body)), max(1, round(HIDDEN_SHARE * len(body) / SPAN))):
        hidden[start : start + SPAN] = True
    begins = hidden & ~np.concatenate([[False], hidden[:-1]])
    kept = np.where(hidden, gap, body)[~hidden | begins]
    return [*kept.tolist(), ids[-1]]


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of ids, filled up to the longest."""
    filled = torch.full((len(rows), max(map(len, rows))), value)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = torch.tensor(row)
    return filled


def loss_of(network: nn.Module, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Tensor:
    """Mean loss of the targets' tokens."""
    ids = padded(sources, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = network(input_ids=ids, attention_mask=(ids != 0).long(), labels=padded(targets, -100))
    return outputs.loss


def main() -> None:
    """Train, and write the folder."""
    parser = argparse.ArgumentParser(description="Pre-train a small encoder-decoder on pairs of texts.")
    parser.add_argument("out", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--text", default="eng")
    parser.add_argument("--target", default="spa")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--vocabulary", type=int, default=3_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=700, help="in a step")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    generator = generator_for(0, "pretraining")
    table = load_source([arguments.pairs], DataSettings()).table
    texts = [table.column(name).to_pylist() for name in (arguments.text, arguments.target)]
    tokenizer = build_tokenizer([*texts[0], *texts[1]], vocabulary=arguments.vocabulary)
    sources, targets = (tokenizer(column, truncation=True)["input_ids"] for column in texts)
    gap = tokenizer.convert_tokens_to_ids(GAP)
    lengths = np.array([len(one) + len(other) for one, other in zip(sources, targets, strict=True)])
    network = build_network(tokenizer, width=arguments.width, blocks=arguments.blocks).train()
    size = sum(parameter.numel() for parameter in network.parameters())
    steps = max(
        1, round(arguments.epochs * sum(1 for _ in batches(lengths, np.random.default_rng(0), tokens=arguments.tokens)))
    )
    print(f"{len(sources):,} pairs, {lengths.sum():,} tokens, {size:,} parameters, {steps:,} steps", flush=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.05)
    begin, losses, step = time.process_time(), [], 0
    while step < steps:
        for rows in batches(lengths, generator, tokens=arguments.tokens):
            one, other = [sources[row] for row in rows], [targets[row] for row in rows]
            if generator.random() < arguments.noise:
                other = one if step % 2 else other
                one = [with_gaps(ids, gap, generator) for ids in other]
            loss = loss_of(network, one, other)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            step += 1
            if step % 250 == 0 or step == steps:
                spent = time.process_time() - begin
                print(f"step {step:,} of {steps:,}: {np.mean(losses[-250:]):.3f} ({spent:,.0f} CPU s)", flush=True)
            if step == steps:
                break
    network.eval().save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()

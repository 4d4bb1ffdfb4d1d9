"""Spoken digits (FSDD) as labels, by the official split and by speaker, and as strings to be written down.

    python benchmarks/tasks/spoken_digits.py data FSDD OUT              # manifests and joined recordings
    python benchmarks/tasks/spoken_digits.py labels OUT --network yamnet --weights FILE --split official --method auto
    python benchmarks/tasks/spoken_digits.py strings OUT --weights FILE --method full --num-epochs 30 --learning-rate 1e-3
    python benchmarks/tasks/spoken_digits.py whisper OUT/whisper        # a small Whisper that has learnt nothing, as a folder
    luthier tune OUT/strings --audio file --target transcript --model OUT/whisper --method full

The networks come from `examples/sound_networks`; for one that transformers knows, `luthier tune OUT/official --model FOLDER` is
enough. Strings are made of recordings of one speaker, test strings of test recordings only.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

import luthier
from luthier.core.seeding import generator_for

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 8_000
SIZES = {"train": 1_800, "validation": 200, "test": 300}
SIDES = {"layers": 2, "attention_heads": 4, "ffn_dim": 384}  # of either side of the small Whisper
LENGTHS, PAUSES = (2, 6), (0.03, 0.15)  # digits of a string; seconds between them


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of FSDD's manifest, with absolute paths."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return [{**row, "file": str((folder / row["file"]).absolute())} for row in csv.DictReader(file)]


def write_table(path: Path, rows: Sequence[dict[str, str]], columns: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_labels(rows: Sequence[dict[str, str]], out: Path) -> None:
    """The official split; and for each speaker all others to train on."""
    columns = ["file", "label", "speaker"]
    for part in ("train", "test"):
        write_table(out / "official" / f"{part}.csv", [row for row in rows if row["split"] == part], columns)
    for speaker in sorted({row["speaker"] for row in rows}):
        others = [row for row in rows if row["speaker"] != speaker]
        write_table(out / f"without-{speaker}" / "train.csv", others, columns)
        write_table(out / f"without-{speaker}" / "test.csv", [row for row in rows if row["speaker"] == speaker], columns)


def write_strings(rows: Sequence[dict[str, str]], out: Path) -> None:
    """Recordings of one speaker joined; validation strings are of train recordings that no train string has."""
    generator = generator_for(0, "strings")
    held = set(generator.permutation([row["file"] for row in rows if row["split"] == "train"])[:270].tolist())
    parts = {
        "train": [row for row in rows if row["split"] == "train" and row["file"] not in held],
        "validation": [row for row in rows if row["file"] in held],
        "test": [row for row in rows if row["split"] == "test"],
    }
    for part, some in parts.items():
        by_speaker = {
            speaker: [row for row in some if row["speaker"] == speaker] for speaker in {row["speaker"] for row in some}
        }
        written = []
        (out / "strings" / "wavs").mkdir(parents=True, exist_ok=True)
        for number in range(SIZES[part]):
            speaker = sorted(by_speaker)[number % len(by_speaker)]
            chosen = generator.choice(len(by_speaker[speaker]), generator.integers(*LENGTHS))
            digits = [by_speaker[speaker][place] for place in chosen]
            pieces = []
            for row in digits:
                pieces += [np.zeros(int(RATE * generator.uniform(*PAUSES))), soundfile.read(row["file"])[0]]
            name = f"wavs/{part}-{number:04}.wav"
            soundfile.write(out / "strings" / name, np.concatenate(pieces), RATE, subtype="PCM_16")
            text = " ".join(WORDS[int(row["label"])] for row in digits)
            written.append({"file": name, "transcript": text, "speaker": speaker})
        write_table(out / "strings" / f"{part}.csv", written, ["file", "transcript", "speaker"])


def write_whisper(folder: Path) -> None:
    """A Whisper of two blocks on either side with random weights, which hears five seconds at 8 kHz, and its tokenizer."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from luthier.testing.language_folders import byte_tokenizer

    torch.manual_seed(0)
    tokenizer = byte_tokenizer([f" {word} {word}" for word in WORDS] * 50, vocabulary_size=320)
    sizes = {f"{part}_{what}": size for part in ("encoder", "decoder") for what, size in SIDES.items()}
    settings = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=96,
        num_mel_bins=40,
        max_source_positions=125,
        max_target_positions=64,
        **sizes,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    WhisperForConditionalGeneration(settings).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **tokens}))
    hears = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 40, "chunk_length": 5}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**hears, "sampling_rate": RATE, "hop_length": 160, "n_fft": 256})
    )


def load_backbone(network: str, weights: str | None):
    from sound_networks.frames import frame_backbone
    from sound_networks.yamnet import load_yamnet

    return load_yamnet(weights) if network == "yamnet" else frame_backbone(weights)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["data", "labels", "strings", "whisper"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--network", default="frames", choices=["frames", "yamnet"])
    parser.add_argument("--weights")
    parser.add_argument("--split", default="official", help="official, or the speaker that is left out")
    arguments, rest = parser.parse_known_args()
    if arguments.what == "data":
        rows = read_rows(arguments.folder)
        write_labels(rows, arguments.out)
        write_strings(rows, arguments.out)
        return
    if arguments.what == "whisper":
        write_whisper(arguments.folder)
        return
    settings = {
        flag.removeprefix("--").replace("-", "_"): parse(value) for flag, value in zip(rest[::2], rest[1::2], strict=True)
    }
    backbone = load_backbone(arguments.network, arguments.weights)
    name = arguments.split if arguments.split == "official" else f"without-{arguments.split}"
    sources = arguments.folder / ("strings" if arguments.what == "strings" else name)
    if arguments.what == "strings":
        settings = {"task": "speech-recognition", "audio": "file", "target": "transcript", **settings}
    else:
        settings = {"target": "label", "audio": "file", **settings}
    out = Path("runs") / f"{arguments.what}-{arguments.network}-{name}"
    run = luthier.tune(sources, backbone=backbone, **{"threads": 1, "out": str(out), "overwrite": True, **settings})
    print(run.card)


def parse(value: str) -> object:
    """A flag's value as Python has it."""
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


if __name__ == "__main__":
    main()

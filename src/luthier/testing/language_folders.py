"""Tiny networks with their own head as complete Hugging Face folders, written offline from a seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from luthier.core.storage import write_json
from luthier.testing.folders import SOUND_RATE, write_model_card
from luthier.testing.language_models import LANGUAGE_FAMILIES

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
MAX_TOKENS = 64
# What the tiny Whisper hears: two seconds as forty frames.
HEARS = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 8,
    "sampling_rate": SOUND_RATE,
    "hop_length": 400,
    "n_fft": 400,
    "chunk_length": 2,
}


def byte_tokenizer(texts: Sequence[str] = (), *, vocabulary_size: int = 300) -> Tokenizer:
    """A byte-level BPE tokenizer: every byte is a token, and whatever is frequent in some texts.

    Example:
        >>> tokenizer = byte_tokenizer()
        >>> tokenizer.decode(tokenizer.encode("añ 😀").ids)
        'añ 😀'
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tiny_language_folder(
    folder: Path, family: str, *, texts: Sequence[str] = (), width: int = 16, seed: int = 0, licence: str = "cc0-1.0"
) -> Path:
    """Write a random network of a family in `LANGUAGE_FAMILIES`, with a byte-level tokenizer.

    Args:
        folder: Made if absent.
        texts: What is frequent in them becomes tokens.
        width: Size of the hidden states; a multiple of 4.
        licence: What its card states.

    Returns:
        The folder.
    """
    class_name, settings, _ = LANGUAGE_FAMILIES[family]
    tokenizer = byte_tokenizer(texts)
    folder.mkdir(parents=True, exist_ok=True)
    kind = getattr(transformers, class_name)
    names = {"hidden_size", "d_model", "n_embd", "dim"} & set(settings)
    wide = {**settings, "vocab_size": tokenizer.get_vocab_size(), **dict.fromkeys(names, width)}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = kind(kind.config_class(**{**wide, **ids}))
    transformers.utils.logging.disable_progress_bar()
    network.save_pretrained(folder, safe_serialization=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_TOKENS, **tokens},
    )
    if LANGUAGE_FAMILIES[family][2] == "speech-seq2seq":
        write_json(folder / "preprocessor_config.json", HEARS)
    write_model_card(folder, licence)
    return folder

"""Tiny pre-trained models as complete Hugging Face folders, written offline from a seed: what `--model ./folder` takes."""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from luthier.core.storage import write_json
from luthier.core.yaml_text import write_scalar
from luthier.testing.backbones import AUDIO, COMMON, FAMILIES, settle_norms

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_TOKENS = 64
IMAGE_SIZE = 32
SOUND_RATE = 8_000
# The convolutions of the real ones see 20 ms of sound in a frame; these, 25 ms.
SOUND = {**AUDIO, "conv_dim": (16, 16, 16), "conv_kernel": (10, 8, 4), "conv_stride": (10, 5, 4), "num_feat_extract_layers": 3}
MASKED = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True, "return_attention_mask": True}
UNMASKED = {**MASKED, "return_attention_mask": False}
# Family -> (its classes in transformers, settings of the network, settings of its preprocessing)
AUDIO_FAMILIES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", SOUND, MASKED),
    "wav2vec2-base": ("Wav2Vec2", {**SOUND, "feat_extract_norm": "group", "do_stable_layer_norm": False}, UNMASKED),
    "hubert": ("Hubert", SOUND, MASKED),
    "wavlm": ("WavLM", {**SOUND, "num_buckets": 8, "max_bucket_distance": 16}, MASKED),
    "whisper": (
        "Whisper",
        {**FAMILIES["whisper"][1], "max_source_positions": 50},
        {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": 8,
            "chunk_length": 1,
            "hop_length": 80,
            "n_fft": 200,
        },
    ),
    "ast": (
        "AST",
        {**COMMON, "patch_size": 4, "frequency_stride": 3, "time_stride": 3, "max_length": 60, "num_mel_bins": 16},
        {"feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": 16, "max_length": 60},
    ),
}


def tiny_text_model(
    folder: Path, *, words: Sequence[str] = (), num_blocks: int = 3, width: int = 16, seed: int = 0, licence: str = "cc0-1.0"
) -> Path:
    """Write a random BERT with a WordPiece tokenizer.

    Args:
        folder: Made if absent.
        words: Words that become one token each; all others are spelt with lower-case letters, digits and punctuation.
        width: Size of the hidden states; a multiple of 2.
        licence: What its card states.

    Returns:
        The folder.
    """
    characters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [*SPECIAL_TOKENS, *characters, *(f"##{character}" for character in characters)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys([*tokens, *words]))}
    tokenizer = transformers.BertTokenizer(vocab=vocabulary, model_max_length=MAX_TOKENS)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_attention_heads=2,
        intermediate_size=2 * width,
        num_hidden_layers=num_blocks,
        max_position_embeddings=MAX_TOKENS,
    )
    transformers.utils.logging.disable_progress_bar()
    network = _seeded(transformers.BertModel, config, seed)
    # Random BERTs start with tiny embeddings, from which every text looks the same.
    network.embeddings.word_embeddings.weight.data *= 50
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_model_card(folder, licence)
    return folder


def tiny_image_model(folder: Path, *, seed: int = 0, licence: str = "cc0-1.0") -> Path:
    """Write a random MobileNetV2 for pictures of 32 x 32 pixels, with its preprocessing.

    Args:
        folder: Made if absent.
        licence: What its card states.

    Returns:
        The folder.
    """
    config = transformers.MobileNetV2Config(image_size=IMAGE_SIZE, depth_multiplier=0.25, tf_padding=False)
    transformers.utils.logging.disable_progress_bar()
    network = _seeded(transformers.MobileNetV2Model, config, seed)
    settle_norms(network, image_size=IMAGE_SIZE, seed=seed)
    network.save_pretrained(folder)
    preprocessing = {
        "image_processor_type": "MobileNetV2ImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": IMAGE_SIZE},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    write_json(folder / "preprocessor_config.json", preprocessing)
    write_model_card(folder, licence)
    return folder


def tiny_audio_model(folder: Path, *, family: str = "wav2vec2", seed: int = 0, licence: str = "cc0-1.0") -> Path:
    """Write a random network for sound at 8 kHz, with its preprocessing.

    Args:
        folder: Made if absent.
        family: A key of `AUDIO_FAMILIES`.
        licence: What its card states.

    Returns:
        The folder.
    """
    kind, settings, preprocessing = AUDIO_FAMILIES[family]
    transformers.utils.logging.disable_progress_bar()
    network = _seeded(getattr(transformers, f"{kind}Model"), getattr(transformers, f"{kind}Config")(**settings), seed)
    network.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"sampling_rate": SOUND_RATE, **preprocessing})
    write_model_card(folder, licence)
    return folder


def _seeded(kind: type, config: object, seed: int) -> transformers.PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config).eval()


def write_model_card(folder: Path, licence: str) -> None:
    """Write a model card that states a licence."""
    (folder / "README.md").write_text(
        f"---\nlicense: {write_scalar(licence)}\n---\nRandom weights, for tests.\n", encoding="utf-8"
    )

"""What a model was made for, read off its name or its `config.json` before anything is loaded: plain JSON, no torch."""

import re
from pathlib import Path

from luthier.models.refusal import MAX_CONFIG_BYTES
from luthier.models.settings import NetworkKind
from luthier.models.strict_json import read_strict_json

HEARS = frozenset({"whisper", "speech_to_text", "moonshine", "speecht5"})
# In names of models that are no folder here: words that tell what they are.
TELLING: tuple[tuple[NetworkKind, frozenset[str]], ...] = (
    ("speech-seq2seq", frozenset({"whisper", "moonshine"})),
    ("seq2seq-lm", frozenset({"t5", "mt5", "byt5", "bart", "mbart", "marian", "opus", "pegasus", "m2m100", "nllb"})),
    (
        "causal-lm",
        frozenset({"gpt2", "distilgpt2", "gpt", "llama", "qwen", "qwen2", "qwen3", "mistral", "gemma", "phi", "smollm2"}),
    ),
)


def network_kind_of(name: str | None) -> NetworkKind | None:
    """What the model named would be loaded as with its own head; None where nothing tells, or it is an encoder.

    Example:
        >>> network_kind_of("openai/whisper-tiny"), network_kind_of("google-t5/t5-small"), network_kind_of("bert-base-cased")
        ('speech-seq2seq', 'seq2seq-lm', None)
    """
    if name is None:
        return None
    config = Path(name) / "config.json"
    if config.is_file():
        return _by_config(config)
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return next((kind for kind, telling in TELLING if words & telling), None)


def _by_config(path: Path) -> NetworkKind | None:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        return None
    content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES)
    if not isinstance(content, dict):
        return None
    made = next(iter(content.get("architectures") or [""]))
    if str(content.get("model_type")) in HEARS:
        return "speech-seq2seq" if made.endswith("ForConditionalGeneration") else None
    if content.get("is_encoder_decoder") and not made.endswith(("EncoderModel", "Encoder", "ForSequenceClassification")):
        return "seq2seq-lm"
    return "causal-lm" if made.endswith(("ForCausalLM", "LMHeadModel")) else None

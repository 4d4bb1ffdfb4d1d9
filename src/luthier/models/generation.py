"""Answers written token by token: transformers' own `generate` (cache of keys and values, beams) under our settings.

Use when: a task's network writes its answers: language models, encoder-decoders. Greedy first; beams where answers are
translations or transcripts, and the time for them is there.
Cost: one run of the network for each token; with beams as many times as there are beams, and as much memory for the cache.
Suggested values: 1 beam for conversations and short answers, 4 or 5 for translation.
Source: Graves 2012, "Sequence transduction with recurrent neural networks" (beam search); Wu et al. 2016, "Google's neural
machine translation system" (length penalty).

How answers are written is kept in `generation_config.json` of the model folder, where transformers and servers look for it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from luthier.core.decision import Decision
from luthier.errors import ModelError
from luthier.models.backbone import Backbone, ModelInputs
from luthier.models.processors import TextProcessor
from luthier.models.settings import GenerationSettings

ROOM = 1.25  # an answer may be so many times as long as the longest one of train
LEAST_TOKENS = 8
WITHOUT_START = ("whisper",)  # families whose `generate` gives new tokens alone


def choose_max_new_tokens(lengths: Int[np.ndarray, " N"], settings: GenerationSettings) -> Decision[int]:
    """Most tokens of an answer: as asked, or a quarter more than the longest answer of train.

    Args:
        lengths: Tokens of the answers of train.

    Example:
        >>> choose_max_new_tokens(np.array([3, 40]), GenerationSettings()).value
        50
    """
    if settings.max_new_tokens is not None:
        return Decision(name="max_new_tokens", value=settings.max_new_tokens, reason="as asked")
    longest = int(lengths.max(initial=0))
    value = max(LEAST_TOKENS, int(ROOM * longest))
    reason = f"the longest answer of train has {longest} tokens"
    return Decision(name="max_new_tokens", value=value, reason=reason, override="--max-new-tokens N")


def set_generation(network: nn.Module, settings: GenerationSettings, *, max_new_tokens: int, ends: Sequence[int] = ()) -> None:
    """Write down in the network's own generation settings how it is to answer; nothing is drawn at random.

    Args:
        ends: Tokens that end an answer, beside those that the network knows.

    Raises:
        ModelError: the network writes nothing.
    """
    config: Any = getattr(network, "generation_config", None)
    if config is None or not hasattr(network, "generate"):
        raise ModelError(
            f"{type(network).__name__} cannot write texts: it has no `generate`.", remedy="--model NAME, another one"
        )
    known = config.eos_token_id
    ends = sorted({*(known if isinstance(known, list) else [known] if known is not None else []), *ends})
    config.update(
        eos_token_id=ends or None,
        max_new_tokens=max_new_tokens,
        max_length=None,
        do_sample=False,
        temperature=None,
        top_k=None,
        top_p=None,
        num_beams=settings.num_beams,
        length_penalty=settings.length_penalty if settings.num_beams > 1 else None,
        stop_strings=list(settings.stop_strings) or None,
    )


def write_tokens(backbone: Backbone, inputs: ModelInputs, *, processor: TextProcessor) -> Int[Tensor, "B G"]:
    """What the network writes for a batch, by its own generation settings.

    Args:
        inputs: Of a language model prompts padded on the left (`input_ids`, `attention_mask`); of an encoder-decoder what its
            encoder reads, and `decoder_input_ids` where answers begin with more than the network's own first token.

    Returns:
        The new ids alone; after the end of a text the id that fills up.
    """
    network: Any = backbone.network
    stop = tuple(network.generation_config.stop_strings or ())
    begins = inputs.get("decoder_input_ids") if backbone.layout.encoder else inputs["input_ids"]
    skipped = 1 if begins is None else begins.shape[1]
    criteria = [_Stopped(stop, processor, skipped)] if stop else None
    network.generation_config.stop_strings = None  # transformers would ask for a tokenizer of its own
    try:
        with torch.no_grad():
            written = network.generate(
                **inputs,
                pad_token_id=processor.pad_id,
                stopping_criteria=criteria,
                use_cache=True,
            )
    finally:
        network.generation_config.stop_strings = list(stop) or None
    is_bare = backbone.model_type in WITHOUT_START
    return written if is_bare else written[:, skipped:]  # type: ignore[no-any-return]


def write_texts(backbone: Backbone, inputs: ModelInputs, *, processor: TextProcessor) -> list[str]:
    """What the network writes for a batch, as texts: without special tokens, and cut where a text begins at which they end."""
    stop = tuple(_config_of(backbone).stop_strings or ())
    return [cut_at(processor.decode(row), stop) for row in write_tokens(backbone, inputs, processor=processor).tolist()]


def _config_of(backbone: Backbone) -> Any:
    return backbone.network.generation_config


def cut_at(text: str, stop: Sequence[str]) -> str:
    """A text up to the first of some texts.

    Example:
        >>> cut_at("Yes. User: and", ["User:", "Bot:"])
        'Yes. '
    """
    return text[: min([place for place in map(text.find, stop) if place >= 0], default=len(text))]


class _Stopped:
    """Ends a row as soon as its text holds a text at which answers end."""

    def __init__(self, stop: Sequence[str], processor: TextProcessor, skipped: int) -> None:
        self._stop, self._processor, self._skipped = stop, processor, skipped

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        texts = [self._processor.decode(row) for row in input_ids[:, self._skipped :].tolist()]
        return torch.tensor([cut_at(text, self._stop) != text for text in texts], device=input_ids.device)

"""Small networks with their own head, one for each family that writes or completes texts: random weights from a seed."""

from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.settings import NetworkKind
from luthier.testing.backbones import COMMON, VOCABULARY

BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "vocab_size": VOCABULARY,
}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DECODES = {**SPECIAL, "decoder_start_token_id": 1}
GPT2 = {**SPECIAL, "n_embd": 16, "n_head": 2, "n_layer": 3, "vocab_size": VOCABULARY, "n_positions": 64}
LLAMA = {**COMMON, **SPECIAL, "num_key_value_heads": 1}
DISTILBERT = {"dim": 16, "n_heads": 2, "hidden_dim": 32, "n_layers": 3, "vocab_size": VOCABULARY}
MODERNBERT = {**COMMON, **SPECIAL, "global_attn_every_n_layers": 2, "local_attention": 4, "cls_token_id": 1, "sep_token_id": 2}
T5 = {**DECODES, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 2}
WHISPER = {**BART, **DECODES, "num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 32}

LANGUAGE_FAMILIES: Mapping[str, tuple[str, Mapping[str, Any], NetworkKind]] = {
    "gpt2": ("GPT2LMHeadModel", GPT2, "causal-lm"),
    "llama": ("LlamaForCausalLM", LLAMA, "causal-lm"),
    "qwen2": ("Qwen2ForCausalLM", {**LLAMA, "tie_word_embeddings": True}, "causal-lm"),
    "bert": ("BertForMaskedLM", COMMON, "masked-lm"),
    "distilbert": ("DistilBertForMaskedLM", DISTILBERT, "masked-lm"),
    "modernbert": ("ModernBertForMaskedLM", MODERNBERT, "masked-lm"),
    "t5": ("T5ForConditionalGeneration", {**T5, "vocab_size": VOCABULARY}, "seq2seq-lm"),
    "bart": ("BartForConditionalGeneration", {**BART, **DECODES, "max_position_embeddings": 64}, "seq2seq-lm"),
    "marian": ("MarianMTModel", {**BART, **DECODES, "max_position_embeddings": 64}, "seq2seq-lm"),
    "whisper": ("WhisperForConditionalGeneration", WHISPER, "speech-seq2seq"),
}


def tiny_language_model(family: str, *, seed: int) -> nn.Module:
    """A small random network of a family in `LANGUAGE_FAMILIES`, in evaluation mode; the same seed gives the same weights.

    Example:
        >>> network = tiny_language_model("qwen2", seed=0)
        >>> network.get_output_embeddings().weight is network.get_input_embeddings().weight
        True
    """
    class_name, settings, _ = LANGUAGE_FAMILIES[family]
    kind = getattr(transformers, class_name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = kind(kind.config_class(**settings))
        for parameter in filter(lambda item: item.requires_grad, network.parameters()):  # fresh norms would all be alike
            parameter.data += (0.1 if parameter.ndim == 1 else 0.05) * torch.randn_like(parameter)
    return network.eval()


def tiny_language_backbone(family: str, *, seed: int) -> Backbone:
    """The same as a `Backbone`."""
    network: Any = tiny_language_model(family, seed=seed)
    return wrap_backbone(network, width=16, model_type=network.config.model_type)


def example_language_inputs(family: str, *, seed: int) -> dict[str, Tensor]:
    """Random inputs of three rows: ids of different lengths; of an encoder-decoder what goes into both."""
    generator = torch.Generator().manual_seed(seed)
    kind = LANGUAGE_FAMILIES[family][2]

    def ids(name: str, lengths: tuple[int, ...]) -> dict[str, Tensor]:
        tokens = torch.randint(3, VOCABULARY, (len(lengths), max(lengths)), generator=generator)
        mask = (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()
        return {f"{name}input_ids": tokens * mask, f"{name}attention_mask": mask}

    if kind in ("causal-lm", "masked-lm"):
        return ids("", (11, 7, 4))
    if kind == "seq2seq-lm":
        return {**ids("", (11, 7, 4)), **ids("decoder_", (5, 6, 3))}
    return {"input_features": torch.randn(3, 8, 40, generator=generator), **ids("decoder_", (5, 6, 3))}

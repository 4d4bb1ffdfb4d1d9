"""Small networks of every family, made from a seed: two to four blocks, width 16 to 32, random weights."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.load import drop_unused_pooler

VOCABULARY = 99
COMMON = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "vocab_size": VOCABULARY,
}
CONVOLUTIONS = ((8, 4), (4, 2))  # kernel and step of those in front of the blocks of a network for sound
AUDIO = {**COMMON, "conv_dim": (8, 8), "num_conv_pos_embedding_groups": 2}
AUDIO |= {"conv_kernel": [kernel for kernel, _ in CONVOLUTIONS], "conv_stride": [step for _, step in CONVOLUTIONS]}
AUDIO |= {
    "num_conv_pos_embeddings": 4,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_feat_extract_layers": 2,
}

FAMILIES: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "bert": ("Bert", COMMON, "text"),
    "distilbert": ("DistilBert", {"dim": 16, "n_heads": 2, "hidden_dim": 32, "n_layers": 3, "vocab_size": VOCABULARY}, "text"),
    "roberta": ("Roberta", {**COMMON, "max_position_embeddings": 40}, "text"),
    "deberta-v2": (
        "DebertaV2",
        {**COMMON, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "conv_kernel_size": 3},
        "text",
    ),
    "modernbert": ("ModernBert", {**COMMON, "global_attn_every_n_layers": 2, "local_attention": 4, "pad_token_id": 0}, "text"),
    "t5": (
        "T5",
        {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2, "vocab_size": VOCABULARY},
        "text",
    ),
    "gpt2": ("GPT2", {"n_embd": 16, "n_head": 2, "n_layer": 3, "vocab_size": VOCABULARY, "n_positions": 64}, "text"),
    "llama": ("Llama", {**COMMON, "num_key_value_heads": 1}, "text"),
    "qwen2": ("Qwen2", {**COMMON, "num_key_value_heads": 1}, "text"),
    "bart": (
        "Bart",
        {
            "d_model": 16,
            "encoder_layers": 3,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_layers": 1,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 32,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 64,
        },
        "text",
    ),
    "vit": ("ViT", {**COMMON, "image_size": 32, "patch_size": 8}, "image"),
    "swin": (
        "Swin",
        {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [2, 2, 2], "num_heads": [1, 2, 2], "window_size": 4},
        "image",
    ),
    "resnet": (
        "ResNet",
        {"embedding_size": 8, "hidden_sizes": [8, 16, 16], "depths": [1, 2, 1], "layer_type": "basic"},
        "image",
    ),
    "mobilenet_v2": (
        "MobileNetV2",
        {"image_size": 32, "depth_multiplier": 0.25, "tf_padding": False, "finegrained_output": False},
        "image",
    ),
    "convnext": ("ConvNext", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 2, 1], "image_size": 32}, "image"),
    "wav2vec2": ("Wav2Vec2", AUDIO, "audio"),
    "wav2vec2-base": ("Wav2Vec2", {**AUDIO, "feat_extract_norm": "group", "do_stable_layer_norm": False}, "audio"),
    "whisper": (
        "Whisper",
        {
            "d_model": 16,
            "encoder_layers": 3,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_layers": 1,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 32,
            "vocab_size": VOCABULARY,
            "num_mel_bins": 8,
            "max_source_positions": 20,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        "spectrogram",
    ),
}
SPECIAL: Mapping[str, tuple[str, Callable[[Any], nn.Module]]] = {
    "t5": ("T5EncoderModel", lambda model: model),
    "bart": ("BartModel", lambda model: model.get_encoder()),
    "whisper": ("WhisperModel", lambda model: model.get_encoder()),
}


def tiny_backbone(family: str, *, seed: int) -> Backbone:
    """A small random network of a family in `FAMILIES`; the same seed gives the same weights."""
    prefix, settings, modality = FAMILIES[family]
    config = getattr(transformers, f"{prefix}Config")(**settings)
    class_name, unwrap = SPECIAL.get(family, (f"{prefix}Model", lambda model: model))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = unwrap(getattr(transformers, class_name)(config))
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    drop_unused_pooler(network)
    if modality == "image":
        settle_norms(network, image_size=32, seed=seed)
    width = network(**example_inputs(family, seed=seed)).last_hidden_state.shape[1 if is_map(family) else -1]
    return wrap_backbone(network.eval(), width=width, model_type=config.model_type)


def settle_norms(network: nn.Module, *, image_size: int, seed: int) -> None:
    """Give a random network with batch norms weights and statistics under which signals and gradients keep their size."""
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for convolution in [module for module in network.modules() if isinstance(module, nn.Conv2d)]:
            nn.init.kaiming_normal_(convolution.weight, generator=generator)
        for _ in range(20):
            coarse = torch.randn(16, 3, 8, 8, generator=generator)
            network(pixel_values=nn.functional.interpolate(coarse, size=image_size, mode="bilinear"))
    network.eval()


def tiny_bert(*, seed: int) -> Backbone:
    """A BERT of three blocks and width 16."""
    return tiny_backbone("bert", seed=seed)


def is_map(family: str) -> bool:
    """Whether a family's hidden states are feature maps."""
    return family in ("resnet", "mobilenet_v2", "convnext")


def example_inputs(family: str, *, seed: int, batch_size: int = 3) -> dict[str, Tensor]:
    """Random inputs of a family; text and (layer-normed) audio have different lengths."""
    generator = torch.Generator().manual_seed(seed)
    modality = FAMILIES[family][2]
    if modality == "text":
        ids = torch.randint(3, VOCABULARY, (batch_size, 11), generator=generator)
        mask = (torch.arange(11)[None, :] < torch.tensor([11, 7, 4])[:batch_size, None]).long()
        return {"input_ids": ids * mask, "attention_mask": mask}
    if modality == "image":
        return {"pixel_values": torch.randn(batch_size, 3, 32, 32, generator=generator)}
    if modality == "spectrogram":
        return {"input_features": torch.randn(batch_size, 8, 40, generator=generator)}
    samples = torch.randn(batch_size, 400, generator=generator)
    if family == "wav2vec2-base":
        return {"input_values": samples}
    mask = (torch.arange(400)[None, :] < torch.tensor([400, 300, 180])[:batch_size, None]).long()
    return {"input_values": samples * mask, "attention_mask": mask}

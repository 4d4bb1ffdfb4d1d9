"""Small networks with random weights that boxes can be found on, in folders as transformers writes them."""

from pathlib import Path

import torch
import transformers

from luthier.core.storage import write_json

LABELS = {0: "N/A", 1: "disc", 2: "crane"}


def tiny_detr(seed: int = 0) -> transformers.DetrForObjectDetection:
    """A DETR of two layers each on a ResNet of four, with ten queries."""
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    config = transformers.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=10,
        id2label=LABELS,
        label2id={name: place for place, name in LABELS.items()},
    )
    return _seeded(transformers.DetrForObjectDetection, config, seed)


def tiny_yolos(seed: int = 0) -> transformers.YolosForObjectDetection:
    """A YOLOS of three layers for pictures of about 96 x 64 pixels, with ten queries."""
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=[64, 96],
        patch_size=16,
        num_detection_tokens=10,
        id2label=LABELS,
        label2id={name: place for place, name in LABELS.items()},
    )
    return _seeded(transformers.YolosForObjectDetection, config, seed)


def tiny_map_model(folder: Path, *, seed: int = 0) -> Path:
    """Write a ResNet of four blocks with maps of 4 to 32 pixels a place; its random features tell colours and edges apart.

    Args:
        folder: Made if absent.
    """
    config = transformers.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 24, 32, 32], depths=[1, 1, 1, 1], layer_type="basic"
    )
    transformers.utils.logging.disable_progress_bar()
    _seeded(transformers.ResNetModel, config, seed).save_pretrained(folder)
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 64, "width": 64},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    write_json(folder / "preprocessor_config.json", preprocessing)
    return folder


DETECTORS = {"detr": (tiny_detr, "Detr"), "yolos": (tiny_yolos, "Yolos")}


def tiny_detector(folder: Path, family: str, *, seed: int = 0) -> Path:
    """Write a small detector of a family with its preprocessing.

    Args:
        folder: Made if absent.
        family: `detr` or `yolos`.
    """
    build, name = DETECTORS[family]
    transformers.utils.logging.disable_progress_bar()
    build(seed).save_pretrained(folder)
    preprocessing = {
        "image_processor_type": f"{name}ImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 64, "longest_edge": 96},
        "do_pad": True,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    write_json(folder / "preprocessor_config.json", preprocessing)
    return folder


def _seeded(kind: type, config: object, seed: int) -> transformers.PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config).eval()

"""The files by which sentence-transformers reads a model folder: which modules follow which, and how they are set.

modules.json                          transformer, pooling, projection, length one
sentence_bert_config.json             the longest text
1_Pooling/config.json                 how one vector is made of many
2_Dense/config.json, .safetensors     the projection, as one matrix
"""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from luthier.core.storage import write_json
from luthier.models.processors import Processor, TextProcessor
from luthier.models.projection_head import ProjectionHead
from luthier.training.model import TunedModel

# Our word -> (theirs, their key in the configurations of all versions).
POOLINGS = {
    "mean": "pooling_mode_mean_tokens",
    "first": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "last": "pooling_mode_lasttoken",
}
MODULES = (
    ("", "Transformer"),
    ("1_Pooling", "Pooling"),
    ("2_Dense", "Dense"),
    ("3_Normalize", "Normalize"),
)


def write_sentence_layout(folder: Path, model: TunedModel, processor: Processor, *, pooling: str) -> None:
    """Add these files to a model folder; nothing is written for a head or a pooling that they cannot express."""
    if not isinstance(model.head, ProjectionHead) or not isinstance(processor, TextProcessor) or pooling not in POOLINGS:
        return
    width = model.backbone.width
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(MODULES)
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": processor.max_length, "do_lower_case": False})
    modes: dict[str, Any] = {key: name == pooling for name, key in POOLINGS.items()}
    for path, _ in MODULES[1:]:
        (folder / path).mkdir()
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})
    dense = {
        "in_features": width,
        "out_features": width,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write_json(folder / "2_Dense" / "config.json", dense)
    save_file({"linear.weight": model.head.matrix().cpu().contiguous()}, folder / "2_Dense" / "model.safetensors")

"""What is refused in a model folder from elsewhere, found before torch or transformers read a byte of it.

A folder is data: configuration as JSON, weights as safetensors. Everything that could make a program import or fetch code
(pickle, `auto_map`, Python files, hub kernels, adapters that name a base model, links that leave the folder) is refused.
Nothing here imports what it checks; `weights.py` looks into the weights' headers, `json_check.py` into JSON.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from luthier.core.names import count_of, describe_unknown
from luthier.core.storage import format_bytes
from luthier.errors import ModelError, raise_together
from luthier.models.strict_json import read_strict_json
from luthier.models.weights import INDEX_SUFFIX, check_header, read_index

CONFIG = "config.json"
MAX_CONFIG_BYTES = 4 * 1024**2  # ImageNet-21k's label names take 1.5 MB
MAX_TOKENIZER_BYTES = 128 * 1024**2  # the largest in use (256,000 pieces) take 35 MB
MAX_FILES = 2000
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".gguf", ".onnx", ".npy", ".npz")
CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so", ".dylib", ".dll")
# Keys that make transformers or diffusers import code, wherever in a configuration they stand.
CODE_KEYS = frozenset(
    {"auto_map", "trust_remote_code", "custom_pipelines", "custom_pipeline", "custom_generate", "custom_object", "remote_code"}
)
# Attention and expert implementations that are part of torch or transformers; anything else may be fetched from the hub.
OWN_IMPLEMENTATIONS = frozenset({"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention", "grouped_mm"})
IMPLEMENTATION = re.compile(r"(attn|attention|experts?)_implementation")
KERNEL_KEYS = frozenset({"kernel_config", "use_kernels", "kernels", "hub_kernels", "allow_all_kernels"})
DOWNLOAD_KEYS = frozenset({"use_pretrained_backbone", "use_timm_backbone"})
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers", "depth")
SIZES = ("hidden_size", "intermediate_size", "d_model", "d_ff", "n_embd", "dim", "vocab_size", "max_position_embeddings")
MAX_COUNTS = {**dict.fromkeys(LAYERS, 1000), **dict.fromkeys(SIZES, 10_000_000)}
CONVERT = (
    "python -c \"from transformers import AutoModel as M; M.from_pretrained('{name}').save_pretrained('converted')\" "
    "where you trust the source, then --model ./converted"
)


def check_folder(folder: Path) -> dict[str, Any]:
    """Refuse a model folder that could run code, fetch something, or exhaust memory; its configuration if it is sound.

    Raises:
        ModelError: all that is wrong with the folder, together.
    """
    errors = list(_file_errors(folder))
    config: dict[str, Any] = {}
    if not (folder / CONFIG).is_file():
        errors.append(
            ModelError(
                f"{folder} has no {CONFIG}: it is not a Hugging Face model folder.", remedy=f"ls {folder}; then another one"
            )
        )
    for path in _json_files(folder):
        try:
            content = read_strict_json(path, max_bytes=MAX_CONFIG_BYTES)
        except ModelError as error:
            errors.append(error)
            continue
        errors.extend(_setting_errors(path, content))
        if path.name == CONFIG and path.parent == folder:
            errors.extend(_model_type_errors(path, content))
            config = content if isinstance(content, dict) else {}
    raise_together(errors)
    return config


def _file_errors(folder: Path) -> Iterator[ModelError]:
    paths = sorted(folder.rglob("*"))
    if len(paths) > MAX_FILES:
        yield ModelError(f"{folder} holds {len(paths):,} files; a model has a few.", remedy="name the folder of one model")
        return
    yield from _link_errors(folder, paths)
    if code := [path for path in paths if path.suffix.lower() in CODE_SUFFIXES]:
        yield ModelError(
            f"{folder} holds program code ({_names(folder, code)}); Luthier runs no code that comes with a model.",
            remedy=f"if the model works without it, delete {code[0]}; otherwise choose another model (luthier models)",
        )
    if (folder / "adapter_config.json").exists():
        yield ModelError(
            f"{folder} is an adapter: it names a base model that would have to be fetched.",
            remedy="merge it into its base model first (peft: merge_and_unload(), then save_pretrained), and name that folder",
        )
    for path in paths:
        if path.name in ("tokenizer.json", "vocab.json") and path.is_file() and path.stat().st_size > MAX_TOKENIZER_BYTES:
            yield ModelError(
                f"{path} has {format_bytes(path.stat().st_size)}; at most {format_bytes(MAX_TOKENIZER_BYTES)} are read.",
                remedy="take the tokenizer from the model's own source again",
            )
    yield from _weight_errors(folder)


def _link_errors(folder: Path, paths: list[Path]) -> Iterator[ModelError]:
    root = folder.resolve()
    allowed = [root]
    if root.parent.name == "snapshots":  # the hub's cache keeps files in blobs/ and links to them from snapshots/COMMIT/
        allowed.append(root.parent.parent / "blobs")
    for path in paths:
        target = path.resolve()
        if path.is_symlink() and not any(target.is_relative_to(place) for place in allowed):
            yield ModelError(
                f"{path} is a link that leaves the folder (to {target}).",
                remedy=f"put a copy of the file in the place of {path}",
            )


def _weight_errors(folder: Path) -> Iterator[ModelError]:
    pickles = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in PICKLE_SUFFIXES]
    if not any(folder.glob("*.safetensors")):
        if pickles:
            yield ModelError(
                f"{folder} has its weights only as {_names(folder, pickles)}, a format that can run code when it is read; "
                "Luthier reads safetensors.",
                remedy=CONVERT.format(name=folder),
            )
        else:
            yield ModelError(
                f"{folder} holds no weights (*.safetensors).", remedy=f"ls {folder}; then name the folder with them"
            )
        return
    for path in weight_files(folder):
        try:
            check_header(path)
        except ModelError as error:
            yield error
    for path in sorted(folder.glob("*" + INDEX_SUFFIX)):
        try:
            read_index(path)
        except ModelError as error:
            yield error


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The weights of a folder, in order: `model.safetensors`, else those its index names, else all safetensors files."""
    single = folder / "model.safetensors"
    if single.exists():
        return (single,)
    indexes = sorted(folder.glob("*" + INDEX_SUFFIX))
    names = read_index(indexes[0]) if indexes else sorted(path.name for path in folder.glob("*.safetensors"))
    return tuple(folder / name for name in names)


def _json_files(folder: Path) -> list[Path]:
    """The JSON files that steer a program: configurations, at the top and one level below; not vocabularies."""
    steering = ("config", "modules.json", "model_index.json", "special_tokens_map.json", "processor")
    found = [*folder.glob("*.json"), *folder.glob("*/*.json")]
    return sorted(path for path in found if path.is_file() and any(word in path.name for word in steering))


def _setting_errors(path: Path, content: Any) -> Iterator[ModelError]:
    for where, key, value in _settings(content):
        if reason := _reason_to_refuse(key, value):
            yield ModelError(
                f"{path}: '{where}' ({str(value)[:80]!r}) {reason}.",
                remedy=f"choose another model (luthier models); or, if this one works without it, remove '{where}' there",
            )


def _settings(content: Any, where: str = "") -> Iterator[tuple[str, str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            here = f"{where}.{key}" if where else str(key)
            yield here, str(key), value
            if key not in ("id2label", "label2id"):  # a label may be called anything
                yield from _settings(value, here)
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _settings(value, f"{where}[{number}]")


def _reason_to_refuse(key: str, value: Any) -> str:
    if not value:
        return ""
    if key in CODE_KEYS:
        return "would make a program run code that comes with the model"
    if key in KERNEL_KEYS or (IMPLEMENTATION.search(key) and not _is_own(value)):
        return "would fetch program code (a kernel) from the hub"
    if key == "quantization_config":
        return "needs a quantisation library; quantised weights cannot be tuned"
    if key in DOWNLOAD_KEYS:
        return "would fetch another model's weights"
    if isinstance(value, int) and value > MAX_COUNTS.get(key, value):
        return f"is more than {MAX_COUNTS[key]:,}; building that model would exhaust memory"
    return ""


def _is_own(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(item is None or _is_own(item) for item in value.values())
    return isinstance(value, str) and value in OWN_IMPLEMENTATIONS


def _model_type_errors(path: Path, content: Any) -> Iterator[ModelError]:
    if not isinstance(content, dict):
        yield ModelError(f"{path} holds {type(content).__name__}, not an object with settings.", remedy=f"correct {path}")
        return
    model_type = content.get("model_type")
    if not isinstance(model_type, str):
        yield ModelError(
            f"{path} names no model_type, so that the architecture is unknown.",
            remedy=f'add the architecture\'s name to {path}, as in "model_type": "bert"',
        )
    elif (known := known_model_types()) and model_type not in known:
        hint = describe_unknown("model_type", model_type, known).partition(" Known:")[0]
        yield ModelError(
            f"{path}: {hint} The installed transformers has {count_of(len(known), 'architecture')}.",
            remedy="pip install -U transformers, or choose another model (luthier models)",
        )


@cache
def known_model_types() -> frozenset[str]:
    """The architectures of the installed transformers, read from its source without importing it.

    Importing transformers takes seconds, and must not happen before a folder is judged.
    """
    spec = find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        return frozenset()
    folder = Path(next(iter(spec.submodule_search_locations))) / "models" / "auto"
    sources = [folder / "auto_mappings.py", folder / "configuration_auto.py"]
    return frozenset().union(*(_model_types_in(path) for path in sources if path.is_file()))


def _model_types_in(path: Path) -> set[str]:
    """Keys of everything that is assigned to, or added to, CONFIG_MAPPING_NAMES in a source file."""
    found: set[str] = set()
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if "CONFIG_MAPPING_NAMES" not in ast.dump(statement) or isinstance(statement, ast.FunctionDef | ast.ClassDef):
            continue
        for node in ast.walk(statement):
            keys: list[ast.expr | None] = []
            if isinstance(node, ast.Tuple) and len(node.elts) == 2:
                keys = [node.elts[0]]
            elif isinstance(node, ast.Dict):
                keys = list(node.keys)
            found |= {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return found


def _names(folder: Path, paths: list[Path]) -> str:
    shown = ", ".join(path.relative_to(folder).as_posix() for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")

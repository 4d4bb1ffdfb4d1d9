"""A hostile model folder is refused before anything of it is imported, unpickled or followed."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from luthier.errors import ModelError
from luthier.models.refusal import check_folder, known_model_types, weight_files
from luthier.models.strict_json import parse_strict_json
from luthier.models.weights import check_header, digest_of

CONFIG = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1}


def make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(
        {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(2, np.float16)}, folder / "model.safetensors"
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "model")


def config(**extra: Any) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_text(json.dumps({**CONFIG, **extra}))


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    def do(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return do


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def sharded(*names: str) -> Callable[[Path], object]:
    def do(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        index = {"weight_map": {str(number): name for number, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return do


def link_outside(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    outside.write_text("{}")
    (folder / "tokenizer_config.json").symlink_to(outside)


def linked_folder_outside(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "1_Pooling").symlink_to(folder.parent / "elsewhere")


REMOTE = {"AutoModel": "modeling_evil.Evil", "AutoConfig": "org/repo--configuration_evil.Evil"}
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "auto_map": (config(auto_map=REMOTE), "'auto_map'.*run code"),
    "auto_map in a part": (config(text_config={"auto_map": REMOTE}), r"'text_config\.auto_map'"),
    "auto_map of the tokenizer": (write("tokenizer_config.json", json.dumps({"auto_map": REMOTE})), r"tokenizer_config\.json"),
    "auto_map of the image processor": (write("preprocessor_config.json", json.dumps({"auto_map": REMOTE})), "preprocessor"),
    "auto_map one folder down": (write("0_Transformer/config.json", json.dumps({"auto_map": REMOTE})), "0_Transformer"),
    "trust_remote_code": (config(trust_remote_code=True), "trust_remote_code"),
    "custom_pipelines": (config(custom_pipelines={"x": {"impl": "evil.Pipeline"}}), "custom_pipelines"),
    "custom_generate": (write("generation_config.json", '{"custom_generate": "org/evil"}'), "custom_generate"),
    "attention kernel": (config(attn_implementation="org/kernel"), "a kernel"),
    "attention kernel, private": (config(_attn_implementation="org/kernel@main:attn"), "a kernel"),
    "attention kernel, internal": (config(_attn_implementation_internal="org/kernel"), "a kernel"),
    "attention kernel of a part": (config(attn_implementation={"text_config": "org/kernel", "": "sdpa"}), "a kernel"),
    "expert kernel": (config(_experts_implementation="org/kernel"), "a kernel"),
    "kernels": (config(kernel_config={"RMSNorm": "org/kernel:Norm"}), "a kernel"),
    "quantised": (config(quantization_config={"quant_method": "evil", "modules": ["os.system"]}), "quantis"),
    "other backbone fetched": (config(backbone="org/name", use_pretrained_backbone=True), "another model's weights"),
    "timm": (config(use_timm_backbone=True), "another model's weights"),
    "a layer too many": (config(num_hidden_layers=10**9), "exhaust memory"),
    "a wide one": (config(hidden_size=10**12), "exhaust memory"),
    "Python beside it": (write("modeling_bert.py", "raise SystemExit"), r"modeling_bert\.py"),
    "Python below": (write("custom_generate/generate.py", "raise SystemExit"), r"generate\.py"),
    "a library": (write("fast.so", b"\x7fELF"), r"fast\.so"),
    "an adapter": (write("adapter_config.json", '{"base_model_name_or_path": "org/name"}'), "adapter"),
    "pickle alone": (only_pickle, "pytorch_model.bin.*can run code"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), r"no config\.json"),
    "unknown architecture": (config(model_type="brt"), "Did you mean 'bert'"),
    "no architecture": (config(model_type=None), "no model_type"),
    "a list": (write("config.json", "[1, 2]"), "holds list"),
    "NaN": (write("config.json", '{"model_type": "bert", "dropout": NaN}'), "NaN"),
    "broken JSON": (write("config.json", '{"model_type": "bert"'), "not sound JSON"),
    "not UTF-8": (write("config.json", b'{"model_type": "\xff"}'), "not sound JSON"),
    "a key twice": (write("config.json", '{"model_type": "bert", "x": 1, "x": 2}'), "twice"),
    "nested deep": (write("config.json", '{"a": ' + "[" * 40 + "]" * 40 + "}"), "nested deeper than"),
    "nested without end": (write("config.json", "[" * 100_000), "nested too deep"),
    "a number without end": (write("config.json", '{"a": ' + "9" * 5000 + "}"), "not sound JSON"),
    "a huge configuration": (write("config.json", '{"a": "' + "x" * 5_000_000 + '"}'), "at most"),
    "a link outside": (link_outside, "leaves the folder"),
    "a linked folder outside": (linked_folder_outside, "leaves the folder"),
    "weights cut off": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-3]),
        "describes",
    ),
    "weights of nothing": (write("model.safetensors", b""), "header that claims"),
    "weights with a giant header": (write("model.safetensors", (2**62).to_bytes(8, "little") + b"{}"), "header that claims"),
    "shards outside": (sharded("../../secret.safetensors"), "not a safetensors file of this folder"),
    "shards as pickle": (sharded("pytorch_model.bin"), "not a safetensors file of this folder"),
    "a shard missing": (sharded("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), "missing"),
}


def sound_weights(header: dict[str, Any], body: int) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def tensor(start: int, stop: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


WEIGHTS: dict[str, tuple[dict[str, Any], int]] = {
    "overlap": ({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, 12),
    "hole": ({"a": tensor(0, 4, [1]), "b": tensor(8, 12, [1])}, 12),
    "wrong shape": ({"a": tensor(0, 8, [3])}, 8),
    "negative": ({"a": tensor(0, 8, [-1, -2])}, 8),
    "unknown type": ({"a": tensor(0, 8, [2], "X99")}, 8),
    "text for a number": ({"a": {"dtype": "F32", "shape": "12", "data_offsets": ["0", "8"]}}, 8),
    "bytes behind": ({"a": tensor(0, 8, [2])}, 108),
}


def test_a_sound_folder_passes_and_gives_its_configuration(folder: Path) -> None:
    assert check_folder(folder) == CONFIG


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folders_are_refused_with_a_remedy(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil, problem = HOSTILE[name]
    spoil(folder)
    monkeypatch.setattr("pickle.load", lambda *_: pytest.fail("unpickled"))
    monkeypatch.syspath_prepend(folder)
    modules = set(sys.modules)
    with pytest.raises(ModelError) as caught:
        check_folder(folder)
    assert re.search(problem, str(caught.value), flags=re.DOTALL), caught.value
    assert caught.value.remedy
    assert not {
        module for module in set(sys.modules) - modules if re.match("torch|transformers|modeling|generate|fast", module)
    }


@pytest.mark.parametrize("name", WEIGHTS)
def test_headers_that_do_not_fit_the_file_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(sound_weights(*WEIGHTS[name]))
    with pytest.raises(ModelError, match="not a sound weights file"):
        check_header(path)


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    for name in ("auto_map", "Python beside it", "pickle alone"):
        HOSTILE[name][0](folder)
    with pytest.raises(ModelError, match="3 problems") as caught:
        check_folder(folder)
    assert all(word in str(caught.value) for word in ("auto_map", "modeling_bert.py", "pytorch_model.bin"))


def test_harmless_settings_that_look_alike_pass(folder: Path) -> None:
    labels = {"id2label": {"0": "auto_map"}, "label2id": {"auto_map": 0, "trust_remote_code": 1}}
    config(**labels, attn_implementation="sdpa", auto_map={}, use_timm_backbone=False, quantization_config=None)(folder)
    write("tokenizer_config.json", '{"model_max_length": 1000000000000000019884624838656}')(folder)
    write("vocab.json", '{"auto_map": 1}')(folder)
    check_folder(folder)


def test_pickle_beside_safetensors_is_left_alone(folder: Path) -> None:
    write("pytorch_model.bin", b"\x80\x04cos\nsystem\n")(folder)
    check_folder(folder)
    assert weight_files(folder) == (folder / "model.safetensors",)


def test_the_hub_cache_may_link_to_its_blobs(tmp_path: Path) -> None:
    blobs = make_folder(tmp_path / "models--org--name" / "blobs")
    snapshot = tmp_path / "models--org--name" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    check_folder(snapshot)


def test_shards_are_read_in_the_order_of_the_index(folder: Path) -> None:
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    save_file({"a": np.zeros(2, np.float32)}, folder / names[1])
    sharded(*reversed(names))(folder)
    check_folder(folder)
    assert [path.name for path in weight_files(folder)] == names
    before = digest_of(weight_files(folder))
    save_file({"a": np.ones(2, np.float32)}, folder / names[1])
    assert digest_of(weight_files(folder)) != before


@pytest.mark.shared_data
def test_real_weights_and_configurations_pass(shared: Path) -> None:
    assert check_folder(shared / "weights" / "mobilenet_v2_hf")["model_type"] == "mobilenet_v2"
    for path in (shared / "weights").rglob("*.safetensors"):
        check_header(path)


def test_the_known_architectures_are_those_of_transformers() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert known_model_types() >= set(CONFIG_MAPPING_NAMES)


@settings(max_examples=150)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:019eE-.ntrufalsN \\', max_size=60).map(str.encode))
def test_only_our_error_leaves_the_reader(content: bytes) -> None:
    try:
        parse_strict_json(content, Path("config.json"))
    except ModelError as error:
        assert "config.json" in error.problem


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_headers_only_give_our_error(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = bytearray(sound_weights({"a": tensor(0, 8, [2]), "b": tensor(8, 12, [1])}, 12))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)):
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "model.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        check_header(path)
    except ModelError as error:
        assert str(path) in error.problem

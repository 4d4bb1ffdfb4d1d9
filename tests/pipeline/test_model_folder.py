"""What a model folder promises: it loads in plain transformers, older formats stay readable, foreign code is never run."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from pyarrow import parquet
from safetensors.numpy import load_file, save_file

import luthier
from luthier.errors import LuthierError, ModelError
from luthier.models.backbone import wrap_backbone
from luthier.pipeline import Run
from luthier.testing.folders import tiny_image_model, tiny_text_model

from .conftest import TEXT_RUN, make_pictures

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def folder(text_run: Run, tmp_path: Path) -> Path:
    """A copy of a model folder, to be damaged."""
    return Path(shutil.copytree(text_run.model_path, tmp_path / "model"))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_plain_transformers_computes_the_same(text_run: Run) -> None:
    texts = ["my late parcel", "refund the charge", "battery broken again and again"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(text_run.model_path)
    network = transformers.AutoModel.from_pretrained(text_run.model_path).eval()
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = network(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    pooled = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy()
    head = load_file(text_run.model_path / "head.safetensors")
    logits = pooled @ head["linear.weight"].T + head["linear.bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(luthier.load_model(text_run.model_path).predict_probs(texts), expected, atol=1e-4)


def test_a_model_of_pictures_brings_its_preprocessing_for_transformers(image_model: Path, tmp_path: Path) -> None:
    make_pictures(tmp_path / "shapes", 45)
    settings = {"method": "probe", "threads": 1, "bootstrap_samples": 200}
    run = luthier.tune(tmp_path / "shapes", model=str(image_model), out=str(tmp_path / "run"), **settings)
    transformers.AutoModel.from_pretrained(run.model_path)
    config = json.loads((run.model_path / "preprocessor_config.json").read_text())
    assert config == json.loads((image_model / "preprocessor_config.json").read_text())
    card = (run.model_path / "README.md").read_text()
    assert "pipeline_tag: image-classification" in card
    assert "license: cc0-1.0" in card


def test_the_folder_of_format_1_gives_the_answers_it_gave() -> None:
    recorded = json.loads((DATA / "model-format-1-answers.json").read_text())
    probs = luthier.load_model(DATA / "model-format-1", device="cpu").predict_probs(recorded["texts"])
    assert np.allclose(probs, recorded["probs"], atol=1e-4)


def test_a_newer_format_is_refused_with_a_remedy(folder: Path) -> None:
    edit(folder / "luthier.json", format_version=2)
    with pytest.raises(ModelError, match=r"has format 2; this version of Luthier reads up to 1\.\n  Try: pip install"):
        luthier.load_model(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "luthier.json").unlink(), r"is no Luthier model: it has no luthier\.json"),
        (lambda folder: (folder / "luthier.json").write_text("{"), r"luthier\.json is not sound JSON"),
        (lambda folder: edit(folder / "luthier.json", width="wide"), r"luthier\.json is damaged"),
        (lambda folder: edit(folder / "luthier.json", modality="sound"), r"Nothing here prepares sound|is damaged"),
        (lambda folder: edit(folder / "luthier.json", state={"task": "chess"}), r"Unknown task 'chess'|is damaged"),
        (lambda folder: (folder / "head.safetensors").unlink(), r"head\.safetensors"),
        (lambda folder: (folder / "head.safetensors").write_bytes(b"12345678"), r"head\.safetensors"),
        (lambda folder: save_file({"a": np.zeros(3)}, folder / "head.safetensors"), r"head\.safetensors does not fit"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"no weights"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), r"can run code when it is read"),
        (lambda folder: (folder / "modeling_evil.py").write_text("boom()"), r"program code \(modeling_evil\.py\)"),
        (
            lambda folder: edit(folder / "config.json", auto_map={"AutoModel": "evil.Model"}),
            r"auto_map.*would make a program run",
        ),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), r"config\.json"),
    ],
)
def test_a_damaged_or_dangerous_folder_is_refused(damage: object, message: str, folder: Path) -> None:
    damage(folder)  # type: ignore[operator]
    with pytest.raises(LuthierError, match=message) as caught:
        luthier.load_model(folder)
    assert caught.value.remedy


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    save_file(weights | {name: weights[name][:-7]}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="transformers cannot load"):
        luthier.load_model(folder)


def test_a_path_that_is_no_model_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no Luthier model: it has no luthier\.json\.\n  Try: name a run folder"):
        luthier.load_model(tmp_path)
    (tmp_path / "tickets").mkdir()
    with pytest.raises(ModelError, match=r"There is no folder .*tikcets\. Did you mean '.*tickets'\?"):
        luthier.load_model(tmp_path / "tikcets")
    (tmp_path / "tickets.csv").touch()
    with pytest.raises(ModelError, match=r"is a file; a model is a folder\.\n  Try: name the model first, then the data"):
        luthier.load_model(tmp_path / "tickets.csv")


OWN_NETWORK = """
import torch

class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(400, 8)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)])

    def forward(self, input_ids, attention_mask):
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = hidden + torch.tanh(layer(hidden))
        return hidden

def build():
    torch.manual_seed(0)
    return Own().eval()
"""


def test_a_network_of_ones_own_is_tuned_saved_and_loaded_only_by_leave(
    tickets: Path, text_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ownpackage.py").write_text(OWN_NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    network = importlib.import_module("ownpackage").build()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "top-blocks:1", "out": str(tmp_path / "run")}
    with pytest.raises(ModelError, match=r"Own could not be saved: .*\n  Try: wrap_backbone\(network, width="):
        luthier.tune(tickets, backbone=wrap_backbone(network, width=8), **settings)
    with pytest.raises(ModelError, match=r"ownpackage:biuld cannot be called: .*\n  Try: install"):
        luthier.tune(tickets, backbone=wrap_backbone(network, width=8, builder="ownpackage:biuld"), **settings)
    assert not (tmp_path / "run").exists()
    run = luthier.tune(tickets, backbone=wrap_backbone(network, width=8, builder="ownpackage:build"), **settings)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with pytest.raises(ModelError, match=r"built by ownpackage:build; .*\n  Try: luthier.load_model\(path, allow="):
        luthier.load_model(run.folder)
    model = luthier.load_model(run.folder, allow=["ownpackage"])
    measured = parquet.read_table(run.folder / "predictions.parquet").to_pylist()
    texts = {f"tickets.csv:{line}": text.rpartition(",")[0] for line, text in enumerate(tickets.read_text().splitlines(), 1)}
    assert model.predict([texts[row["example_id"]] for row in measured]) == [row["prediction"] for row in measured]
    assert "`Own`" in (run.model_path / "README.md").read_text()


@pytest.mark.parametrize("kind", ["pickle", "code", "remote"])
def test_tune_refuses_a_dangerous_model_before_anything_is_written(kind: str, tickets: Path, tmp_path: Path) -> None:
    model = tiny_text_model(tmp_path / "bad")
    match kind:
        case "pickle":
            (model / "model.safetensors").rename(model / "pytorch_model.bin")
        case "code":
            (model / "modeling_bad.py").write_text("raise SystemExit")
        case _:
            edit(model / "config.json", auto_map={"AutoModel": "modeling_bad.Model"})
    with pytest.raises(ModelError, match=r"can run code|program code|run code") as caught:
        luthier.tune(tickets, target="topic", model=str(model), out=str(tmp_path / "run"))
    assert caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_a_model_for_pictures_is_refused_for_texts_and_the_other_way_round(tickets: Path, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "shapes", 30)
    text, image = tiny_text_model(tmp_path / "text"), tiny_image_model(tmp_path / "image")
    with pytest.raises(ModelError, match=r"reads image, the data are text\.\n  Try: --model minilm"):
        luthier.tune(tickets, target="topic", model=str(image))
    with pytest.raises(ModelError, match="reads text, the data are image"):
        luthier.tune(pictures, model=str(text))

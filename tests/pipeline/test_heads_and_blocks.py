"""Runs with another head, and with fewer blocks: trained, saved, loaded, resumed from the store, told in the records."""

import json
from pathlib import Path

import numpy as np
import pytest

import luthier
from luthier.core.storage import read_json
from luthier.errors import LuthierError
from luthier.package.folder import load_folder

from .conftest import TEXT_RUN, make_pictures


def events(run: "luthier.pipeline.Run") -> list[dict[str, object]]:
    return [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]


def decisions(run: "luthier.pipeline.Run") -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in (run.folder / "decisions.jsonl").read_text().splitlines()]
    return {decision["name"]: decision for decision in found}


@pytest.mark.parametrize("pooling", ["auto", "attention"])
def test_a_deep_head_is_trained_on_frozen_features_first(pooling: str, tickets: Path, text_model: Path, tmp_path: Path) -> None:
    settings = {**TEXT_RUN, "head_layers": 2, "head_width": 24, "head_dropout": 0.1, "head_pooling": pooling}
    run = luthier.tune(
        tickets, target="topic", model=str(text_model), method="top-blocks:1", out=str(tmp_path / "run"), **settings
    )
    journal = events(run)
    started = {event["rung"]: event for event in journal if event["event"] == "rung_started"}
    assert list(started) == ["probe", "top-blocks:1"]
    attention = 16 if pooling == "attention" else 0
    assert started["probe"]["trainable_parameters"] == attention + 24 * 16 + 24 + 3 * 24 + 3
    losses = [event["loss"] for event in journal if event["event"] == "step" and event["rung"] == "probe"]
    assert abs(losses[0] - np.log(3)) < 0.2  # type: ignore[operator]
    assert losses[-1] < losses[0]
    assert "fresh" in str(decisions(run)["head"]["reason"])
    assert "probe" in run.metrics.test  # the linear probe is a model of its own on the card
    model, _, description = load_folder(run.model_path)
    assert description.head["kind"] == "deep"
    assert (model.head.pooling is not None) == (pooling == "attention")
    again = luthier.load_model(run.folder).predict(["the parcel is late", "my refund"])
    assert all(label in ("billing", "delivery", "device") for label in again)


def test_a_deep_head_alone_is_a_method(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    """Also refitted on train and validation; what is kept is what trained, not the linear probe."""
    settings = {**TEXT_RUN, "head_layers": 2, "method": "probe", "refit": True}
    run = luthier.tune(tickets, target="topic", model=str(text_model), out=str(tmp_path / "run"), **settings)
    assert decisions(run)["method"]["value"] == "probe"
    assert {"probe", "tuned"} <= set(run.metrics.test)
    assert any(event["event"] == "refit_step" for event in events(run))
    pretrained = luthier.tune(
        tickets, target="topic", model=str(text_model), method="probe", out=str(tmp_path / "linear"), **TEXT_RUN
    )
    assert "probe" not in pretrained.metrics.test


def test_fewer_blocks_are_another_model(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    common = {**TEXT_RUN, "target": "topic", "model": str(text_model), "method": "top-blocks:1"}
    whole = luthier.tune(tickets, out=str(tmp_path / "whole"), **common)
    short = luthier.tune(tickets, out=str(tmp_path / "short"), keep_blocks=2, **common)
    assert decisions(short)["keep_blocks"]["value"] == 2
    assert read_json(short.model_path / "config.json")["num_hidden_layers"] == 2
    assert read_json(whole.model_path / "config.json")["num_hidden_layers"] == 3
    assert read_json(short.model_path / "luthier.json")["base"]["keep_blocks"] == 2
    # Nothing stored of the whole model was taken for the shorter one.
    assert whole.metrics.test["probe"]["log_loss"] != short.metrics.test["probe"]["log_loss"]
    luthier.load_model(short.folder).predict(["the parcel is late"])
    import transformers

    assert transformers.AutoModel.from_pretrained(short.model_path).config.num_hidden_layers == 2


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        ({"keep_blocks": 99}, "The model has 3 blocks; 99 of them cannot be kept.", "--keep-blocks 1"),
        ({"head_width": 0}, "head_width is 0; expected a whole number of at least 1", "leave head_width out"),
        ({"head_depth": 2}, "Unknown keyword 'head_depth'. Did you mean 'head_width'?", "head_width"),
    ],
)
def test_what_cannot_be_is_said(
    settings: dict[str, object], problem: str, remedy: str, tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(LuthierError) as caught:
        luthier.tune(tickets, target="topic", model=str(text_model), out=str(tmp_path / "run"), **settings)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_maps_have_no_first_place(image_model: Path, tmp_path: Path) -> None:
    pictures = make_pictures(tmp_path / "pictures", 60)
    with pytest.raises(LuthierError, match="no place is the first"):
        luthier.tune(pictures, model=str(image_model), head_pooling="first", out=str(tmp_path / "run"))

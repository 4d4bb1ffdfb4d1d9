"""The catalogue is data that can be trusted: whole, consistent, and true of what is installed."""

import json
from pathlib import Path

import pytest

from luthier.core.storage import sha256_of
from luthier.errors import ModelError
from luthier.models.catalogue import (
    CATALOG_FOLDER,
    default_entry,
    entries_for,
    entry_names,
    entry_of_weights,
    find_entry,
    load_catalogue,
    load_family,
)
from luthier.models.hub import is_hub_name
from luthier.models.refusal import known_model_types
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.models.weights import check_header


def test_every_file_of_the_folder_is_read() -> None:
    families = [path for path in CATALOG_FOLDER.iterdir() if path.suffix == ".toml"]
    assert len(load_catalogue()) == sum(path.read_text(encoding="utf-8").count("[[model]]") for path in families) > 20


def test_names_and_hub_ids_are_unique_and_well_formed() -> None:
    entries = load_catalogue()
    assert len(set(entry_names())) == len(entries) == len({entry.hub_id for entry in entries})
    assert all(is_hub_name(entry.hub_id) for entry in entries)
    assert all("/" not in entry.name for entry in entries)


def test_every_architecture_is_one_that_transformers_has() -> None:
    assert {entry.model_type for entry in load_catalogue()} <= known_model_types()


def test_text_and_images_have_one_default_each_and_it_comes_first() -> None:
    assert {entry.name for entry in load_catalogue() if entry.default} == {"minilm", "mobilenet-v2"}
    for modality in ("text", "image"):
        assert default_entry(modality) == entries_for(modality)[0]
    assert default_entry("audio") is None


def test_the_text_default_is_described_as_its_package_is() -> None:
    entry, folder = find_entry("minilm"), resolve_model(ModelSettings(), modality="text").folder
    config = json.loads((folder / "config.json").read_text())
    assert (entry.width, entry.blocks) == (config["hidden_size"], config["num_hidden_layers"])
    assert entry.weights_bytes == (folder / "model.safetensors").stat().st_size
    assert entry.weights_sha256 == sha256_of(folder / "model.safetensors")
    assert abs(entry.parameters * 4 - entry.download_bytes) < 20_000  # the header and the position numbers
    assert entry_of_weights(str(entry.weights_sha256)) is entry
    check_header(folder / "model.safetensors")


def test_a_hub_id_finds_the_same_entry_as_its_name() -> None:
    assert find_entry("sentence-transformers/all-MiniLM-L6-v2") is find_entry("minilm")


def test_an_unknown_name_shows_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"Unknown model 'distilbrt'\. Did you mean 'distilbert'\?") as caught:
        find_entry("distilbrt")
    assert "luthier models" in caught.value.remedy


@pytest.mark.parametrize(("line", "problem"), [("licnce = 'MIT'", "Did you mean 'licence'"), ("width = 'wide'", "width")])
def test_a_mistake_in_a_family_file_names_the_file_and_the_key(line: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "swin.toml"
    path.write_text((CATALOG_FOLDER / "swin.toml").read_text(encoding="utf-8").replace("width = 768", line))
    with pytest.raises(ModelError, match=r"swin\.toml") as caught:
        load_family(path)
    assert problem in caught.value.problem

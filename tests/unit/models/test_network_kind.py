"""What a model was made for is read off its folder, or its name, without loading it."""

import json
from pathlib import Path

import pytest

from luthier.models.network_kind import network_kind_of
from luthier.testing.folders import tiny_text_model
from luthier.testing.language_folders import tiny_language_folder
from luthier.testing.language_models import LANGUAGE_FAMILIES


@pytest.mark.parametrize("family", ["t5", "bart", "marian", "whisper", "gpt2", "llama"])
def test_folders_say_what_they_are(tmp_path: Path, family: str) -> None:
    folder = tiny_language_folder(tmp_path / family, family)
    assert network_kind_of(str(folder)) == LANGUAGE_FAMILIES[family][2]


def test_encoders_and_unknown_names_say_nothing(tmp_path: Path) -> None:
    assert network_kind_of(str(tiny_text_model(tmp_path / "bert"))) is None
    assert network_kind_of(None) is None
    assert network_kind_of("someone/something") is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5", "architectures": ["T5EncoderModel"]}))
    assert network_kind_of(str(tmp_path)) is None

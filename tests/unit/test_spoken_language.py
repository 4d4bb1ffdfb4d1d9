"""A model that knows several languages is told which one is spoken: in the tokens it learns, and when it writes."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from luthier.errors import SpecError
from luthier.models.audio_processor import AudioProcessor
from luthier.models.load import load_backbone
from luthier.models.processors import load_processor
from luthier.models.settings import ModelSettings
from luthier.models.source import resolve_model
from luthier.pipeline.spoken import speak, with_language
from luthier.tasks import TASKS
from luthier.tasks.sequence_inputs import answer_tokens
from luthier.testing.language_folders import tiny_language_folder

TASK = TASKS["speech-to-text"]
TOKENS = ["<|en|>", "<|es|>", "<|transcribe|>", "<|notimestamps|>"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny Whisper whose last four tokens are what multilingual ones are told."""
    made = tiny_language_folder(tmp_path / "whisper", "whisper")
    tokenizer = Tokenizer.from_file(str(made / "tokenizer.json"))
    ids = [tokenizer.token_to_id(token) for token in ("a", "b", "c", "d")]
    config = json.loads((made / "generation_config.json").read_text())
    told = {"lang_to_id": {"<|en|>": ids[0], "<|es|>": ids[1]}, "task_to_id": {"transcribe": ids[2], "translate": 3}}
    del config["_from_model_config"]  # transformers would make it anew
    config |= {**told, "no_timestamps_token_id": ids[3], "is_multilingual": True}
    (made / "generation_config.json").write_text(json.dumps(config))
    return made


def processor_of(folder: Path) -> AudioProcessor:
    made = load_processor(folder, "audio", kind="speech-seq2seq")
    assert isinstance(made, AudioProcessor)
    return made


def test_transcripts_begin_with_what_the_model_is_told(folder: Path, tmp_path: Path) -> None:
    plain = processor_of(folder)
    spoken, decisions = with_language(plain, TASK, folder, "es")
    assert isinstance(spoken, AudioProcessor)
    assert plain.text is not None
    assert spoken.text is not None
    letters = [plain.text.encode(["bcd"]).row(0).tolist()[place] for place in range(3)]
    assert answer_tokens(["zz"], spoken.text)[0][:3] == letters
    assert answer_tokens(["zz"], plain.text)[0] == answer_tokens(["zz"], spoken.text)[0][3:]
    assert [decision.value for decision in decisions] == ["es"]
    assert spoken.fingerprint() != plain.fingerprint()
    spoken.save(tmp_path / "saved")
    again = AudioProcessor.load(tmp_path / "saved")
    assert again.fingerprint() == spoken.fingerprint()


def test_the_saved_settings_tell_transformers_the_same(folder: Path) -> None:
    spoken, _ = with_language(processor_of(folder), TASK, folder, "es")
    backbone = load_backbone(resolve_model(ModelSettings(name=str(folder)), modality="audio"), kind="speech-seq2seq")
    speak(backbone, spoken)
    config = backbone.network.generation_config
    assert (config.language, config.task) == ("<|es|>", "transcribe")  # type: ignore[union-attr]


def test_a_language_must_be_named_where_there_are_several(folder: Path) -> None:
    with pytest.raises(SpecError, match="writes down 2 languages, and nothing says") as refused:
        with_language(processor_of(folder), TASK, folder, None)
    assert refused.value.remedy == "--spoken-language en"
    with pytest.raises(SpecError, match="'ez' is none of them") as refused:
        with_language(processor_of(folder), TASK, folder, "ez")
    assert refused.value.remedy.startswith("--spoken-language e")


def test_one_language_is_not_to_be_named(tmp_path: Path) -> None:
    made = tiny_language_folder(tmp_path / "whisper", "whisper")
    with pytest.raises(SpecError, match="this is none such") as refused:
        with_language(processor_of(made), TASK, made, "en")
    assert refused.value.remedy == "leave --spoken-language out"
    assert with_language(processor_of(made), TASK, made, None)[1] == []

"""Wrong input to tasks that write texts, on the real command path: what was found, what to type, nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.cli.main import run as command
from luthier.testing.folders import tiny_text_model
from luthier.testing.language_folders import tiny_language_folder
from luthier.testing.tables import write_sounds

Told = Callable[..., str]
PAIRS = [(f"bird number {place} sang", f"el pájaro {place} cantó") for place in range(30)]


def tsv(pairs: list[tuple[str, str]]) -> str:
    return "eng\tspa\n" + "".join(f"{source}\t{target}\n" for source, target in pairs)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    made = {family: str(tiny_language_folder(folder / family, family)) for family in ("t5", "whisper")}
    return {**made, "bert": str(tiny_text_model(folder / "bert", num_blocks=1))}


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path, models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Writes a file, tunes on it, and returns what was said of it."""
    monkeypatch.chdir(tmp_path)

    def run(content: str, *flags: str, name: str = "pairs.tsv", model: str = "t5") -> str:
        Path(name).write_text(content, encoding="utf-8")
        named = ["--model", models[model]] if model else []
        assert command(["tune", name, *named, "--out", "run", "--threads", "1", *flags]) == 2
        assert not (Path("run") / "model").exists()
        message = capsys.readouterr().err
        assert "\n  Try: " in message or "\n     Try: " in message
        return " ".join(message.split())

    return run


def test_there_is_no_default_model_that_writes(told: Told) -> None:
    message = told(tsv(PAIRS), model="")
    assert "sequence-to-sequence needs a model that gives tokens" in message
    assert "AutoModelForSeq2SeqLM" in message


def test_an_encoder_writes_nothing(told: Told) -> None:
    message = told(tsv(PAIRS), model="bert")
    assert "names no `decoder_start_token_id`" in message
    assert "choose an encoder-decoder" in message


def test_a_model_that_hears_does_not_read(told: Told) -> None:
    message = told(tsv(PAIRS), model="whisper")
    assert "whisper" in message.lower()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--method", "probe"), "keeps the head of the pre-trained network"),
        (("--head-layers", "2"), "keeps the head of the pre-trained network"),
        (("--length-penalty", "0.5"), "--length-penalty would change nothing"),
        (("--class-weights", "balanced"), "--class-weights is for examples with one label each"),
        (("--target", "french"), "'french'"),
    ],
)
def test_settings_that_contradict_the_task_are_refused(told: Told, flags: tuple[str, ...], said: str) -> None:
    assert said in told(tsv(PAIRS), *flags)


def test_labels_are_not_summarised(told: Told) -> None:
    pairs = [(source, ("song", "call")[place % 2]) for place, (source, _) in enumerate(PAIRS)]
    message = told(tsv(pairs), "--task", "summarization", "--text", "eng", "--target", "spa")
    assert "'spa' holds no free texts (category)" in message


def test_beams_are_not_for_labels(told: Told) -> None:
    pairs = [(source, ("song", "call")[place % 2]) for place, (source, _) in enumerate(PAIRS)]
    message = told(tsv(pairs), "--target", "spa", "--num-beams", "3", model="bert")
    assert "--num-beams is for models that write answers; text-classification does not" in message


def test_targets_without_a_text_stop_the_run(told: Told) -> None:
    right = [f"{target} en el viejo jardín" for _, target in PAIRS]
    rows = [{"source": pair[0], "target": [] if place % 3 else right[place : place + 2]} for place, pair in enumerate(PAIRS)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    message = told(lines, "--task", "sequence-to-sequence", name="pairs.jsonl")
    assert "a target without a text in it" in message
    assert "pairs.jsonl:2" in message


def test_pairs_that_do_not_belong_together_stop_the_run(told: Told) -> None:
    message = told(tsv([(source, f"{target} " * 20) for source, target in PAIRS]))
    assert "more than 12 times as long as its source" in message
    assert "a shifted column or a broken line" in message


def test_recordings_need_a_model_that_writes(told: Told, tmp_path: Path) -> None:
    paths = write_sounds(tmp_path / "clips", 8, seed=0)
    rows = "file,transcript\n" + "".join(f"{path},bird number {place}\n" for place, path in enumerate(paths))
    message = told(rows, "--task", "speech-to-text", name="clips.csv", model="t5")
    assert "t5" in message

"""What wrong conversations, prompts and settings get: rows by name, what to do, nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.cli.main import run as command
from luthier.testing.folders import tiny_text_model
from luthier.testing.language_folders import tiny_language_folder

from .conftest import make_texts, write_csv

Told = Callable[..., str]
ANSWER = {"role": "assistant", "content": "Blue."}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_language_folder(tmp_path_factory.mktemp("language") / "tiny", "gpt2")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Runs `luthier tune`, which must refuse; returns what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, model: Path = model) -> str:
        capsys.readouterr()
        words = ["tune", *map(str, arguments), "--model", str(model), "--out", "run", "--threads", "1"]
        assert command(words) == 2
        assert not (tmp_path / "run").exists()
        message = capsys.readouterr().err
        assert "Try: " in message
        assert "Traceback" not in message
        return " ".join(message.split())

    return run


def asked(number: int) -> dict[str, str]:
    return {"role": "user", "content": f"What colour has the sky over hill {number * 7919}, {number}?"}


def write_chats(path: Path, *odd: Any, sound: int = 24) -> Path:
    rows = [*odd, *({"messages": [asked(number), ANSWER]} for number in range(sound))]
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([asked(1)], "have no message of the assistant: there is nothing to learn"),
        ([asked(1), {**ANSWER, "weight": 0}], "have weight 0 on every message of the assistant"),
        ([asked(1), {**ANSWER, "weight": 2}], "have a weight that is neither 0 nor 1"),
        ([{"role": "human", "content": "Hi"}, ANSWER], "have a role that is not known"),
        ([asked(1), {"role": "assistant", "content": ""}], "have a message without content"),
        ([{"role": "user", "content": [{"type": "image_url"}]}, ANSWER], "have content that is no text"),
    ],
)
def test_files_of_conversations_that_teach_nothing_are_refused(told: Told, messages: list[Any], said: str) -> None:
    write_chats(Path("chats.jsonl"), *[{"messages": messages}] * 40)
    message = told("chats.jsonl")
    assert said in message
    assert "chats.jsonl:1" in message


def test_a_few_bad_rows_are_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_chats(
        tmp_path / "chats.jsonl",
        {"messages": [asked(90)]},
        {"messages": [asked(91), {**ANSWER, "weight": 3}]},
        {"messages": [asked(92), ANSWER, asked(93)]},
        sound=40,
    )
    assert command(["check", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 43 rows (2.3 %) has no message of the assistant" in said
    assert "chats.jsonl:1" in said and "chats.jsonl:2" in said and "chats.jsonl:3" in said
    assert "1 of 43 rows (2.3 %) has further messages behind the last one of the assistant" in said
    assert "of the words are the assistant's, and learnt" in said


def test_a_language_model_must_be_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write_chats(tmp_path / "chats.jsonl")
    assert command(["tune", str(path), "--out", str(tmp_path / "run")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "chat needs a model that gives tokens, and there is no default one" in said
    assert "AutoModelForCausalLM" in said


def test_an_encoder_is_no_language_model(told: Told, tmp_path: Path) -> None:
    write_chats(Path("chats.jsonl"))
    encoder = tiny_text_model(tmp_path / "bert")
    assert "eos_token" in told("chats.jsonl", model=encoder)


def test_settings_that_mean_nothing_here_are_refused(told: Told) -> None:
    write_chats(Path("chats.jsonl"))
    assert "keeps the head of the pre-trained network" in told("chats.jsonl", "--head-layers", "2")
    assert "is for examples with one label each" in told("chats.jsonl", "--class-weights", "balanced")
    assert "with its blocks frozen nothing would train" in told("chats.jsonl", "--method", "probe")
    assert "which is no file" in told("chats.jsonl", "--chat-template", "nowhere.jinja")
    assert "is a factor of the methods' own rates" in told(
        "chats.jsonl", "--learning-rate-multiplier", "2", "--learning-rate", "1e-3"
    )


def test_settings_of_language_models_are_refused_elsewhere(told: Told, tmp_path: Path) -> None:
    write_csv(Path("tickets.csv"), make_texts(60))
    encoder = tiny_text_model(tmp_path / "bert")
    assert "--chat-template is for language models" in told("tickets.csv", "--chat-template", "none", model=encoder)
    assert "--packing on is for texts that a language model continues" in told("tickets.csv", "--packing", "on", model=encoder)


def test_a_template_that_refuses_the_conversations_is_told(told: Told) -> None:
    Path("strict.jinja").write_text("{{ raise_exception('only the wise may speak') }}")
    write_chats(Path("chats.jsonl"))
    message = told("chats.jsonl", "--chat-template", "strict.jinja")
    assert "only the wise may speak" in message
    assert "--chat-template none" in message


def test_a_template_in_which_no_answer_is_found_is_refused(told: Told) -> None:
    Path("deaf.jinja").write_text("{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %}")
    write_chats(Path("chats.jsonl"))
    message = told("chats.jsonl", "--chat-template", "deaf.jinja")
    assert "cannot be learnt from: no token of an answer would be learnt" in message


def test_a_job_and_data_beside_it_contradict_each_other(told: Told) -> None:
    write_chats(Path("chats.jsonl"))
    Path("job.json").write_text(json.dumps({"training_file": "chats.jsonl", "model": "gpt-4.1"}))
    assert "chats.jsonl and --openai-job are both given" in told("chats.jsonl", "--openai-job", "job.json")

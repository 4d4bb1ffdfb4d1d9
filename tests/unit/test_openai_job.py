"""Jobs written for OpenAI's service: what becomes of each thing they say, and what is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

import luthier
from luthier.errors import LuthierError, SpecError
from luthier.pipeline.openai_job import read_openai_job

CHATS = Path(__file__).parents[2] / "examples" / "data" / "helpdesk.jsonl"


def write_job(folder: Path, **content: Any) -> Path:
    path = folder / "job.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def problems(folder: Path, *, model: str | None = "./lm", **content: Any) -> tuple[str, str]:
    with pytest.raises(LuthierError) as caught:
        read_openai_job(write_job(folder, **content), model=model)
    return caught.value.problem, caught.value.remedy


def test_a_job_of_today_runs_as_it_is(tmp_path: Path) -> None:
    hyperparameters = {"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 0.5}
    path = write_job(
        tmp_path,
        training_file=str(CHATS),
        validation_file="held-out.jsonl",
        model="gpt-4o-mini-2024-07-18",
        suffix="support",
        seed=42,
        method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
    )
    spec = luthier.load_openai_job(path, model="./lm")
    assert (spec.data.train, spec.data.test) == (str(CHATS), str(tmp_path / "held-out.jsonl"))
    assert spec.model.name == "./lm"
    assert spec.output.out is not None and spec.output.out.startswith("runs/support-")
    assert spec.training.seed == 42
    assert (spec.training.num_epochs, spec.training.batch_size) == (3, 4)
    assert spec.training.learning_rate_multiplier == 0.5
    assert luthier.TuneSpec() != spec == luthier.load_openai_job(path, model="./lm")


def test_a_job_of_former_days_and_auto(tmp_path: Path) -> None:
    path = write_job(tmp_path, training_file="a.jsonl", hyperparameters={"n_epochs": "auto", "batch_size": 2})
    job = read_openai_job(path, model="./lm")
    spec = luthier.load_openai_job(path, model="./lm")
    assert spec.sources == (str(tmp_path / "a.jsonl"),)
    assert (spec.training.num_epochs, spec.training.batch_size) == (None, 2)
    assert {decision.name: decision.value for decision in job.decisions}["n_epochs"] == "auto"


def test_a_folder_named_as_model_is_taken(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    spec = luthier.load_openai_job(write_job(tmp_path, training_file="a.jsonl", model="own"))
    assert spec.model.name == str(tmp_path / "own")


def test_what_only_the_service_can_do_is_told(tmp_path: Path) -> None:
    path = write_job(tmp_path, training_file="a.jsonl", integrations=[{"type": "wandb"}], metadata={"team": "a"})
    decisions = {decision.name: decision for decision in read_openai_job(path, model="./lm").decisions}
    assert decisions["integrations"].value == decisions["metadata"].value == "not used"
    assert "run folder" in decisions["integrations"].reason


def test_another_companys_model_cannot_be_had(tmp_path: Path) -> None:
    problem, remedy = problems(tmp_path, model=None, training_file="a.jsonl", model_="")
    assert "no 'model_'" in problem
    assert "the model 'None' runs at OpenAI only" in problem
    assert "--model FOLDER" in remedy


@pytest.mark.parametrize(("kind", "what"), [("dpo", "preferences between two"), ("reinforcement", "the marks of a grader")])
def test_other_methods_are_refused_by_name(kind: str, what: str, tmp_path: Path) -> None:
    problem, remedy = problems(tmp_path, training_file="a.jsonl", method={"type": kind, kind: {}})
    assert f"method '{kind}' learns from {what}" in problem
    assert "supervised" in remedy


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("n_epochs", 0, "a number above 0"), ("batch_size", 2.5, "a whole number above 0"), ("batch_size", True, "whole number")],
)
def test_impossible_hyperparameters_are_told(name: str, value: object, expected: str, tmp_path: Path) -> None:
    problem, remedy = problems(tmp_path, training_file="a.jsonl", hyperparameters={name: value})
    assert f"{name} is {value!r}; expected" in problem
    assert expected in problem
    assert f'"{name}": "auto"' in remedy


def test_all_mistakes_of_a_job_are_told_together(tmp_path: Path) -> None:
    problem, remedy = problems(
        tmp_path, trainingfile="a.jsonl", hyperparameters={"epochs": 3}, seed=-1, suffix="a/b", validation_file=7
    )
    assert "a job has no 'trainingfile'. Did you mean 'training_file'?" in problem
    assert "no hyperparameter 'epochs' (did you mean 'n_epochs'?)" in problem
    assert "seed is -1" in problem
    assert "suffix is 'a/b'" in problem
    assert "validation_file is 7" in problem
    assert "a job needs a training_file" in problem
    assert "n_epochs" in remedy


def test_files_that_the_service_keeps_are_to_be_fetched(tmp_path: Path) -> None:
    problem, remedy = problems(tmp_path, training_file="file-abc123")
    assert "a file that OpenAI's service keeps" in problem
    assert "/v1/files/file-abc123/content" in remedy


def test_what_is_no_job_is_told(tmp_path: Path) -> None:
    for content, said in (("[]", "it is no JSON object"), ("{", "is no JSON"), ("x" * (1 << 20) + "x", "too large for a job")):
        path = tmp_path / "job.json"
        path.write_text(content)
        with pytest.raises(SpecError, match=said):
            read_openai_job(path)
    with pytest.raises(SpecError, match="cannot be read"):
        read_openai_job(tmp_path / "none.json")


def test_flags_count_more_than_the_job_and_sources_beside_it_are_refused(tmp_path: Path) -> None:
    from luthier.cli.options import spec_from_flags

    job = read_openai_job(write_job(tmp_path, training_file="a.jsonl", seed=3), model="./lm").given
    assert spec_from_flags([], {"seed": 5, "model": "./lm"}, [], job=job).training.seed == 5
    with pytest.raises(SpecError, match=r"b\.csv and --openai-job are both given"):
        spec_from_flags(["b.csv"], {}, [], job=job)

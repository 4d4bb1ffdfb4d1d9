"""Searches with tiny models: one story, its folder, the same scores as `tune`, kills, and memory that does not grow."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import luthier
from luthier.core.manifest import verify_manifest
from luthier.core.process import StopRequest, resident_memory_bytes
from luthier.core.progress import Quiet
from luthier.errors import SpecError, Stopped, UsageError
from luthier.pipeline import Search
from luthier.pipeline.choose import choose_model
from luthier.pipeline.prepare import prepare
from luthier.pipeline.search_spec import SearchSpec, search_of
from luthier.pipeline.searching import work_on_study
from luthier.pipeline.trials import Trials
from luthier.spec import Given

from .conftest import TEXT_RUN
from .test_stopping import PressCtrlC

SPACE = {
    "method": {"choice": {"probe": {"probe_penalty": {"log": [1e-5, 1]}}, "top-blocks:1": {"num_epochs": {"int": [1, 2]}}}},
    "learning_rate": {"log": [1e-4, 1e-2]},
}
ASKED = {**TEXT_RUN, **SPACE, "target": "topic", "trials": 8, "num_epochs": 1}


@pytest.fixture(scope="module")
def done(tickets: Path, text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    out = tmp_path_factory.mktemp("searches") / "tickets"
    return luthier.search(tickets, model=str(text_model), out=str(out), **ASKED)


def test_a_search_leaves_everything_behind(done: Search) -> None:
    names = {path.name for path in done.folder.iterdir()}
    assert names >= {"spec.yaml", "best.yaml", "best", "trials.jsonl", "search.json", "study.db", "report.html"}
    record = json.loads((done.folder / "search.json").read_text())
    assert record["schema_version"] == 1
    assert len(record["trials"]) == 8
    assert record["best"] == done.record.best
    assert len((done.folder / "trials.jsonl").read_text().splitlines()) == 8
    assert verify_manifest(done.folder / "best") == []
    page = (done.folder / "report.html").read_text()
    assert "What the search tried" in page and "How much of it is luck" in page


def test_the_best_values_give_the_same_score_as_a_run_of_their_own(done: Search) -> None:
    assert done.run is not None and done.record.best_trial is not None
    events = [json.loads(line) for line in (done.folder / "best" / "journal.jsonl").read_text().splitlines()]
    scores = [event["score"] for event in events if event["event"] == "rung_finished"]
    assert scores[-1] == done.record.best_trial.score
    assert luthier.load_spec(done.folder / "best.yaml").training == done.spec.training


def test_a_trial_gives_the_same_score_whenever_it_runs(done: Search, tickets: Path, text_model: Path, tmp_path: Path) -> None:
    given = {**ASKED, "model": str(text_model), "out": str(tmp_path / "x")}
    asked = search_of([Given(written="sources", value=[str(tickets)]), *(_keyword(*item) for item in given.items())])
    prepared = prepare(asked.base, observer=Quiet())
    chosen = choose_model(asked.base, prepared, backbone=None, observer=Quiet())
    trials = Trials(asked.base, prepared, chosen, asked.space, stop=StopRequest(), observer=Quiet())
    for record in sorted(done.record.trials, key=lambda item: -item.number):
        if record.state == "complete":
            assert trials.run(record.values, lambda share, score: None).score == record.score


def test_memory_does_not_grow_with_the_trials(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    given = {**ASKED, "model": str(text_model), "out": str(tmp_path / "x")}
    asked = search_of([Given(written="sources", value=[str(tickets)]), *(_keyword(*item) for item in given.items())])
    prepared = prepare(asked.base, observer=Quiet())
    chosen = choose_model(asked.base, prepared, backbone=None, observer=Quiet())
    trials = Trials(asked.base, prepared, chosen, asked.space, stop=StopRequest(), observer=Quiet())
    sizes = []
    for number in range(20):
        values = {"training.method": "top-blocks:1", "training.num_epochs": 1.0, "training.learning_rate": 1e-3 + number * 1e-5}
        trials.run(values, lambda share, score: None)
        sizes.append(resident_memory_bytes())
    assert sizes[-1] - sizes[4] < 8 << 20


def _keyword(name: str, value: object) -> Given:
    return Given(written=name, value=value, style="keyword")


def test_a_finished_search_has_nothing_to_go_on_with_but_takes_further_trials(done: Search) -> None:
    with pytest.raises(UsageError, match="is finished") as caught:
        luthier.search(resume=done.folder)
    assert "--trials 16" in caught.value.remedy
    more = luthier.search(resume=done.folder, trials=10)
    assert len(more.record.trials) == 10
    assert [trial.values for trial in more.record.trials[:8]] == [trial.values for trial in done.record.trials]


def test_keys_of_a_search_are_refused_by_every_other_verb(tickets: Path) -> None:
    with pytest.raises(SpecError, match=r"search\.trials belongs to a search"):
        luthier.tune(tickets, trials=3)
    with pytest.raises(SpecError, match=r"search\.sampler belongs to a search"):
        luthier.check(tickets, sampler="gp")


def test_ctrl_c_leaves_with_how_to_go_on(tickets: Path, text_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    with pytest.raises(Stopped) as caught:
        luthier.search(tickets, model=str(text_model), out=str(out), observer=PressCtrlC(counted="search"), **ASKED)
    assert caught.value.remedy == f"luthier search --resume {out}"
    again = luthier.search(resume=out, final=False)
    assert len(again.record.trials) == 8 and again.run is None


def test_a_worker_helps_with_a_search_and_trains_no_final_model(
    done: Search, tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    given = {**ASKED, "model": str(text_model), "out": str(tmp_path / "shared"), "study": url}
    sources = Given(written="sources", value=[str(tickets)])
    asked: SearchSpec = search_of([sources, *(_keyword(*item) for item in given.items())])
    records = work_on_study(asked, name="one")
    assert [record.values for record in records] == [record.values for record in done.record.trials[:8]]
    assert [record.score for record in work_on_study(tmp_path / "shared" / "workers" / "one")] == [r.score for r in records]
    assert not (tmp_path / "shared" / "best").exists()


@pytest.mark.parametrize(
    ("kills", "trials"), [pytest.param(3, 12, id="few"), pytest.param(30, 50, id="many", marks=pytest.mark.slow)]
)
def test_killed_at_any_moment_no_trial_is_lost_or_counted_twice(
    kills: int, trials: int, tickets: Path, text_model: Path, tmp_path: Path
) -> None:
    """Real kills of real processes; the straight search runs in one."""
    given = {**ASKED, "trials": trials, "final": False, "model": str(text_model)}
    straight = luthier.search(tickets, out=str(tmp_path / "straight"), **given)
    spec = tmp_path / "search.yaml"
    spec.write_text((tmp_path / "straight" / "spec.yaml").read_text().replace("final: true", "final: false"), encoding="utf-8")
    out, generator, done = tmp_path / "killed", random.Random(0), 0
    for number in range(200):
        words = ["--resume", str(out)] if (out / "spec.yaml").is_file() else [str(spec), "--out", str(out), "--overwrite"]
        running = subprocess.Popen(
            [sys.executable, "-m", "luthier", "search", *words, "--quiet"], env=os.environ, stderr=subprocess.PIPE, text=True
        )
        if done < kills:
            _wait_for_work(out, running)
            time.sleep(generator.uniform(0.0, 1.0))
            if running.poll() is None:
                running.send_signal(signal.SIGKILL)
                done += 1
        _, told = running.communicate(timeout=300)
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL, (number, told)
    records = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    assert [record["number"] for record in records] == list(range(trials))
    assert [(record["values"], record["score"]) for record in records] == [
        (dict(trial.values), trial.score) for trial in straight.record.trials
    ]
    assert json.loads((out / "search.json").read_text())["best"] == straight.record.best
    assert done == kills or trials < 50


def _wait_for_work(out: Path, running: "subprocess.Popen[str]") -> None:
    """Until the process has the study open: a kill before that proves nothing."""
    begin = time.time()
    while running.poll() is None and time.time() - begin < 60:
        journal = out / "study.db-wal"
        if journal.is_file() and journal.stat().st_mtime > begin:
            return
        time.sleep(0.02)

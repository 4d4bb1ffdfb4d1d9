"""Studies: every trial once, whatever happens to the processes; proposals depend on the study alone; failures are results."""

from collections.abc import Callable, Mapping

import optuna
import pytest
from optuna.trial import TrialState

from luthier.core.process import StopRequest, process_identity
from luthier.errors import DivergedError, MissingExtraError, ResourceError, Stopped, UsageError
from luthier.studies import study as study_module
from luthier.studies.database import shown_url, without_password
from luthier.studies.records import Outcome
from luthier.studies.samplers import SAMPLERS, Proposals
from luthier.studies.space import Value, parse_space
from luthier.studies.study import Study, open_study
from luthier.studies.work import Report

from .conftest import finish, run_trial, score_of

MakeStudy = Callable[..., Study]


class Killed(BaseException):
    """Stands for the end of a process: nothing of the program can catch it."""


def die(study: Study, attempt: object) -> None:
    """What the database looks like when a worker has died in a trial: it runs, and its process is not there."""
    dead = {**process_identity(), "started": "long ago"}
    study.storage.set_trial_user_attr(attempt._id, "worker", dead)  # type: ignore[attr-defined]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_dies_in_every_third_trial_is_the_search_that_does_not(sampler: str, make_study: MakeStudy) -> None:
    straight = finish(make_study("straight", sampler=sampler, limit=12))
    study = make_study("killed", sampler=sampler, limit=12)
    for number in range(40):
        if (attempt := study.take()) is None:
            break
        if number % 3 == 0:
            attempt.report(1, -1.0)  # what it had reported by then must not matter
            die(study, attempt)
        else:
            outcome = run_trial(attempt.values, lambda share, score: None)
            attempt.complete(outcome, study_module.Cost(cpu_seconds=0, wall_seconds=0, peak_memory_bytes=0))
    records = study.records()
    assert [record.values for record in records] == [record.values for record in straight]
    assert [record.score for record in records] == [record.score for record in straight]
    assert sum(record.attempts > 1 for record in records) >= 4


def test_the_curve_of_a_second_attempt_decides_as_if_there_had_been_no_first(make_study: MakeStudy) -> None:
    straight = finish(make_study("straight", limit=14), pruner="median")
    study = make_study("killed", limit=14)

    def run_and_die(values: Mapping[str, Value], report: Report) -> Outcome:
        own = next(record for record in study.records() if record.state == "running")
        if own.number in (2, 7, 11) and own.attempts == 1:
            report(0.5, 9.9)
            raise Killed
        return run_trial(values, report)

    for _ in range(30):
        try:
            finish(study, run=run_and_die, pruner="median")
            break
        except Killed:
            running = next(trial for trial in study._trials() if trial.state == TrialState.RUNNING)
            study.storage.set_trial_user_attr(running._trial_id, "worker", {**process_identity(), "started": "ago"})
    records = study.records()
    assert [(record.state, record.score, record.values) for record in records] == [
        (record.state, record.score, record.values) for record in straight
    ]
    assert "pruned" in {record.state for record in records}


def test_tpe_learns_from_the_trials_before(make_study: MakeStudy) -> None:
    records = finish(make_study(limit=30))
    drawn = finish(make_study("random", sampler="random", limit=10))
    assert [r.values["training.l1"] for r in records[:10]] == [r.values["training.l1"] for r in drawn]
    late = [score_of(record.values) for record in records[-10:]]
    early = [score_of(record.values) for record in records[:10]]
    assert sum(late) / len(late) > sum(early) / len(early) + 0.1


def test_a_grid_is_tried_once_and_no_longer(make_study: MakeStudy) -> None:
    space = parse_space({"training.l1": [0.0, 0.1, 0.2], "training.method": ["probe", "full"]})
    records = finish(make_study(sampler="grid", space=space, limit=6))
    assert len({str(record.values) for record in records}) == 6


def test_the_same_values_are_not_run_twice(make_study: MakeStudy) -> None:
    space = parse_space({"training.l1": [0.0, 0.1]})
    ran = []

    def run(values: Mapping[str, Value], report: Report) -> Outcome:
        ran.append(values)
        return run_trial(values, report)

    records = finish(make_study(space=space, limit=12, sampler="random"), run=run)
    assert len(ran) == 2 and len(records) == 12
    assert sum(record.repeats is not None for record in records) == 10


def test_a_failed_trial_is_a_result_with_its_reason_and_counts(make_study: MakeStudy) -> None:
    def run(values: Mapping[str, Value], report: Report) -> Outcome:
        if values["training.method"] == "probe":
            raise DivergedError("Loss became NaN at step 3.", remedy="less")
        if float(str(values["training.l1"])) > 0.5:
            raise ResourceError("Memory is short.", remedy="less")
        return run_trial(values, report)

    records = finish(make_study(limit=10), run=run)
    assert len(records) == 10
    assert {record.state for record in records} == {"complete", "failed"}
    assert {record.reason for record in records if record.state == "failed"} <= {
        "Loss became NaN at step 3.",
        "Memory is short.",
    }


def test_any_other_error_is_no_result(make_study: MakeStudy) -> None:
    def run(values: Mapping[str, Value], report: Report) -> Outcome:
        raise KeyError("a fault")

    with pytest.raises(KeyError):
        finish(make_study(), run=run)


def test_a_stop_leaves_the_trial_for_another_time(make_study: MakeStudy) -> None:
    study, stop = make_study(limit=5), StopRequest()

    def run(values: Mapping[str, Value], report: Report) -> Outcome:
        if len(study.records()) == 3:
            stop.signal_name = "SIGINT"
            raise Stopped("Stopped.", remedy="again")
        return run_trial(values, report)

    with pytest.raises(Stopped):
        finish(study, run=run, stop=stop)
    assert [record.state for record in study.records()] == ["complete", "complete", "waiting"]
    straight = finish(make_study("straight", limit=5))
    assert [record.values for record in finish(study)] == [record.values for record in straight]


def test_no_trial_is_begun_when_the_time_is_over(make_study: MakeStudy) -> None:
    study = make_study(limit=1000, seconds=1.0)
    while (attempt := study.take()) is not None:
        outcome = run_trial(attempt.values, lambda share, score: None)
        attempt.complete(outcome, study_module.Cost(cpu_seconds=0, wall_seconds=0.3, peak_memory_bytes=0))
    assert len(study.records()) == 4


def test_a_trial_that_kills_its_process_each_time_is_given_up(make_study: MakeStudy) -> None:
    study = make_study(limit=2)
    while (attempt := study.take()) is not None and attempt.number == 0:
        die(study, attempt)
    assert study.records()[0].state == "failed"
    assert "the process died in each of its 10 attempts" in study.records()[0].reason


def test_a_worker_taken_for_dead_finds_its_trial_finished_and_does_no_harm(make_study: MakeStudy) -> None:
    slow, quick = make_study(limit=1), make_study(limit=1)
    mine = slow.take()
    assert mine is not None and quick.take() is None and quick.is_waiting_for_others()
    die(slow, mine)
    theirs = quick.take()
    assert theirs is not None and (theirs.number, theirs.values) == (mine.number, mine.values)
    cost = study_module.Cost(cpu_seconds=1, wall_seconds=1, peak_memory_bytes=0)
    theirs.complete(Outcome(score=0.5), cost)
    mine.report(3, 0.1)
    mine.complete(Outcome(score=0.7), cost)
    assert [record.score for record in quick.records()] == [0.5]


def test_curves_are_the_best_so_far_at_each_tenth(make_study: MakeStudy) -> None:
    def run(values: Mapping[str, Value], report: Report) -> Outcome:
        for share, score in ((0.25, 0.3), (0.5, 0.2), (1.0, 0.6)):
            report(share, score)
        return Outcome(score=0.6)

    (record,) = finish(make_study(limit=1), run=run)
    assert record.curve == ((1, 0.3), (2, 0.3), (3, 0.3), (4, 0.3), (5, 0.3), *((tenth, 0.6) for tenth in range(6, 11)))


def test_optuna_is_left_as_it_was(make_study: MakeStudy) -> None:
    before = optuna.logging.get_verbosity()
    make_study()
    assert optuna.logging.get_verbosity() == before


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("nonsense", UsageError, "Could not parse"),
        ("klingon://host/db", UsageError, "klingon"),
        ("postgresql+psycopg://ada:sec@secret@host/db", UsageError, "written %40"),
        ("mysql+pymysql://ada:secret@host/db", MissingExtraError, "mysql+pymysql://ada:***@host/db"),
        ("postgresql+psycopg://ada:secret@127.0.0.1:1/db", ResourceError, "ada:***@127.0.0.1:1/db"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_without_the_password(url: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match="study") as caught:
        open_study(url, name="a", space=(), direction="higher", proposals=Proposals(sampler="tpe", seed=0), limit=1)
    assert said in str(caught.value) and "secret" not in str(caught.value)


def test_a_password_is_neither_shown_nor_kept() -> None:
    url = "postgresql+psycopg://ada:sec%40ret@host:5432/db?sslmode=require"
    assert "ret" not in shown_url(url) + without_password(url)
    assert without_password(url) == "postgresql+psycopg://ada@host:5432/db?sslmode=require"

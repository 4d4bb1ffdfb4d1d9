"""How a study opens: the defaults first, whatever the sampler, the worker or the kills; then the methods in turn."""

from collections.abc import Callable, Mapping

import pytest

from luthier.core.process import Cost
from luthier.studies.records import Outcome
from luthier.studies.samplers import SAMPLERS
from luthier.studies.samplers.opening import opening_of
from luthier.studies.space import Value, grid, parse_space, point_of
from luthier.studies.study import Study
from luthier.studies.work import Report

from .conftest import SPACE, finish, run_trial

MakeStudy = Callable[..., Study]
OWN = {"training.learning_rate": 1e-3, "training.num_epochs": 2, "training.l1": 0.0}
DEFAULTS = [point_of(SPACE, {**OWN, "training.method": method}.get) for method in ("probe", "full")]
NO_COST = Cost(cpu_seconds=0, wall_seconds=0, peak_memory_bytes=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_first_trials_are_the_defaults_and_the_others_are_not(sampler: str, make_study: MakeStudy) -> None:
    records = finish(make_study(sampler=sampler, limit=6, defaults=DEFAULTS))
    assert records[0].values == {"training.method": "probe", "training.l1": 0.0}
    assert records[1].values == {"training.method": "full", **OWN}
    assert [record.is_default for record in records] == [True, True, False, False, False, False]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_has_no_default_in_the_space_is_proposed(sampler: str, make_study: MakeStudy) -> None:
    partial = point_of(SPACE, {**OWN, "training.method": "full", "training.learning_rate": 7.0}.get)
    (record,) = finish(make_study(sampler=sampler, limit=1, defaults=[partial]))
    assert record.values["training.num_epochs"] == 2
    assert 1e-5 <= float(str(record.values["training.learning_rate"])) <= 1e-1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_workers_that_work_at_once_and_die_try_each_default_once(sampler: str, make_study: MakeStudy) -> None:
    one, two = (make_study("shared", sampler=sampler, limit=5, defaults=DEFAULTS) for _ in range(2))
    first, second = one.take(), two.take()
    assert first is not None and second is not None
    first.give_back()
    second.complete(run_trial(second.values, lambda share, score: None), NO_COST)
    shared = finish(one)
    assert [record.values for record in shared[:2]] == [
        record.values for record in finish(make_study("alone", sampler=sampler, limit=2, defaults=DEFAULTS))
    ]
    assert shared[0].attempts == 2 and [record.is_default for record in shared] == [True, True, False, False, False]


def test_a_grid_stays_whole_beside_defaults_that_are_none_of_its_points(make_study: MakeStudy) -> None:
    space = parse_space({"training.l1": [0.0, 0.1, 0.2], "training.method": ["probe", "full"]})
    on_it = point_of(space, {"training.l1": 0.1, "training.method": "full"}.get)
    values = [record.values for record in finish(make_study("on", sampler="grid", space=space, limit=6, defaults=[on_it]))]
    assert values[0] == {"training.l1": 0.1, "training.method": "full"}
    assert len({str(item) for item in values}) == len(grid(space)) == 6
    beside = parse_space({"training.l1": {"uniform": [0, 1]}})
    tried = finish(make_study("beside", sampler="grid", space=beside, limit=6, defaults=[{"training.l1": 0.1}]))
    assert tried[0].values["training.l1"] == 0.1
    assert sorted(float(str(record.values["training.l1"])) for record in tried[1:]) == [0, 0.25, 0.5, 0.75, 1]


def test_a_default_is_never_ended_early(make_study: MakeStudy) -> None:
    def worse_and_worse(values: Mapping[str, Value], report: Report) -> Outcome:
        score = -float(len(study.records()))
        for number in range(1, 4):
            report(number / 3, score)
        return Outcome(score=score)

    study = make_study(limit=12, defaults=[DEFAULTS[1]] * 9)
    states = [record.state for record in finish(study, run=worse_and_worse, pruner="hyperband")]
    assert states[:9] == ["complete"] * 9 and "pruned" in states[9:]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_learn_see_every_method_before_they_do(sampler: str, make_study: MakeStudy) -> None:
    branches = {name: {"learning_rate": {"log": [1e-5, 1e-1]}} for name in ("probe", "top-blocks:1", "full")}
    space = parse_space({"training.method": {"choice": branches}, "training.l1": {"uniform": [0, 1]}})
    defaults = [point_of(space, {"training.method": name}.get) for name in branches]
    assert len(opening_of(space, defaults)) == 12
    records = finish(make_study(sampler=sampler, space=space, limit=12, defaults=defaults))
    methods = [record.values["training.method"] for record in records]
    assert {name: methods.count(name) for name in branches} == dict.fromkeys(branches, 4)

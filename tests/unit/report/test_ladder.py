"""The journal as rungs."""

from luthier.core.process import Cost
from luthier.report.ladder import read_rungs

STEPS = [{"event": "step", "rung": "full", "step": step, "loss": 1 / step} for step in (1, 2, 3)]


def test_a_resumed_run_counts_each_step_once_and_the_last_value_wins() -> None:
    again = [
        {"event": "step", "rung": "full", "step": 2, "loss": 0.4},
        {"event": "step", "rung": "full", "step": 3, "loss": 0.3},
    ]
    (rung,) = read_rungs([*STEPS, *again])
    assert rung.steps == ((1, 1.0), (2, 0.4), (3, 0.3))


def test_a_rung_without_an_end_is_not_finished() -> None:
    (rung,) = read_rungs([{"event": "rung_started", "rung": "full", "trainable_parameters": 7}, *STEPS])
    assert not rung.finished
    assert rung.trainable_parameters == 7
    assert rung.score is None


def test_outcome_and_cost_are_read() -> None:
    cost = {"cpu_seconds": 3.0, "wall_seconds": 2.0, "peak_memory_bytes": 5}
    end = {
        "event": "rung_finished",
        "rung": "full",
        "score": 0.9,
        "difference": None,
        "kept": True,
        "reason": "r",
        "cost": cost,
    }
    (rung,) = read_rungs([*STEPS, end])
    assert (rung.score, rung.difference, rung.kept, rung.reason) == (0.9, None, True, "r")
    assert rung.cost == Cost(**cost)


def test_events_of_other_kinds_and_losses_that_are_not_numbers_are_passed_over() -> None:
    assert read_rungs([{"event": "started"}, {"event": "note", "text": "x"}]) == ()
    (rung,) = read_rungs([*STEPS, {"event": "step", "rung": "full", "step": 4, "loss": None}, {"event": "new", "rung": "full"}])
    assert len(rung.steps) == 3


def test_rungs_keep_the_order_in_which_they_began() -> None:
    events = [{"event": "rung_started", "rung": name} for name in ("probe", "top-blocks:2", "full")]
    assert [rung.name for rung in read_rungs([*events, *STEPS])] == ["probe", "top-blocks:2", "full"]


def test_what_a_rung_without_a_beginning_trained_is_read_from_its_end() -> None:
    (rung,) = read_rungs([{"event": "rung_finished", "rung": "probe", "score": 0.9, "trainable_parameters": 3080}])
    assert rung.trainable_parameters == 3080


def test_predicted_and_measured_memory_stand_side_by_side() -> None:
    memory = {"predicted_bytes": 900 << 20, "measured_bytes": 1 << 30}
    (rung,) = read_rungs([{"event": "rung_finished", "rung": "full", "score": 0.9, "memory": memory}])
    assert rung.memory == (900 << 20, 1 << 30)
    (without,) = read_rungs([{"event": "rung_finished", "rung": "full", "score": 0.9}])
    assert without.memory is None

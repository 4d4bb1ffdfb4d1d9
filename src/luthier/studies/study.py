"""A study: all trials of a search, in a database that outlives every process. Optuna keeps them; the rules are here.

A trial is taken by a worker under its own number, and goes back to the waiting ones if that worker dies: it is begun again
under the same number with the same values. So no trial can be lost, and none can be counted twice. A worker is known to be dead
at once on the same machine (its process is gone), and elsewhere when its heartbeat has not been seen for a minute.
"""

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import optuna
from jaxtyping import Float
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from luthier.core.process import Cost, is_surely_dead, process_identity
from luthier.core.storage import taking_turns
from luthier.evaluation.records import Direction
from luthier.studies.database import HEARTBEAT_SECONDS, file_of, naming_the_study, open_database, quiet_optuna, refuse_address
from luthier.studies.pruners import Curve
from luthier.studies.records import Outcome, TrialRecord
from luthier.studies.records import TrialState as State
from luthier.studies.samplers import SAMPLERS, Proposals
from luthier.studies.space import Choice, Dimension, Space, Value, draw

MOST_ATTEMPTS = 10  # of one trial: a trial whose process has died so often is the reason
STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class Study:
    """The trials of one search.

    Args:
        database: Where the trials are.
        inner: Optuna's view of it.
        space: What varies.
        limit: Trials in all.
        num_defaults: How many trials, the first ones, have their method's own values.
        seconds: No trial is begun once all have taken so long.
        lock: Makes workers of this machine take turns where the database cannot.
    """

    def __init__(
        self,
        database: RDBStorage,
        inner: optuna.Study,
        *,
        space: Space,
        limit: int,
        num_defaults: int = 0,
        seconds: float | None = None,
        lock: Path | None = None,
    ) -> None:
        self.inner, self.storage = inner, inner._storage  # Optuna remembers there what has ended, and does not ask again
        self._database = database
        self.space, self.limit, self.num_defaults = space, limit, num_defaults
        self.seconds, self._lock = seconds, lock

    @property
    def name(self) -> str:
        """What the database calls it."""
        return self.inner.study_name

    @property
    def sign(self) -> int:
        """1 if more is better, else -1."""
        return 1 if self.inner.direction == optuna.study.StudyDirection.MAXIMIZE else -1

    def take(self) -> "Attempt | None":
        """The next trial, taken for this process; None if there is none to begin (others may still be at work)."""
        with self._turn():
            trials = self._trials()
            for trial in trials:
                self._free(trial)
            if self._is_spent(trials):
                return None
            for trial in self._trials():
                if trial.state == TrialState.WAITING and self._claim(trial):
                    return Attempt(self, trial)
            while len(self._trials()) < self.limit:
                new = self.storage.get_trial(
                    self.storage.create_new_trial(self.inner._study_id, optuna.create_trial(state=TrialState.WAITING))
                )
                # Another machine may have been quicker: what is beyond the limit is nobody's.
                if new.number < self.limit and self._claim(new):
                    return Attempt(self, new)
        return None

    def is_waiting_for_others(self) -> bool:
        """Whether some trial is still in the hands of another process."""
        return any(trial.state == TrialState.RUNNING for trial in self._trials())

    def records(self) -> list[TrialRecord]:
        """All trials that were begun, by number."""
        return [record_of(trial) for trial in self._trials() if trial.state != TrialState.WAITING or trial.user_attrs]

    def stats(self) -> dict[int, Float[np.ndarray, "N k"]]:
        """Per-example statistics of the completed trials, by number."""
        complete = [trial for trial in self._trials() if trial.state == TrialState.COMPLETE]
        return {trial.number: unpack(trial.user_attrs["stats"]) for trial in complete if trial.user_attrs.get("stats")}

    def curves(self, but: int) -> list[Curve]:
        """Of all trials but one, more is better."""
        return [
            Curve(
                number=trial.number,
                scores={step: self.sign * value for step, value in trial.intermediate_values.items()},
                is_complete=trial.state == TrialState.COMPLETE,
            )
            for trial in self._trials()
            if trial.number != but
        ]

    def beat(self, trial_id: int) -> None:
        """Say that the worker of a trial is alive."""
        self._database.record_heartbeat(trial_id)

    def close(self) -> None:
        """Let go of the database."""
        self.storage.remove_session()
        self._database.engine.dispose()

    def _trials(self) -> list[FrozenTrial]:
        trials = self.storage.get_all_trials(self.inner._study_id, deepcopy=False)
        return sorted((trial for trial in trials if trial.number < self.limit), key=lambda trial: trial.number)

    def _is_spent(self, trials: Sequence[FrozenTrial]) -> bool:
        spent = sum(float(trial.user_attrs.get("wall_seconds", 0.0)) for trial in trials if trial.state.is_finished())
        return self.seconds is not None and spent >= self.seconds

    def _free(self, trial: FrozenTrial) -> None:
        """Put a trial back whose worker is dead."""
        if trial.state != TrialState.RUNNING:
            return
        stale = self._database._get_stale_trial_ids(self.inner._study_id)
        if is_surely_dead(trial.user_attrs.get("worker", {})) or trial._trial_id in stale:
            with finished_by_others():
                self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def _claim(self, trial: FrozenTrial) -> bool:
        """Take a waiting trial. Heartbeat and name come first, so that whoever dies here leaves a trial that can be freed."""
        attempts = int(trial.user_attrs.get("attempts", 0)) + 1
        with finished_by_others():
            if attempts > MOST_ATTEMPTS:
                reason = f"the process died in each of its {MOST_ATTEMPTS} attempts"
                self.storage.set_trial_user_attr(trial._trial_id, "reason", reason)
                self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
                return False
            self.beat(trial._trial_id)
            self.storage.set_trial_user_attr(trial._trial_id, "worker", process_identity())
            self.storage.set_trial_user_attr(trial._trial_id, "attempts", attempts)
            return self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        return False

    def _turn(self) -> AbstractContextManager[None]:
        return taking_turns(self._lock) if self._lock is not None else nullcontext()


class Attempt:
    """One trial in the hands of this process.

    Args:
        study: Its study.
        trial: As it was when it was taken.

    Attributes:
        number: Of the trial.
        values: Path -> value.
        is_default: Whether these are its method's own.
    """

    def __init__(self, study: Study, trial: FrozenTrial) -> None:
        self.study, self.number, self._id = study, trial.number, trial._trial_id
        self.is_default = trial.number < study.num_defaults
        self.values = self._draw()
        self.scores: dict[int, float] = {}
        with finished_by_others():
            study.storage.set_trial_user_attr(self._id, "is_default", self.is_default)
            study.storage.set_trial_user_attr(self._id, "values", self.values)

    def _draw(self) -> dict[str, Value]:
        # As `ask` does: otherwise samplers would learn from the trials as they were when the study was opened.
        self.study.inner._thread_local.cached_all_trials = None
        trial = optuna.Trial(self.study.inner, self._id)

        def suggest(dimension: Dimension) -> float:
            domain = dimension.domain
            if isinstance(domain, Choice):
                return float(trial.suggest_categorical(dimension.name, range(len(domain.options))))
            if domain.whole:
                return trial.suggest_int(dimension.name, int(domain.low), int(domain.high), log=domain.log)
            return trial.suggest_float(dimension.name, domain.low, domain.high, log=domain.log)

        return draw(self.study.space, suggest)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """A heartbeat as long as the block lasts."""
        over = Event()

        def beat() -> None:
            while not over.wait(HEARTBEAT_SECONDS):
                try:
                    self.study.beat(self._id)
                except (SQLAlchemyError, StorageInternalError):
                    continue  # the next one may get through; if none does, the worker itself will fail
            self.study.storage.remove_session()

        heart = Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()

    def report(self, tenth: int, score: float) -> Curve:
        """Keep the best score so far at a tenth of the steps; returns the curve up to there."""
        self.scores[tenth] = score
        with finished_by_others():
            self.study.storage.set_trial_intermediate_value(self._id, tenth, score)
        return Curve(number=self.number, scores={step: self.study.sign * value for step, value in self.scores.items()})

    def complete(self, outcome: Outcome, cost: Cost, *, repeats: int | None = None) -> None:
        """It ran to its end."""
        facts = {"facts": dict(outcome.facts), "repeats": repeats, **_seconds(cost)}
        packed = {} if outcome.stats is None else {"stats": pack(outcome.stats)}
        self._finish(TrialState.COMPLETE, {**facts, **packed}, [outcome.score])

    def end(self, state: TrialState, reason: str, cost: Cost) -> None:
        """It was pruned, or failed."""
        best = max(self.scores.values(), key=lambda score: self.study.sign * score) if self.scores else None
        values = [best] if state == TrialState.PRUNED and best is not None else None
        self._finish(state, {"reason": reason, **_seconds(cost)}, values)

    def give_back(self) -> None:
        """Leave it for another time; it keeps its number and its values."""
        with finished_by_others():
            self.study.storage.set_trial_state_values(self._id, TrialState.WAITING)

    def _finish(self, state: TrialState, facts: Mapping[str, Any], values: list[float] | None) -> None:
        with finished_by_others():
            for name, value in facts.items():
                self.study.storage.set_trial_user_attr(self._id, name, value)
            # The state last: a trial that is over has all its facts.
            self.study.storage.set_trial_state_values(self._id, state, values)


def finished_by_others() -> suppress:
    """A worker that was taken for dead may find its trial finished by another, to the same result: nothing is left to do."""
    return suppress(UpdateFinishedTrialError)


def open_study(
    url: str,
    *,
    name: str,
    space: Space,
    direction: Direction,
    proposals: Proposals,
    limit: int,
    seconds: float | None = None,
) -> Study:
    """A study of a database, made if it is not there.

    Raises:
        UsageError: the URL is none.
        MissingExtraError: the driver of the database is not installed.
        ResourceError: the database cannot be reached.
    """
    refuse_address(url)
    file = file_of(url)
    lock = file.with_name(f"{file.name}.lock") if file is not None else None
    with naming_the_study(url), quiet_optuna():
        with taking_turns(lock) if lock is not None else nullcontext():
            database = open_database(url)
            inner = optuna.create_study(
                storage=database,
                sampler=SAMPLERS[proposals.sampler](space, proposals.seed, proposals.defaults),
                pruner=optuna.pruners.NopPruner(),
                study_name=name,
                direction="maximize" if direction == "higher" else "minimize",
                load_if_exists=True,
            )
        return Study(
            database, inner, space=space, limit=limit, num_defaults=len(proposals.defaults), seconds=seconds, lock=lock
        )


def _seconds(cost: Cost) -> dict[str, float]:
    return {"cpu_seconds": cost.cpu_seconds, "wall_seconds": cost.wall_seconds}


def pack(stats: Float[np.ndarray, "N k"]) -> dict[str, Any]:
    """An array as JSON, compressed: a thousand answers, right or wrong, take some hundred letters."""
    values = np.ascontiguousarray(stats, dtype="<f4")
    return {"shape": list(values.shape), "zlib": base64.b64encode(zlib.compress(values.tobytes(), 6)).decode("ascii")}


def unpack(packed: Mapping[str, Any]) -> Float[np.ndarray, "N k"]:
    """The array of `pack`.

    Example:
        >>> unpack(pack(np.array([[0.0], [1.0]]))).tolist()
        [[0.0], [1.0]]
    """
    return np.frombuffer(zlib.decompress(base64.b64decode(packed["zlib"])), dtype="<f4").reshape(packed["shape"])


def record_of(trial: FrozenTrial) -> TrialRecord:
    """A trial as a record."""
    facts = trial.user_attrs
    worker = facts.get("worker", {})
    return TrialRecord(
        number=trial.number,
        values=facts.get("values", {}),
        state=STATES[trial.state],
        score=trial.values[0] if trial.values else None,
        reason=facts.get("reason") or "",
        curve=tuple(sorted(trial.intermediate_values.items())),
        cpu_seconds=facts.get("cpu_seconds") or 0.0,
        wall_seconds=facts.get("wall_seconds") or 0.0,
        attempts=facts.get("attempts") or 1,
        worker=f"{str(worker.get('host', '')).partition(' ')[0]}:{worker['pid']}" if worker else "",
        repeats=facts.get("repeats"),
        is_default=facts.get("is_default", False),
        facts=facts.get("facts") or {},
    )

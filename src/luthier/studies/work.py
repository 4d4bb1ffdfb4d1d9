"""The work on a study: take a trial, run it, report, end it early or keep what it gave, until the budget is spent."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from optuna.trial import TrialState

from luthier.core.process import StopRequest, Stopwatch
from luthier.errors import DivergedError, ResourceError, Stopped
from luthier.studies.pruners import TENTHS, Curve, Pruner
from luthier.studies.records import Outcome, TrialRecord
from luthier.studies.space import Value
from luthier.studies.study import Attempt, Study

SECONDS_BETWEEN_LOOKS = 1.0
# (share of the trial's own steps that are done, score on validation) -> None; may raise to end the trial
Report = Callable[[float, float], None]
RunTrial = Callable[[Mapping[str, Value], Report], Outcome]
Tell = Callable[[TrialRecord], None]


class PrunedError(Exception):
    """The trial was ended because it promises nothing."""


@dataclass(kw_only=True)
class Reporting:
    """Turns evaluations, at whatever steps they come, into the best score at each tenth of the steps.

    Attributes:
        attempt: Whose they are.
        pruner: Is asked at each tenth.
        tenth, best: How far it is, and the best score so far.
        others: The curves of the other trials at the last evaluation.
    """

    attempt: Attempt
    pruner: Pruner
    tenth: int = 0
    best: float | None = None
    others: list[Curve] = field(default_factory=list)

    def __call__(self, share: float, score: float) -> None:
        """Take an evaluation in.

        Raises:
            PrunedError: the pruner says so.
        """
        sign = self.attempt.study.sign
        self.best = score if self.best is None or sign * score > sign * self.best else self.best
        self.others = []
        # A tenth that was passed between two evaluations gets what is known now.
        for tenth in range(self.tenth + 1, min(TENTHS, int(TENTHS * share + 1e-9)) + 1):
            self.tenth = tenth
            own = self.attempt.report(tenth, self.best)
            self.others = self.others or self.attempt.study.curves(self.attempt.number)
            # A default is the measure of the others, and is worth its whole length.
            if tenth < TENTHS and not self.attempt.is_default and self.pruner(own, tenth, self.others):
                raise PrunedError(f"ended after {tenth} of {TENTHS} parts: behind the others at this point")


def work(study: Study, run_trial: RunTrial, pruner: Pruner, *, stop: StopRequest, tell: Tell) -> None:
    """Run trials until the budget of the study is spent and nobody else is at work on one.

    Args:
        study: Whose trials.
        run_trial: Values -> what they give.
        pruner: Ends trials.
        stop: Looked at between trials.
        tell: Is told of each trial that is over.

    Raises:
        Stopped: the user asked to stop; the trial that was going on is left to be begun again.
    """
    while not stop:
        attempt = study.take()
        if attempt is not None:
            _run(attempt, run_trial, pruner)
            tell(next(record for record in study.records() if record.number == attempt.number))
            gc.collect()
        elif study.is_waiting_for_others():
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            return
    raise Stopped(f"Stopped by {stop.signal_name} between two trials.", remedy="the same command begins again")


def _run(attempt: Attempt, run_trial: RunTrial, pruner: Pruner) -> None:
    watch = Stopwatch()
    if (twin := _twin(attempt)) is not None:
        record, stats = twin
        outcome = Outcome(score=record.score or 0.0, stats=stats, facts=record.facts)
        attempt.complete(outcome, watch.read(), repeats=record.number)
        return
    try:
        with attempt.beating():
            outcome = run_trial(attempt.values, Reporting(attempt=attempt, pruner=pruner))
    except PrunedError as error:
        attempt.end(TrialState.PRUNED, str(error), watch.read())
    except (DivergedError, ResourceError) as error:
        attempt.end(TrialState.FAIL, error.problem, watch.read())
    except (Stopped, KeyboardInterrupt):
        attempt.give_back()
        raise
    else:
        attempt.complete(outcome, watch.read())


def _twin(attempt: Attempt) -> tuple[TrialRecord, object] | None:
    """A completed trial with the same values: trials are repeatable to the bit, so there is nothing to run."""
    for record in attempt.study.records():
        if record.state == "complete" and record.repeats is None and dict(record.values) == attempt.values:
            return record, attempt.study.stats().get(record.number)
    return None

"""What a search leaves behind, for terminal, report and programs: no live study, no Optuna."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.evaluation.records import Direction
from luthier.studies.space import Value

TrialState = Literal["complete", "pruned", "failed", "running", "waiting"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial that ran to its end gave.

    Attributes:
        score: Deciding measure on validation.
        stats: [N][k] per-example statistics of that measure (see `evaluation.measures`), if it is a function of their sums.
        facts: Anything else worth keeping, as JSON: epochs, best step.
    """

    score: float
    stats: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        number: From 0, in the order of their beginning.
        values: Path of the setting -> value, of everything that was varied.
        score: Deciding measure on validation; of a pruned trial the best it came to.
        reason: Why it failed or was ended; of a repetition, which trial it repeats.
        curve: (tenth of its steps, best score so far).
        attempts: How often it was begun: more than once where a process died.
        worker: Which process made it.
        is_default: Whether it has its method's own values, as far as they lie in the space.
    """

    number: int
    values: Mapping[str, Value] = field(default_factory=dict)
    state: TrialState
    score: float | None = None
    reason: str = ""
    curve: Sequence[tuple[int, float]] = ()
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    attempts: int = 1
    worker: str = ""
    repeats: int | None = None
    is_default: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        return self.state in ("complete", "pruned", "failed")


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much of the differences between trials one setting explains.

    Attributes:
        path: The setting.
        within: The choice it depends on, as `training.method=top-blocks:2`; empty if every trial has it.
        share: Of the variance of the scores of the trials that have it; settings with the same `within` add up to 1.
        num_trials: How many trials that is judged from.
    """

    path: str
    within: str = ""
    share: float
    num_trials: int


@dataclass(frozen=True, kw_only=True)
class Optimism:
    """By how much the best score on validation is too good, for having been the best of many.

    Attributes:
        best: The best trial's score on validation.
        corrected: What the choice is worth on rows it was not made on: mean over bootstrap samples.
        amount: By how much the first is better than the second, as a difference of scores.
        low, high: 95 % interval of `corrected`.
        num_trials: How many trials were chosen among.
        num_samples: Bootstrap samples.
    """

    best: float
    corrected: float
    amount: float
    low: float
    high: float
    num_trials: int
    num_samples: int


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """Everything about a search: `search.json`.

    Attributes:
        space: Path -> what could vary, as in the spec.
        best: Number of the best trial; None if none ran to its end.
        cpu_seconds, wall_seconds: Of all trials and of what they shared, summed over processes.
        shared_cpu_seconds: Of what they shared: the one pass through the frozen model, the probe.
    """

    study: str
    measure: str
    direction: Direction
    sampler: str
    pruner: str
    seed: int
    num_trials: int
    seconds: float | None = None
    space: Mapping[str, Any] = field(default_factory=dict)
    trials: Sequence[TrialRecord] = ()
    best: int | None = None
    importance: Sequence[Importance] = ()
    optimism: Optimism | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    shared_cpu_seconds: float = 0.0
    schema_version: int = 1

    @property
    def best_trial(self) -> TrialRecord | None:
        """The trial whose values are used."""
        return next((trial for trial in self.trials if trial.number == self.best), None)

    @property
    def best_default(self) -> TrialRecord | None:
        """The best of the trials with a method's own values; None if none ran to its end."""
        sign = 1 if self.direction == "higher" else -1
        ended = [trial for trial in self.trials if trial.is_default and trial.state == "complete" and trial.score is not None]
        return max(ended, key=lambda trial: (sign * (trial.score or 0.0), -trial.number), default=None)

    def count(self, state: TrialState) -> int:
        """How many trials ended so."""
        return sum(trial.state == state for trial in self.trials)

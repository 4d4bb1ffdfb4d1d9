"""When to raise an alarm, where a false alarm and a miss cost differently: the threshold that would have cost least on
validation, and what it costs on test.

Source: Elkan 2001, "The foundations of cost-sensitive learning": for true probabilities the best threshold is
false alarm / (false alarm + miss); that found on validation also mends probabilities that are a little off.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from luthier.errors import SpecError, raise_together
from luthier.evaluation.bootstrap import bootstrap_weights
from luthier.evaluation.predictions import prob_matrix, unit_indices
from luthier.evaluation.records import Interval, Predictions
from luthier.evaluation.settings import EvaluationSettings


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """What a threshold costs.

    Attributes:
        positive: The label that an alarm is for.
        false_alarm_cost, miss_cost: Of one each.
        threshold: Alarm where the label's probability is at least this; chosen on validation.
        at_true_probabilities: What it would be if probabilities were true.
        cost: Per test example, at the threshold.
        others: The same for: the likelier label, an alarm always, never.
        alarms: Share of the test examples with an alarm; `found`: share of the label's examples among them.
        right: Share of the alarms that are right.
    """

    positive: str
    false_alarm_cost: float
    miss_cost: float
    threshold: float
    at_true_probabilities: float
    cost: Interval
    others: dict[str, float]
    alarms: float
    found: float
    right: float


def refuse_unfit_costs(settings: EvaluationSettings, labels: tuple[str, ...]) -> None:
    """Look at the costs that were given.

    Raises:
        SpecError: only one of two, a label that is none, or not two labels; all of them together.
    """
    given = {"--false-alarm-cost": settings.false_alarm_cost, "--miss-cost": settings.miss_cost}
    said = [flag for flag, value in given.items() if value is not None]
    problems = []
    if len(said) == 1:
        other = next(flag for flag in given if flag not in said)
        problems.append(SpecError(f"{said[0]} says nothing without {other}.", remedy=f"{said[0]} {given[said[0]]:g} {other} 1"))
    if said and len(labels) != 2:
        what = f"there are {len(labels)} labels" if labels else "there are none"
        problems.append(SpecError(f"Costs of alarms are for two labels, and {what}.", remedy=f"leave {' and '.join(said)} out"))
    if settings.positive is not None and settings.positive not in labels:
        remedy = f"--positive {labels[-1]}" if labels else "leave --positive out"
        problems.append(SpecError(f"--positive names '{settings.positive}', which is no label.", remedy=remedy))
    elif settings.positive is not None and not said:
        problems.append(SpecError("--positive says nothing without costs.", remedy="--false-alarm-cost 1 --miss-cost 5"))
    raise_together(problems)


def weigh_alarms(
    validation: Predictions | None, test: Predictions, settings: EvaluationSettings, *, seed: int
) -> Alarms | None:
    """The threshold and its cost; None where no costs were given.

    The label that alarms are for is the one named, else the rarer one on validation.
    """
    false_alarm, miss = settings.false_alarm_cost, settings.miss_cost
    if validation is None or false_alarm is None or miss is None or len(test.labels) != 2:
        return None
    targets = np.array(validation.table["target"].to_pylist(), dtype=object)
    positive = settings.positive or min(test.labels, key=lambda label: int((targets == label).sum()))
    place = test.labels.index(positive)
    threshold = best_threshold(prob_matrix(validation)[:, place], targets == positive, false_alarm=false_alarm, miss=miss)
    probs, is_positive = prob_matrix(test)[:, place], np.array(test.table["target"].to_pylist(), dtype=object) == positive

    def cost_of(alarm: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.asarray(false_alarm * (alarm & ~is_positive) + miss * (~alarm & is_positive))

    alarm = probs >= threshold
    everywhere = np.ones(len(probs), dtype=bool)
    return Alarms(
        positive=positive,
        false_alarm_cost=false_alarm,
        miss_cost=miss,
        threshold=threshold,
        at_true_probabilities=false_alarm / (false_alarm + miss),
        cost=_interval(cost_of(alarm), unit_indices(test), settings, seed),
        others={
            "the likelier label": float(cost_of(probs >= 0.5).mean()),
            "always": float(cost_of(everywhere).mean()),
            "never": float(cost_of(~everywhere).mean()),
        },
        alarms=float(alarm.mean()),
        found=_share(alarm, is_positive),
        right=_share(is_positive, alarm),
    )


def best_threshold(
    probs: Float[np.ndarray, " N"], is_positive: Bool[np.ndarray, " N"], *, false_alarm: float, miss: float
) -> float:
    """The threshold with the lowest cost; of equal ones the middle of the range nearest to that of true probabilities.

    Example:
        >>> best_threshold(np.array([0.1, 0.3, 0.6, 0.9]), np.array([False, True, False, True]), false_alarm=1, miss=5)
        0.2
    """
    ordered = np.unique(probs)
    edges = np.concatenate([[0.0], (ordered[1:] + ordered[:-1]) / 2, [np.nextafter(1.0, 2.0)]])
    positives, negatives = np.sort(probs[is_positive]), np.sort(probs[~is_positive])
    missed = np.searchsorted(positives, edges, side="left")
    false = len(negatives) - np.searchsorted(negatives, edges, side="left")
    costs = miss * missed + false_alarm * false
    best = np.flatnonzero(costs <= costs.min() + 1e-12)
    wanted = false_alarm / (false_alarm + miss)
    return float(edges[best[np.abs(edges[best] - wanted).argmin()]])


def _interval(costs: Float[np.ndarray, " N"], units: np.ndarray, settings: EvaluationSettings, seed: int) -> Interval:
    sums, counts = np.bincount(units, costs), np.bincount(units).astype(np.float64)
    weights = bootstrap_weights(len(sums), samples=settings.bootstrap_samples, seed=seed)
    draws = np.concatenate([(sums @ chunk) / (counts @ chunk) for chunk in weights])
    low, high = np.quantile(draws, [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2])
    return Interval(value=float(costs.mean()), low=float(low), high=float(high))


def _share(of: Bool[np.ndarray, " N"], among: Bool[np.ndarray, " N"]) -> float:
    return float(of[among].mean()) if among.any() else 0.0


def describe_alarms(alarms: Alarms) -> str:
    """The threshold and its cost in a sentence."""
    others = ", ".join(f"{name} {cost:.3g}" for name, cost in alarms.others.items())
    return (
        f"Alarm for '{alarms.positive}' from a probability of {alarms.threshold:.3g} on, which cost least on validation (a "
        f"false alarm costs {alarms.false_alarm_cost:g}, a miss {alarms.miss_cost:g}): {alarms.cost.value:.3g} "
        f"[{alarms.cost.low:.3g}, {alarms.cost.high:.3g}] per test example, against {others}. It alarms for "
        f"{alarms.alarms:.1%} of the examples and finds {alarms.found:.1%} of '{alarms.positive}'; {alarms.right:.1%} of the "
        "alarms are right."
    )

"""Keep the tuned model or not. The rule is the product's, and the sentence that comes out says which part of it decided.

*Keep*: tuned beats every model that needed no tuning (majority, persistence, classic, pretrained) by a paired test after Holm's
correction, and is not significantly worse than the probe or from scratch. *Keep with care*: it is better than each of them, but
a test does not show it (as where the interval of the gain contains zero), or something (a slice, the retained score,
calibration) got worse beyond its limit, or the probe is within one standard error (then the probe is recommended). *Do not
keep*: otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.evaluation.display import format_difference, format_p, format_score, join_names, measure_title
from luthier.evaluation.records import MODEL_NAMES, Comparison, Direction, Interval, Verdict

UNTUNED = ("majority", "persistence", "classic", "pretrained")
RIVALS = ("probe", "scratch")


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something tuning may have made worse: the retained score, calibration, a slice.

    Attributes:
        what: In words, as the subject of a sentence: "the score on retained data".
        before: Its value before tuning.
        after: Its value for the tuned model.
        limit: How much worse it may become.
        direction: Whether higher or lower is better.
    """

    what: str
    before: float
    after: float
    limit: float
    direction: Direction = "higher"

    def is_beyond_limit(self) -> bool:
        """Whether it got worse by more than the limit."""
        worse_by = self.before - self.after if self.direction == "higher" else self.after - self.before
        return worse_by > self.limit


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What tuned gains over another model, in the direction that is better."""

    comparison: Comparison
    sign: int
    alpha: float

    def amount(self) -> float:
        """Positive where tuned is better."""
        return self.sign * self.comparison.difference

    def is_significant(self) -> bool:
        """Whether the paired test, after Holm's correction, shows a difference at all."""
        return self.comparison.p_holm < self.alpha

    def is_shown(self) -> bool:
        """Whether the test and the interval both say that tuned is better."""
        return self.amount() > 0 and self.is_significant() and not self.comparison.low <= 0 <= self.comparison.high

    def __str__(self) -> str:
        item = self.comparison
        low, high = format_difference(item.measure, item.low), format_difference(item.measure, item.high)
        size = format_difference(item.measure, item.difference, unit=True)
        return f"{size} [{low}, {high}], p {format_p(item.p_holm, equals=True)}"


def decide_verdict(
    test_scores: Mapping[str, Mapping[str, Interval]],
    comparisons: Sequence[Comparison],
    *,
    primary_measure: str,
    direction: Direction = "higher",
    alpha: float = 0.05,
    changes: Sequence[Change] = (),
) -> Verdict:
    """The verdict on `tuned`.

    Args:
        test_scores: By model and measure; the models that are there are the ones that are judged against. Where only a head
            was trained, tuned is a probe itself: there is no row `probe`, and nothing is said about one.
        comparisons: Of tuned against each other model, corrected by `holm`.
        primary_measure: The measure that decides.
        direction: Whether more of it is better.
        alpha: Level of the paired tests: one minus the confidence of the intervals.
        changes: What tuning may have made worse.
    """
    sign = 1 if direction == "higher" else -1
    gains = {
        item.b: Gain(comparison=item, sign=sign, alpha=alpha)
        for item in comparisons
        if item.a == "tuned" and item.measure in (primary_measure, _measure_of(item)) and item.b in test_scores
    }
    scores = {model: by_measure[primary_measure].value for model, by_measure in test_scores.items()}
    words = _Words(measure=primary_measure, scores=test_scores, gains=gains)
    if failures := _failures(gains, words):
        others = [model for model in MODEL_NAMES if model in scores and model != "tuned"]
        best = max(others, key=lambda model: sign * scores[model])
        if "persistence" in gains and gains["persistence"].amount() <= 0:
            best = "persistence"
        return Verdict(name="do not keep", reason=_sentence(failures), recommended=best)
    worries, recommended = _worries(gains, changes, words)
    proof = _proof(gains, words)
    if worries:
        return Verdict(name="keep with care", reason=f"{proof} But {_sentence(worries, first=False)}", recommended=recommended)
    return Verdict(name="keep", reason=proof, recommended="tuned")


def _measure_of(item: Comparison) -> str:
    """The last answer ranks nothing: it is compared by what its comparison says, whatever decides between the others."""
    return item.measure if item.b == "persistence" else ""


@dataclass(frozen=True, kw_only=True)
class _Words:
    measure: str
    scores: Mapping[str, Mapping[str, Interval]]
    gains: Mapping[str, Gain]

    def is_usual(self, model: str) -> bool:
        """Whether a model is compared by the measure that decides."""
        return self._measure(model) == self.measure

    def score(self, model: str) -> str:
        measure = self._measure(model)
        return format_score(measure, self.scores[model][measure].value)

    def tuned(self, against: str = "") -> str:
        measure = self._measure(against)
        return f"tuned ({measure_title(measure)} {format_score(measure, self.scores['tuned'][measure].value)})"

    def _measure(self, model: str) -> str:
        return self.gains[model].comparison.measure if model in self.gains else self.measure


def _failures(gains: Mapping[str, Gain], words: _Words) -> list[str]:
    """Why the model is not to be kept."""
    failures = []
    for model in (model for model in UNTUNED if model in gains):
        gain = gains[model]
        if gain.amount() <= 0:
            how = "worse" if gain.amount() < 0 else "no better"
            subject = words.tuned(against=model)
            failures.append(f"{subject} is {how} than {model} ({words.score(model)}), which needs no tuning: {gain}")
    for model in (model for model in RIVALS if model in gains):
        gain = gains[model]
        if gain.amount() < 0 and gain.is_significant():
            failures.append(f"{words.tuned()} is significantly worse than {_rival(model)} ({words.score(model)}): {gain}")
    return failures


def _worries(gains: Mapping[str, Gain], changes: Sequence[Change], words: _Words) -> tuple[list[str], str]:
    """What calls for care, and the model to use."""
    unshown = [model for model in UNTUNED if model in gains and not gains[model].is_shown()]
    worries = [f"it is not shown to beat {model} ({words.score(model)}), {_doubt(gains[model])}" for model in unshown]
    if not any(model in gains for model in UNTUNED):
        worries.append("no model without tuning was measured, so nothing shows that tuning helped")
    worries += [
        f"{change.what} went from {change.before:.3f} to {change.after:.3f}, beyond the limit of {change.limit:.3f}"
        for change in changes
        if change.is_beyond_limit()
    ]
    recommended = "tuned"
    if "probe" in gains and gains["probe"].amount() <= gains["probe"].comparison.standard_error:
        recommended = "probe"
        error = format_difference(words.measure, gains["probe"].comparison.standard_error, unit=True).lstrip("+")
        worries.append(
            f"the probe alone ({words.score('probe')}), which moves no pre-trained weight, is within one standard error "
            f"({error}) of tuned: {gains['probe']}"
        )
    return worries, recommended


def _doubt(gain: Gain) -> str:
    """Why a gain is not shown."""
    if gain.is_significant():
        return f"the interval of the gain contains zero: {gain}"
    return f"the gain may be chance: {gain}"


def _proof(gains: Mapping[str, Gain], words: _Words) -> str:
    """What speaks for the model, in a sentence for the models without tuning and one for each rival."""
    better = [model for model in UNTUNED if model in gains and words.is_usual(model)]
    beaten = [model for model in better if gains[model].is_shown()]
    sentences = []
    if beaten:
        closest = min(beaten, key=lambda model: gains[model].amount())
        which = "" if len(beaten) == 1 else f"; the closest is {closest}"
        sentences.append(
            f"{words.tuned()} beats {join_names(beaten)} by paired tests after Holm's correction{which} "
            f"({words.score(closest)}: {gains[closest]})."
        )
    elif better:
        sentences.append(f"{words.tuned()} is better than {join_names(better)}.")
    for model in (model for model in UNTUNED if model in gains and not words.is_usual(model) and gains[model].is_shown()):
        title = measure_title(gains[model].comparison.measure)
        sentences.append(f"By {title} it also beats {model} ({words.score(model)}: {gains[model]}).")
    for model in (model for model in RIVALS if model in gains):
        how = "also beats" if gains[model].amount() > 0 and gains[model].is_significant() else "is not significantly worse than"
        subject = "It" if sentences else words.tuned()
        sentences.append(f"{subject} {how} {_rival(model)} ({words.score(model)}: {gains[model]}).")
    return " ".join(sentences) or f"{words.tuned()} stands alone on this card."


def _rival(model: str) -> str:
    return {"probe": "the probe", "scratch": "training from scratch"}[model]


def _sentence(parts: Sequence[str], *, first: bool = True) -> str:
    text = "; and ".join(parts)
    return f"{text[:1].upper() if first and not text.startswith('tuned') else text[:1]}{text[1:]}."

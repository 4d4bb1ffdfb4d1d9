from collections.abc import Mapping
from dataclasses import replace

import pytest

from luthier.evaluation.records import Comparison, Interval
from luthier.evaluation.verdict import Change, decide_verdict

SURE, UNSURE = 0.001, 0.4


def against(model: str, difference: float, p: float, *, error: float = 0.01) -> Comparison:
    """Tuned against a model, with an interval of two standard errors."""
    return Comparison(
        a="tuned",
        b=model,
        measure="accuracy",
        difference=difference,
        low=difference - 2 * error,
        high=difference + 2 * error,
        p=p / 4,
        p_holm=p,
        standard_error=error,
        test="a test",
    )


def scores_of(comparisons: list[Comparison]) -> Mapping[str, Mapping[str, Interval]]:
    """Tuned scores 0.9, the others what their difference says."""
    values = {"tuned": 0.9} | {item.b: 0.9 - item.difference for item in comparisons}
    return {model: {"accuracy": Interval(value=value, low=value, high=value)} for model, value in values.items()}


BEATEN = [against("majority", 0.8, SURE), against("classic", 0.1, SURE), against("pretrained", 0.2, SURE)]
FORGOT = Change(what="the retained score", before=0.8, after=0.7, limit=0.05)
CASES = {
    "beats all, and the probe": ([*BEATEN, against("probe", 0.05, SURE)], (), "keep", "tuned", "also beats the probe"),
    "beats all, probe between one and two errors": (
        [*BEATEN, against("probe", 0.015, UNSURE)],
        (),
        "keep",
        "tuned",
        "is not significantly worse than the probe (88.5 %: +1.5 points [-0.5, +3.5], p = 0.40)",
    ),
    "tuned is a probe itself": (BEATEN, (), "keep", "tuned", "the closest is classic (80.0 %: +10.0 points"),
    "one untuned model only": (BEATEN[:1], (), "keep", "tuned", "beats majority by paired tests"),
    "scratch as good": ([*BEATEN, against("scratch", -0.005, UNSURE)], (), "keep", "tuned", "than training from scratch"),
    "probe within one error": (
        [*BEATEN, against("probe", 0.008, UNSURE)],
        (),
        "keep with care",
        "probe",
        "is within one standard error (1.0 points) of tuned",
    ),
    "probe better, not significantly": (
        [*BEATEN, against("probe", -0.015, 0.2)],
        (),
        "keep with care",
        "probe",
        "the probe alone",
    ),
    "an interval contains zero": (
        [*BEATEN[:2], against("pretrained", 0.015, 0.04)],
        (),
        "keep with care",
        "tuned",
        "not shown to beat pretrained (88.5 %), the interval of the gain contains zero: +1.5 points",
    ),
    "forgot too much": (
        BEATEN,
        (FORGOT,),
        "keep with care",
        "tuned",
        "the retained score went from 0.800 to 0.700".capitalize(),
    ),
    "forgot a little": (BEATEN, (replace(FORGOT, limit=0.2),), "keep", "tuned", "beats majority"),
    "calibration": (
        BEATEN,
        (Change(what="calibration error", before=0.02, after=0.1, limit=0.05, direction="lower"),),
        "keep with care",
        "tuned",
        "beyond the limit of 0.050",
    ),
    "nothing untuned": ([against("probe", 0.05, SURE)], (), "keep with care", "tuned", "nothing shows that tuning helped"),
    "no proof against classic": (
        [BEATEN[0], against("classic", 0.02, UNSURE), BEATEN[2]],
        (),
        "keep with care",
        "tuned",
        "beats majority and pretrained by paired tests after Holm's correction; the closest is pretrained (70.0 %: +20.0 "
        "points [+18.0, +22.0], p = 0.001). But it is not shown to beat classic (88.0 %), the gain may be chance: +2.0 points",
    ),
    "better than all, nothing shown": (
        [against("majority", 0.02, UNSURE), against("classic", 0.01, UNSURE)],
        (),
        "keep with care",
        "tuned",
        "is better than majority and classic. But it is not shown to beat majority",
    ),
    "a little worse than classic": (
        [BEATEN[0], against("classic", -0.005, UNSURE)],
        (),
        "do not keep",
        "classic",
        "is worse than classic (90.5 %), which needs no tuning: -0.5 points",
    ),
    "worse than classic": ([BEATEN[0], against("classic", -0.02, SURE)], (), "do not keep", "classic", "is worse than classic"),
    "worse than the probe": ([*BEATEN, against("probe", -0.05, SURE)], (), "do not keep", "probe", "worse than the probe"),
    "worse than from scratch": (
        [*BEATEN, against("scratch", -0.05, SURE)],
        (),
        "do not keep",
        "scratch",
        "worse than training from scratch",
    ),
    "as good as a guess": (
        [against("majority", 0.0, 1.0), against("classic", 0.0, 1.0)],
        (),
        "do not keep",
        "majority",
        "is no better than majority",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_follows_the_rule_and_says_so(case: str) -> None:
    comparisons, changes, name, recommended, words = CASES[case]
    found = decide_verdict(scores_of(comparisons), comparisons, primary_measure="accuracy", changes=changes)
    assert (found.name, found.recommended) == (name, recommended)
    assert words.lower() in found.reason.lower()
    assert found.reason.startswith("tuned (accuracy 90.0 %)")
    assert found.reason.endswith(".")


def test_only_the_corrected_p_decides() -> None:
    comparisons = [replace(item, p=0.02, p_holm=0.08) for item in BEATEN]
    found = decide_verdict(scores_of(comparisons), comparisons, primary_measure="accuracy")
    assert found.name == "keep with care"


def test_where_lower_is_better_a_negative_difference_is_a_gain() -> None:
    comparisons = [replace(item, difference=-item.difference, low=-item.high, high=-item.low) for item in BEATEN]
    kept = decide_verdict(scores_of(comparisons), comparisons, primary_measure="accuracy", direction="lower")
    refused = decide_verdict(scores_of(comparisons), comparisons, primary_measure="accuracy", direction="higher")
    assert (kept.name, refused.name) == ("keep", "do not keep")


def test_other_measures_and_other_models_have_no_say() -> None:
    others = [replace(against("classic", -0.3, SURE), measure="macro_f1"), replace(against("tuned", -0.3, SURE), a="probe")]
    assert decide_verdict(scores_of(BEATEN), [*BEATEN, *others], primary_measure="accuracy").name == "keep"


@pytest.mark.parametrize("accuracy, name, recommended", [(0.7, "do not keep", "persistence"), (0.95, "keep", "tuned")])
def test_the_last_answer_which_ranks_nothing_is_judged_by_accuracy(accuracy: float, name: str, recommended: str) -> None:
    by_rank = [replace(item, measure="roc_auc") for item in BEATEN]
    last = against("persistence", accuracy - 0.85, SURE)
    scores = {model: {"roc_auc": found["accuracy"]} for model, found in scores_of(by_rank).items()}
    scores["persistence"] = {name: Interval(value=0.85, low=0.85, high=0.85) for name in ("roc_auc", "accuracy")}
    scores["tuned"]["accuracy"] = Interval(value=accuracy, low=accuracy, high=accuracy)
    found = decide_verdict(scores, [*by_rank, last], primary_measure="roc_auc")
    assert (found.name, found.recommended) == (name, recommended)
    words = "By accuracy it also beats persistence (85.0 %: +10.0 points"
    assert (words if name == "keep" else "tuned (accuracy 70.0 %) is worse than persistence (85.0 %)") in found.reason

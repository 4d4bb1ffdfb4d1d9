"""Section 6: can its confidence be believed?"""

from collections.abc import Mapping
from typing import Any

from luthier.report import wording
from luthier.report.figures import draw_reliability
from luthier.report.records import RunRecords
from luthier.report.section import Section


def build_calibration(run: RunRecords) -> Section | None:
    """The reliability curve, and what it means in words; nothing for answers that come without a confidence."""
    by_model: Mapping[str, Any] = run.metrics.calibration
    if not by_model and run.metrics.answer_kind != "label":
        return None
    tuned = by_model.get("tuned") or {}
    points = curve_points(tuned)
    error, temperature = tuned.get("expected_calibration_error"), tuned.get("best_temperature")
    facts = {
        "sentence": error_in_words(error, points, of_labels=run.metrics.answer_kind == "labels"),
        "of_labels": run.metrics.answer_kind == "labels",
        "errors": [
            (wording.model_name(name, run.metrics.described), wording.percent(by_model[name].get("expected_calibration_error")))
            for name in ("pretrained", "probe", "tuned")
            if name in by_model
        ],
        "temperature": f"{temperature:.2f}" if temperature else "",
        "temperature_words": temperature_in_words(temperature),
        "figure": draw_reliability(points) if points else "",
        "points": [(wording.percent(c), wording.percent(a), n) for c, a, n in points],
    }
    return Section(title="Can its confidence be believed?", template="calibration.html", facts=facts)


def curve_points(calibration: Mapping[str, Any]) -> list[tuple[float, float, int]]:
    """(confidence, accuracy, examples) of each bin that holds any."""
    points = [(p["confidence"], p["accuracy"], int(p["n"])) for p in calibration.get("curve") or ()]
    return [point for point in points if point[0] is not None and point[1] is not None and point[2]]


def error_in_words(error: float | None, points: list[tuple[float, float, int]], *, of_labels: bool = False) -> str:
    """What the calibration error means for somebody who reads a confidence.

    Args:
        error: Mean distance of stated confidence and reality.
        points: Of the curve.
        of_labels: Whether it is about each label that is given, not about one answer for each example.
    """
    if error is None:
        return ""
    quality = next(
        (word for limit, word in ((0.02, "very well"), (0.05, "well"), (0.10, "roughly")) if error < limit), "poorly"
    )
    text = f"Stated confidence and reality agree {quality}: on average they differ by {100 * error:.1f} percentage points."
    total = sum(n for _, _, n in points)
    if not total:
        return text
    confidence = sum(c * n for c, _, n in points) / total
    accuracy = sum(a * n for _, a, n in points) / total
    over = "Over all labels that it gives" if of_labels else "Over all test examples"
    text += f" {over} the model claims {wording.percent(confidence)} and is right in {wording.percent(accuracy)}"
    return text + _leaning(confidence - accuracy)


def _leaning(gap: float) -> str:
    if abs(gap) < 0.01:
        return "."
    return ": it is too sure of itself." if gap > 0 else ": it is more careful than it needs to be."


def temperature_in_words(temperature: float | None) -> str:
    """What the fitted temperature says."""
    if not temperature:
        return ""
    if abs(temperature - 1) < 0.05:
        return "practically 1: the probabilities need no correction"
    if temperature > 1:
        return "above 1: dividing the logits by it would make the model less sure, and fit validation better"
    return "below 1: dividing the logits by it would make the model more sure, and fit validation better"

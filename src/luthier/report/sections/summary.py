"""Section 1: what was asked, what came out, three numbers. For a reader who reads nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from luthier.core.names import count_of
from luthier.evaluation.display import counted, format_number, task_title
from luthier.evaluation.records import Comparison, Metrics
from luthier.report import wording
from luthier.report.records import RunRecords
from luthier.report.section import Section

UNTUNED = ("majority", "persistence", "classic", "pretrained")


@dataclass(frozen=True, kw_only=True)
class KeyNumber:
    """A number with what it is and how sure it is."""

    label: str
    value: str
    unit: str
    range: str
    note: str = ""


def build_summary(run: RunRecords) -> Section:
    """The verdict in a sentence, the recommended model, three key numbers, what to know before use."""
    facts = {
        "headline": headline(run.metrics),
        "plainly": plainly(run.metrics),
        "asked": asked(run),
        "numbers": key_numbers(run.metrics),
        "caveats": caveats(run),
    }
    return Section(title="Summary", template="summary.html", facts=facts)


def headline(metrics: Metrics) -> str:
    """The verdict, as one would say it."""
    use = f"Use the {wording.model_noun(metrics.recommended, metrics.described)}."
    if metrics.verdict == "keep":
        return f"Tuning paid off. {use}"
    if metrics.verdict == "keep with care" and metrics.recommended == "tuned":
        return "The tuned model is better, but read the condition below before you rely on it."
    if metrics.verdict == "keep with care":
        return f"Tuning helped, but a cheaper model does about as well. {use}"
    return f"Tuning did not prove its worth. {use}" if metrics.recommended != "tuned" else "Tuning did not prove its worth."


def plainly(metrics: Metrics) -> str:
    """What the recommended model's answers are like, without a technical word; empty where nothing can be said so."""
    by_kind = {
        "labels": of_labels,
        "number": of_numbers,
        "entities": of_entities,
        "tags": of_tags,
        "relevance": of_rankings,
        "likelihood": of_texts,
        "text": of_written,
    }
    said = by_kind.get(metrics.answer_kind, in_hundred)
    return said(metrics)


def of_written(metrics: Metrics) -> str:
    """How many of the texts that it writes are the right one as it stands."""
    own = metrics.test.get(metrics.recommended, {}).get("same_text")
    if own is None:
        return ""
    return f"Of 100 texts that it writes, expect about {round(100 * own.value)} to be the right one letter by letter."


def of_labels(metrics: Metrics) -> str:
    """How many of the labels given are right, and how many of those there are are given."""
    scores = metrics.test.get(metrics.recommended, {})
    if not {"micro_precision", "micro_recall"} <= scores.keys():
        return ""
    right, found = (round(100 * scores[name].value) for name in ("micro_precision", "micro_recall"))
    return f"Of 100 labels that it gives, expect about {right} to be right; of 100 that belong, it gives about {found}."


def of_rankings(metrics: Metrics) -> str:
    """How often a relevant document stands first, and among the first ten; of the tuned model only."""
    counts: Any = metrics.details.get("rankings") or {}
    total = sum(counts.values())
    if not total or metrics.recommended != "tuned":
        return ""
    first, ten = (round(100 * number / total) for number in (counts["first"], counts["first"] + counts["in_ten"]))
    return f"Of 100 queries, expect a relevant document to stand first for about {first}, and among the first ten for {ten}."


def of_entities(metrics: Metrics) -> str:
    """How many of the entities found are right, and how many of those there are are found."""
    scores = metrics.test.get(metrics.recommended, {})
    if not {"entity_precision", "entity_recall"} <= scores.keys():
        return ""
    right, found = (round(100 * scores[name].value) for name in ("entity_precision", "entity_recall"))
    return f"Of 100 entities that it finds, expect about {right} to be right; of 100 that there are, it finds about {found}."


def of_tags(metrics: Metrics) -> str:
    """How many words get the right tag."""
    own = metrics.test.get(metrics.recommended, {}).get("token_accuracy")
    return "" if own is None else f"Of 100 words, expect about {round(100 * own.value)} to get the right tag."


def of_texts(metrics: Metrics) -> str:
    """How much better the tuned model tells the texts than the model that it began as; and what that cost elsewhere."""
    before, after = (metrics.test.get(name, {}).get("perplexity") for name in ("pretrained", "tuned"))
    if before is None or after is None:
        return ""
    change = 100 * (after.value / before.value - 1)
    said = f"Tuning {'lowers' if change < 0 else 'raises'} the perplexity of unseen texts of this kind by {abs(change):.0f} %."
    return f"{said} {metrics.retained_about}".strip()


def of_numbers(metrics: Metrics) -> str:
    """How far its answers are from the truth, beside the best model that needed no tuning."""
    own = metrics.test.get(metrics.recommended, {}).get("mae")
    if own is None:
        return ""
    text = f"Expect its answers to be {format_number(own.value)} off on average"
    span: Any = metrics.details.get("range")
    if span:
        low, high = span
        text += f", where the truth lies between {format_number(low)} and {format_number(high)}"
    other = best_untuned(metrics)
    if metrics.recommended != other and (rival := metrics.test.get(other, {}).get("mae")):
        text += f". Those of the {wording.model_noun(other, metrics.described)} are {format_number(rival.value)} off"
    return text + "."


def in_hundred(metrics: Metrics) -> str:
    """The recommended model's accuracy as a count out of a hundred, beside the model it is an alternative to."""
    own = metrics.test.get(metrics.recommended, {}).get("accuracy")
    if own is None:
        return ""
    text = f"Out of 100 new examples, expect the right answer for about {round(100 * own.value)}."
    other = best_untuned(metrics)
    if metrics.recommended != "tuned" and (tuned := metrics.test.get("tuned", {}).get("accuracy")):
        text += f" The tuned model gets about {round(100 * tuned.value)}."
    elif other and "accuracy" in metrics.test[other]:
        value = round(100 * metrics.test[other]["accuracy"].value)
        text += (
            f" The best model that needed no tuning, the {wording.model_noun(other, metrics.described)}, gets about {value}."
        )
    return text


def best_untuned(metrics: Metrics) -> str:
    """The best by the primary measure among the models that needed no tuning; empty if there are none."""
    scores = {name: metrics.test[name][metrics.primary_measure].value for name in UNTUNED if name in metrics.test}
    if not scores:
        return ""
    best = max if metrics.directions.get(metrics.primary_measure, "higher") == "higher" else min
    return best(scores, key=lambda name: scores[name])


def against_tuned(metrics: Metrics, other: str) -> Comparison | None:
    """The comparison of the tuned model with another one by the primary measure; positive where tuned is better."""
    is_lower = metrics.directions.get(metrics.primary_measure) == "lower"
    for item in metrics.comparisons:
        if item.measure != metrics.primary_measure or {item.a, item.b} != {"tuned", other}:
            continue
        return item if (item.a == "tuned") != is_lower else _turned(item)
    return None


def _turned(item: Comparison) -> Comparison:
    return replace(item, a=item.b, b=item.a, difference=-item.difference, low=-item.high, high=-item.low)


def key_numbers(metrics: Metrics) -> list[KeyNumber]:
    """The main score, what tuning gained, and a second score; fewer where there is less."""
    model, primary = metrics.recommended, metrics.primary_measure
    numbers = [_score_number(metrics, model, primary)] if primary in metrics.test.get(model, {}) else []
    other = best_untuned(metrics)
    comparison = against_tuned(metrics, other) if other else None
    if comparison:
        rival = wording.model_noun(other, metrics.described)
        value, _, unit = wording.signed(primary, comparison.difference).partition(wording.NBSP)
        numbers.append(
            KeyNumber(
                label=f"{'Gain' if comparison.difference >= 0 else 'Loss'} of the tuned model against the {rival}",
                value=value,
                unit=unit,
                range=wording.signed_range(primary, comparison.low, comparison.high),
                note="the best model that needed no tuning",
            )
        )
    second = next((name for name in metrics.test.get(model, {}) if name != primary), "")
    return numbers + ([_score_number(metrics, model, second)] if second else [])


def _score_number(metrics: Metrics, model: str, measure: str) -> KeyNumber:
    interval = metrics.test[model][measure]
    value, _, unit = wording.score(measure, interval.value).partition(wording.NBSP)
    return KeyNumber(
        label=f"{wording.measure_name(measure)} of the {wording.model_noun(model, metrics.described)}",
        value=value,
        unit=unit,
        range=wording.score_range(measure, interval),
        note=wording.measure_meaning(measure),
    )


def asked(run: RunRecords) -> list[tuple[str, str]]:
    """What was asked of the run: pairs of a word and its value."""
    roles = run.data.roles
    read = [f"“{roles[role]}”" for role in ("text", "text_pair", "image", "audio") if role in roles]
    source = f"column{'s' * (len(read) > 1)} {' and '.join(read)}" if read else ""
    parts = ", ".join(f"{count:,} {part}" for part, count in run.data.parts.items())
    model: Any = run.setting("model", "name") or run.setting("model")
    pairs = [
        ("Task", task_title(run.metrics.task).capitalize()),
        ("Data", run.data.name),
        ("From", source),
        ("To predict", _told(roles)),
        ("Labels", str(len(run.metrics.labels)) if run.metrics.labels else ""),
        ("Examples", parts or f"{run.metrics.n:,} test"),
        ("Started from", model if isinstance(model, str) else ""),
    ]
    return [pair for pair in pairs if pair[1]]


def _told(roles: Mapping[str, str]) -> str:
    if "target" not in roles:
        return ""
    return "the texts themselves" if roles["target"] == roles.get("text") else f"column “{roles['target']}”"


def caveats(run: RunRecords) -> list[str]:
    """What one must know before relying on the model: weakest label, small test, doubtful data."""
    notes = []
    weakest = min(run.metrics.per_class, key=lambda row: float(str(row["f1"])), default=None)
    if weakest is not None:
        notes.append(_weakest_in_words(weakest, run.metrics.answer_kind))
    if run.metrics.n < 300:
        notes.append(f"The test part is small ({count_of(run.metrics.n, 'example')}), so every score is uncertain.")
    removed = sum(removal.count for removal in run.removals if not removal.column)
    if removed:
        notes.append(f"{count_of(removed, 'row')} {'was' if removed == 1 else 'were'} left out of the data before training.")
    open_findings = [item for item in run.findings if item.severity != "info" and not item.by_default]
    if open_findings:
        notes.append(
            f"{count_of(len(open_findings), 'finding')} about the data still {_wait(len(open_findings))} for a decision."
        )
    return notes


def _weakest_in_words(row: Mapping[str, object], answer_kind: str) -> str:
    recall, precision = (wording.percent(float(str(row[name])), 0) for name in ("recall", "precision"))
    support = counted(int(str(row["support"])), answer_kind)
    return (
        f"Weakest label of the tuned model: “{row['label']}”. It finds {recall} of its {support}, and where it answers "
        f"“{row['label']}”, {precision} is right."
    )


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"

"""What a run would do, cost, and be worth worrying about. Nothing is trained or written."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.progress import Observer, Quiet
from luthier.data.dataset import PARTS
from luthier.errors import UsageError
from luthier.pipeline.before import choose_store, rehearse
from luthier.pipeline.choose import Chosen, choose_model
from luthier.pipeline.estimate import (
    BYTES_PER_WEIGHT,
    Rates,
    epochs_of,
    measure_rates,
    memory_bytes,
    pass_seconds,
    rung_seconds,
    trained_share,
    work_of,
)
from luthier.pipeline.prepare import Prepared, prepare
from luthier.pipeline.records import Plan
from luthier.pipeline.run_folder import refuse_taken_folder
from luthier.pipeline.train import choose_rates, choose_rungs
from luthier.spec import TuneSpec
from luthier.tasks.protocol import has_own_head
from luthier.training.methods.rung import Rung
from luthier.training.moving import count_moving

FEW_ROWS = 200
FEW_ROWS_PER_CLASS = 8
SMALL_TEST_POINTS = 5.0
REPORT_BYTES = 2 << 20
NON_COMMERCIAL = re.compile(r"(^|[^a-z])(nc|non-?commercial|research)([^a-z]|$)")

Step = tuple[str, str, float | None]


def plan(spec: TuneSpec, *, observer: Observer | None = None) -> Plan:
    """Run the story up to where it would begin to compute, measure a few batches, and say what the rest would cost."""
    observer = observer or Quiet()
    prepared = prepare(spec, observer=observer)
    chosen = choose_model(spec, prepared, backbone=None, observer=observer)
    rungs = choose_rungs(spec, chosen)
    rehearse(chosen)
    _, store, boundaries = choose_store(spec, chosen, rungs)
    observer.stage("Measure", "a few batches, to know the machine")
    rates = measure_rates(spec, prepared.task, chosen, trains=any(_trains(rung, chosen) for rung in rungs))
    decisions = [
        *prepared.decisions,
        *chosen.decisions,
        store,
        ladder(spec, rungs),
        *choose_rates(spec, rungs, observer=observer),
    ]
    return Plan(
        decisions=decisions,
        findings=prepared.findings,
        steps=list(_steps(spec, chosen, rungs, rates, boundaries)),
        memory_bytes=memory_bytes(spec, prepared.task, chosen, rungs, store_bytes=int(store.evidence.get("bytes", 0))),
        disk_bytes=disk_bytes(chosen, store),
        worries=[*folder_worry(spec), *worries(prepared, chosen)],
    )


def ladder(spec: TuneSpec, rungs: Sequence[Rung]) -> Decision[list[str]]:
    """The rungs that would be tried, in order."""
    why = "cheapest first; it ends after two rungs in a row without a gain on validation"
    if spec.training.method != "auto":
        why = "the method asked for, from a probe's head"
    return Decision(name="method", value=[rung.name for rung in rungs], reason=why, override="--method NAME")


def _trains(rung: Rung, chosen: Chosen) -> bool:
    return rung.boundary < chosen.backbone.num_blocks


def _steps(
    spec: TuneSpec, chosen: Chosen, rungs: Sequence[Rung], rates: Rates, boundaries: Mapping[int, Any]
) -> Sequence[Step]:
    rows = count_of(len(chosen.inputs.lengths), "row")
    measured = "baselines, and the model as it comes" if has_own_head(chosen.task) else "baselines and probe"
    steps: list[Step] = [("measure before", f"{rows} once through the frozen model; {measured}", pass_seconds(chosen, rates))]
    for rung in [rung for rung in rungs if _trains(rung, chosen)]:
        seconds = rung_seconds(spec, chosen, rung, rates, stored=any(item in boundaries for item in rung.boundaries))
        steps.append((f"train {rung.name}", _describe(spec, chosen, rung), seconds))
    if spec.training.refit:
        share = 1 + len(chosen.parts["validation"]) / len(chosen.parts["train"])
        longest = max((seconds or 0.0 for _, _, seconds in steps[1:]), default=0.0)
        steps.append(("refit", "the winner once more, on train and validation", longest * share))
    test = chosen.parts["test"]
    seconds = rates.forward_seconds * work_of(chosen, chosen.units("test"))
    return [*steps, ("measure after", f"{count_of(len(test), 'test row')} once through the saved model; report", seconds)]


def _describe(spec: TuneSpec, chosen: Chosen, rung: Rung) -> str:
    steps = max(1, round(epochs_of(spec, chosen, rung) * math.ceil(len(chosen.units("train")) / spec.training.batch_size)))
    moving = count_moving(chosen.backbone, rung)
    share = f"{trained_share(chosen, rung):.0%} of the blocks" if rung.boundary else "every block"
    weights = f"{moving / 1e6:.1f} million weights" if moving >= 1e6 else count_of(moving, "weight")
    return f"at most {steps:,} steps of {spec.training.batch_size}; {share}, {weights}"


def disk_bytes(chosen: Chosen, store: Decision[str]) -> int:
    """What the activations take in the cache, and what the run folder will hold: weights, tokenizer, records, report."""
    weights = sum(parameter.numel() for parameter in chosen.backbone.parameters())
    pooled = len(chosen.inputs.lengths) * chosen.backbone.width * BYTES_PER_WEIGHT
    folder = chosen.source.folder
    companions = sum(path.stat().st_size for path in folder.glob("*.json")) if folder else 0
    predictions = len(chosen.parts["test"]) * len(chosen.state.labels) * 8
    return int(store.evidence.get("bytes", 0)) + pooled + weights * BYTES_PER_WEIGHT + companions + predictions + REPORT_BYTES


def folder_worry(spec: TuneSpec) -> list[str]:
    """What is wrong with the folder asked for, if something is."""
    try:
        refuse_taken_folder(spec)
    except UsageError as error:
        return [f"{error.problem} Try: {error.remedy}"]
    return []


def worries(prepared: Prepared, chosen: Chosen) -> list[str]:
    """What a careful person would want to know before starting: licence, few rows, a coarse test, personal data, imbalance."""
    said = [_licence_worry(chosen), *_size_worries(prepared, chosen)]
    said += [finding.problem for finding in prepared.findings if finding.check == "personal-data"]
    said += [finding.problem for finding in prepared.findings if finding.check == "classes" and "ratio" in finding.evidence]
    return [sentence for sentence in said if sentence]


def _licence_worry(chosen: Chosen) -> str:
    name, licence = chosen.source.name, chosen.source.licence
    if chosen.source.origin:
        return ""
    if licence is None:
        return f"The licence of the model '{name}' is not stated; whoever uses or passes on the result must know it."
    if NON_COMMERCIAL.search(licence.lower()):
        return f"The model '{name}' has the licence {licence}, which does not allow commercial use."
    return ""


def _rows_per_label(chosen: Chosen) -> Int[np.ndarray, " C"]:
    """Where examples have one label each; of other tasks nothing is counted."""
    if not chosen.task.has_classes:
        return np.zeros(0, dtype=np.int64)
    return np.bincount(chosen.targets[chosen.units("train")], minlength=len(chosen.state.labels))


def _size_worries(prepared: Prepared, chosen: Chosen) -> list[str]:
    said = []
    sizes = {name: len(chosen.parts[name]) for name in PARTS}
    if sizes["train"] < FEW_ROWS:
        said.append(f"Only {count_of(sizes['train'], 'row')} to learn from; {FEW_ROWS} or more make a difference.")
    counts = _rows_per_label(chosen)
    few = [label for label, count in zip(chosen.state.labels, counts, strict=False) if count < FEW_ROWS_PER_CLASS]
    if few:
        shown = ", ".join(f"'{label}'" for label in few[:3]) + (f" and {len(few) - 3:,} more" if len(few) > 3 else "")
        verb = "has" if len(few) == 1 else "have"
        said.append(
            f"{count_of(len(few), 'class', 'classes')} of {len(counts):,} {verb} fewer than {FEW_ROWS_PER_CLASS} rows to learn "
            f"from ({shown}); expect them to be missed."
        )
    points = 100 / math.sqrt(max(1, sizes["test"]))
    if points > SMALL_TEST_POINTS and chosen.task.has_classes:
        is_made = prepared.split.method != "given" and prepared.split.fractions[2] > 0
        remedy = "--split 70/10/20 would make it larger" if is_made else "a larger test part would show more"
        said.append(
            f"The test part has {count_of(sizes['test'], 'row')}: accuracy will be known to about ±{points:.0f} points, and "
            f"smaller differences between models cannot be shown; {remedy}."
        )
    return said

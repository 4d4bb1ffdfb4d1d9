"""Measure before: one pass of the frozen model over all rows, the models that need no tuning, and the probe."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.core.environment import cache_folder
from luthier.core.process import Cost, Stopwatch
from luthier.core.progress import Observer
from luthier.core.rows import RowBuffer, by_slices, slices_of
from luthier.core.storage import format_bytes
from luthier.data.dataset import Dataset
from luthier.data.time_order import read_times, rows_before
from luthier.errors import ResourceError
from luthier.evaluation.display import format_score, measure_title
from luthier.evaluation.records import Predictions
from luthier.features.passes import Features, PassSettings, compute_features, plan_boundary, to_device
from luthier.features.probe import PENALTIES, Probe, fit_probe
from luthier.features.store import StoreType, refusal, trim
from luthier.models.backbone import Backbone
from luthier.pipeline.choose import Chosen
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.together import share_probe, working_alone
from luthier.spec import TuneSpec
from luthier.tasks.inputs import ViewedInputs, units_of
from luthier.tasks.protocol import Earlier, Sample, Searching, Task, has_own_head, stands_on_vector
from luthier.training.balance import balanced_weights
from luthier.training.ladder import score_of
from luthier.training.methods.rung import Rung
from luthier.training.processes import ALONE, Processes
from luthier.training.settings import TrainingSettings

STORE_LIMIT_BYTES = 20 << 30


@dataclass(frozen=True, kw_only=True)
class Before:
    """What is known before anything is tuned.

    Attributes:
        features: Pooled features of all rows, and the stores of the boundaries that rungs start from.
        probe: Fitted on train, its penalty chosen on validation; None for tasks whose head stands on more than a vector.
        test: Predictions on test by model: majority, classic, pretrained, probe.
        validation: Predictions of the probe on validation, if there is one.
        cost: By model.
    """

    features: Features
    probe: Probe | None
    test: Mapping[str, Predictions]
    validation: Predictions | None
    cost: Mapping[str, Cost]
    decisions: Sequence[Decision[Any]] = field(default=())


def measure_before(
    spec: TuneSpec,
    prepared: Prepared,
    chosen: Chosen,
    rungs: Sequence[Rung],
    *,
    observer: Observer,
    processes: Processes = ALONE,
) -> Before:
    """Run the pass, fit the baselines and the probe, predict test with each of them.

    Of several processes one on each machine runs the pass, and the main process alone does the rest; the others get its probe.
    """
    observer.stage("Measure before")
    task = prepared.task
    features, decision = measure_frozen(spec, chosen, rungs, observer=observer, processes=processes)
    test: dict[str, Predictions] = {}
    cost, probe = {"probe": features.cost}, None
    if processes.is_main:
        with working_alone(chosen):
            test, cost = _baselines(prepared, chosen, features.pooled, features.cost, spec.training.seed)
            watch = Stopwatch()
            probe = measure_probe(spec, chosen, features) if task.probe is not None else None
            cost["probe"] = features.cost + watch.read()
    if task.probe is None:
        return Before(features=features, probe=None, test=test, validation=None, cost=cost, decisions=[decision])
    probe = share_probe(probe, processes)
    test["probe"] = _predicted(prepared, chosen, probe, features, "test")
    validation = _predicted(prepared, chosen, probe, features, "validation")
    measure = task.primary_measure
    said = f"{measure_title(measure)} {format_score(measure, score_of(validation, measure))}"
    observer.note(f"probe: {said} on validation")
    return Before(features=features, probe=probe, test=test, validation=validation, cost=cost, decisions=[decision])


def measure_frozen(
    spec: TuneSpec, chosen: Chosen, rungs: Sequence[Rung], *, observer: Observer, processes: Processes = ALONE
) -> tuple[Features, Decision[str]]:
    """The one pass through the frozen model: pooled features, and what enters each block from which some rung starts.

    A network with its own head has no pooled features, and where nothing is stored there is no pass.
    """
    rehearse(chosen)
    settings, decision, boundaries = choose_store(spec, chosen, rungs)
    observer.decided(decision)
    wanted = {boundary: stored_units(chosen) for boundary in processes.decided(sorted(boundaries))}
    with _naming_the_cache(), processes.one_at_a_machine_first(), working_alone(chosen):
        features = compute_features(
            chosen.backbone,
            chosen.inputs,
            settings,
            boundary_rows=wanted,
            pools=not has_own_head(chosen.task),
            observer=observer,
        )
        trim(settings.root, limit_bytes=STORE_LIMIT_BYTES)
    if features.reused:
        observer.note("the model's features of these rows were found on disk")
    return replace(features, cost=features.cost + chosen.made_cost), decision


def measure_probe(spec: TuneSpec, chosen: Chosen, features: Features) -> Probe:
    """The probe on train, with the penalty asked for or the best of several on validation."""
    task = chosen.task
    assert task.probe is not None
    train, validation = chosen.units("train"), chosen.units("validation")
    train, validation = (units[task.known(chosen.targets[units])] for units in (train, validation))
    return fit_probe(
        (features.pooled[train], chosen.targets[train]),
        (features.pooled[validation], chosen.targets[validation]),
        num_outputs=num_outputs(chosen),
        loss=task.probe,
        normalize=True,
        class_weights=probe_weights(spec.training, chosen),
        row_weights=mixed.row_weights if (mixed := chosen.mixed(train)) else None,
        penalties=PENALTIES if spec.training.probe_penalty is None else (spec.training.probe_penalty,),
    )


def num_outputs(chosen: Chosen) -> int:
    """How many numbers a probe gives: one for each label, or for each column of the targets."""
    return len(chosen.state.labels) if chosen.task.has_classes else int(chosen.targets.shape[1])


def stored_units(chosen: Chosen) -> Int[np.ndarray, " u"]:
    """The units whose activations are kept: those that training reads."""
    return np.unique(np.concatenate([chosen.units("train"), chosen.scored_units("validation")]))


def probe_weights(settings: TrainingSettings, chosen: Chosen) -> Float[np.ndarray, " C"] | None:
    """Weights of the labels for the probe: it sees every row at once, so that balanced sampling is balanced weights."""
    if "balanced" not in (settings.class_weights, settings.sampling):
        return None
    return balanced_weights(chosen.targets[chosen.units("train")], len(chosen.state.labels))


@contextmanager
def _naming_the_cache() -> Iterator[None]:
    """A full disk here is the cache's, which `--out` does not move."""
    try:
        yield
    except ResourceError as error:
        raise ResourceError(
            error.problem, remedy="free some space, or set LUTHIER_CACHE to a folder on another disk"
        ) from error


def rehearse(chosen: Chosen) -> None:
    """Let the backbone see two rows, so that it knows the shapes of its parts."""
    rows = np.arange(min(2, len(chosen.inputs.lengths)))
    chosen.backbone.rehearse(to_device(chosen.inputs.batch(rows), dtype=torch.float32, device="cpu"))


def choose_store(
    spec: TuneSpec, chosen: Chosen, rungs: Sequence[Rung]
) -> tuple[PassSettings, Decision[str], dict[int, Int[np.ndarray, " n"]]]:
    """What of the pass is kept on disk, and in which precision; nothing where it would not fit or not be right."""
    kind: StoreType = spec.training.store if spec.training.store in ("float32", "bfloat16", "int8") else chosen.precision  # type: ignore[assignment]
    settings = PassSettings(
        identity={
            "weights": chosen.weights_key,
            "model": chosen.source.model_type,
            "transformers": version("transformers"),
            "processor": chosen.processor.fingerprint(),
            "device": chosen.device.partition(":")[0],
            "threads": chosen.threads,
            "view": 0,
        },
        root=cache_folder() / "store",
        precision=chosen.precision,
        store_type=kind,
        device=chosen.device,
    )
    backbone = chosen.backbone
    started = {item for rung in rungs for item in rung.boundaries if 0 < item < backbone.num_blocks}
    if head_reads_states(spec, chosen.task):
        started.add(backbone.num_blocks)
    boundaries = sorted({backbone.start_of(item) for item in started})
    units = stored_units(chosen)
    if not boundaries or spec.training.store == "off":
        why = "as asked" if boundaries else "no rung trains on top of frozen blocks"
        return settings, Decision(name="store", value="off", reason=why, override="--store"), {}
    if isinstance(chosen.inputs, ViewedInputs):
        why = f"{chosen.inputs.views_differ_by}, which frozen blocks must see"
        return settings, Decision(name="store", value="off", reason=why), {}
    if spec.training.cutmix:
        why = "CutMix makes other pictures in every step, which frozen blocks must see"
        return settings, Decision(name="store", value="off", reason=why, override="--cutmix 0"), {}
    if spec.training.augment != "none":
        why = "every step sees other views of the pictures, which frozen blocks must see"
        return settings, Decision(name="store", value="off", reason=why, override="--augment none"), {}
    plans = [plan_boundary(chosen.backbone, chosen.inputs, settings, boundary=boundary, rows=units) for boundary in boundaries]
    reason = refusal(plans, settings.root) or replay_fault(chosen, boundaries)
    if reason:
        return settings, Decision(name="store", value="off", reason=reason, override="--store"), {}
    size = sum(plan.num_bytes for plan in plans)
    decision = Decision(
        name="store",
        value=str(kind),
        reason=f"{_what_is_kept(chosen, boundaries)} is kept on disk ({format_bytes(size)}) and read in every epoch",
        evidence={"bytes": size, "boundaries": boundaries},
        override="--store off",
    )
    return settings, decision, dict.fromkeys(boundaries, units)


def head_reads_states(spec: TuneSpec, task: Task) -> bool:
    """Whether the head stands on all hidden states, and not on a vector that the backbone pools."""
    if has_own_head(task):
        return False
    return not stands_on_vector(task) or spec.model.head.pooling == "attention"


def _what_is_kept(chosen: Chosen, boundaries: Sequence[int]) -> str:
    entered = ", ".join(str(boundary) for boundary in boundaries if boundary < chosen.backbone.num_blocks)
    left = "what leaves the last block" if chosen.backbone.num_blocks in boundaries else ""
    return " and ".join(filter(None, [f"what enters block {entered}" if entered else "", left]))


def replay_fault(chosen: Chosen, boundaries: Sequence[int]) -> str:
    """Why runs from the store would be wrong for this network; empty if they are right (tried on a few rows)."""
    rows = np.arange(min(4, len(chosen.inputs.lengths)))
    inputs = to_device(chosen.inputs.batch(rows), dtype=torch.float32, device="cpu")
    light = to_device(chosen.inputs.light_batch(rows), dtype=torch.float32, device="cpu")
    backbone: Backbone = chosen.backbone
    boundaries = [boundary for boundary in boundaries if boundary < backbone.num_blocks]
    with torch.no_grad():
        with backbone.capturing(boundaries) as captured:
            expected = backbone.pool(backbone(inputs))
        for boundary in boundaries:
            try:
                with backbone.starting_at(boundary):
                    replayed = backbone.pool(backbone(light, captured[boundary]))
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
                return f"this network cannot start at block {boundary} ({str(error).splitlines()[0][:80]})"
            if not torch.allclose(replayed, expected, rtol=1e-4, atol=1e-5):
                return f"this network computes something else when it starts at block {boundary}"
    return ""


def _baselines(
    prepared: Prepared, chosen: Chosen, pooled: Float[np.ndarray, "N D"], pass_cost: Cost, seed: int
) -> tuple[dict[str, Predictions], dict[str, Cost]]:
    """Predictions on test of each model that needs no tuning, and what it cost."""
    test = chosen.parts["test"]
    predictions, cost = {}, {}
    roles, before = prepared.dataset.schema.roles, _rows_before(prepared.dataset, chosen)
    for baseline in prepared.task.baselines:
        if baseline.needs_order and before is None:
            continue
        watch = Stopwatch()
        given = pooled if baseline.needs_features else None
        order = before if baseline.needs_order else None
        known, asked = (sample_of(chosen, part, roles, features=given, before=order) for part in ("train", "test"))
        decoded = baseline.fit_predict(known, asked, chosen.state, seed)
        rows = chosen.table.take(np.concatenate([test, chosen.corpus]))
        predictions[baseline.name] = prepared.task.predictions(rows, decoded, chosen.state, roles)
        cost[baseline.name] = watch.read() + pass_cost if baseline.needs_features else watch.read()
    return predictions, cost


def _rows_before(dataset: Dataset, chosen: Chosen) -> Int[np.ndarray, " N"] | None:
    """The row that came before each row, of all parts; one of the same group, where there are groups. None without an order."""
    if not dataset.has_time:
        return None
    rows = np.arange(chosen.table.num_rows)
    groups = np.zeros(len(rows), dtype=np.int64)
    if "group" in dataset.schema.roles:
        names = chosen.table.column(dataset.schema.roles["group"]).to_pylist()
        groups = np.unique(np.array([str(name) for name in names]), return_inverse=True)[1].astype(np.int64)
    return rows_before(read_times(replace(dataset, table=chosen.table), rows), groups)


def sample_of(
    chosen: Chosen,
    part: str,
    roles: Mapping[str, str],
    *,
    features: Float[np.ndarray, "U D"] | None = None,
    before: Int[np.ndarray, " N"] | None = None,
) -> Sample:
    """A part as baselines see it, with the corpus if there is one; `before` are the rows before those of all parts."""
    sample = _sample(chosen, chosen.parts[part], roles, features=features, before=before)
    corpus = _sample(chosen, chosen.corpus, roles, features=features) if len(chosen.corpus) else None
    return replace(sample, corpus=corpus)


def _sample(
    chosen: Chosen,
    rows: Int[np.ndarray, " n"],
    roles: Mapping[str, str],
    *,
    features: Float[np.ndarray, "U D"] | None,
    before: Int[np.ndarray, " n"] | None = None,
) -> Sample:
    units = units_of(chosen.inputs, rows)
    firsts = np.searchsorted(chosen.inputs.row_of, np.arange(chosen.table.num_rows))
    return Sample(
        table=chosen.table.take(rows),
        roles=roles,
        rows=[chosen.rows[row] for row in rows],
        targets=chosen.targets[units],
        features=None if features is None else features[units],
        row_of=np.unique(chosen.inputs.row_of[units], return_inverse=True)[1] if len(rows) < len(units) else None,
        earlier=None if before is None else Earlier(targets=chosen.targets[firsts], row=before[rows]),
        inputs=chosen.inputs,
        units=units,
    )


def _predicted(prepared: Prepared, chosen: Chosen, probe: Probe, features: Features, part: str) -> Predictions:
    """The probe's predictions of a part."""
    return probe_predictions(prepared, chosen, part, by_slices(probe.logits, features.pooled[chosen.units(part)]))


def probe_predictions(prepared: Prepared, chosen: Chosen, part: str, outputs: Float[np.ndarray, "u C"]) -> Predictions:
    """Predictions of a part from what a linear head gave for its units."""
    units = chosen.units(part)
    decoded = RowBuffer(len(units))
    for places in slices_of(outputs):
        decoded.put(places, prepared.task.decode(outputs[places], chosen.inputs, units[places]))
    assert decoded.array is not None
    return predictions_of(prepared, chosen, part, decoded.array)


def predictions_of(prepared: Prepared, chosen: Chosen, part: str, decoded: Float[np.ndarray, "u K"]) -> Predictions:
    """Predictions of a part from what was decoded of its units, and of the corpus behind them."""
    task, own = prepared.task, chosen.units(part)
    merged = task.merge(decoded[: len(own)], chosen.inputs.row_of[own])
    if isinstance(task, Searching):
        merged = task.rank(
            merged, task.merge(decoded[len(own) :], chosen.inputs.row_of[units_of(chosen.inputs, chosen.corpus)])
        )
    rows = chosen.table.take(np.concatenate([chosen.parts[part], chosen.corpus]))
    return task.predictions(rows, merged, chosen.state, prepared.dataset.schema.roles)

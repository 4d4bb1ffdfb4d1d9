"""Train: the ladder's rungs, or the one method that was asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from luthier.core.decision import Decision
from luthier.core.process import StopRequest, Stopwatch
from luthier.core.progress import Observer
from luthier.core.seeding import seed_for
from luthier.errors import SpecError, Stopped, raise_together
from luthier.evaluation.display import format_score, measure_title
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import Predictions
from luthier.features.store import ActivationStore
from luthier.models.backbone import Backbone
from luthier.pipeline.before import Before, head_reads_states, predictions_of
from luthier.pipeline.choose import Chosen
from luthier.pipeline.negatives import with_negatives
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.rows import known_units, learning_rows, training_rows
from luthier.pipeline.run_folder import RunFolder
from luthier.pipeline.settle import build_opening
from luthier.spec import TuneSpec
from luthier.tasks.protocol import (
    Companions,
    Contrastive,
    HeadOrigin,
    LossRecipe,
    LossSum,
    Task,
    has_own_head,
    steering_measure,
)
from luthier.tasks.shaping import build_head_for
from luthier.training.balance import balanced_weights
from luthier.training.data import TrainingRows
from luthier.training.dropout import set_dropout
from luthier.training.fit_settings import FitSettings
from luthier.training.ladder import RungResult, Workbench, climb, first_result, head_weights, train_head, use_probe
from luthier.training.loop import predict_rows
from luthier.training.methods import build_rung, ladder_rungs
from luthier.training.methods.probe import in_steps
from luthier.training.methods.rung import AdapterSettings, Rung
from luthier.training.mixing.mixture import MixingSettings
from luthier.training.model import TunedModel
from luthier.training.moving import refuse_unfit
from luthier.training.optimizer import build_recipe
from luthier.training.processes import ALONE, Processes
from luthier.training.regularization import Penalties
from luthier.training.settings import TrainingSettings

AS_IT_COMES = "pretrained"  # the first rung of networks that bring their own head

COMPARING_RATE = 0.2  # of the methods' own rates, where the loss compares vectors


def choose_rungs(spec: TuneSpec, chosen: Chosen) -> list[Rung]:
    """The probe first, always: its head, if it is linear, is what every other rung starts from.

    Raises:
        SpecError: the method does not fit the model.
    """
    if spec.training.method == "auto":
        probe, *others = ladder_rungs(chosen.backbone.num_blocks)
    else:
        probe = build_rung("probe", num_blocks=chosen.backbone.num_blocks)
        asked = build_rung(spec.training.method, num_blocks=chosen.backbone.num_blocks)
        refuse_unfit(chosen.backbone, asked)
        others = [] if asked.name == "probe" else [asked]
    refuse_idle_settings(spec.training, others)
    first = _first_rung(spec, chosen.task, probe)
    rungs = [first, *(with_adapter(rung, spec.training) for rung in others)]
    multiplier, compares = spec.training.learning_rate_multiplier, isinstance(chosen.task, Contrastive)
    return [at_its_rate(rung, chosen.backbone, multiplier=multiplier, compares=compares) for rung in rungs]


def _first_rung(spec: TuneSpec, task: Task, probe: Rung) -> Rung:
    """What a method must beat first: a fitted head, a head trained on frozen states, or the network as it comes.

    Raises:
        SpecError: a new head was asked for, and the network has its own.
    """
    if has_own_head(task):
        if spec.training.method == "probe":
            problem = f"{task.name} keeps the head of the pre-trained network; with its blocks frozen nothing would train."
            raise SpecError(problem, remedy="--method lora")
        return replace(probe, name=AS_IT_COMES)
    return probe if has_probe(spec, task) else in_steps(probe, is_linear=spec.model.head.is_linear)


def at_its_rate(rung: Rung, backbone: Backbone, *, multiplier: float = 1.0, compares: bool = False) -> Rung:
    """The rung with the learning rate of its blocks times what the network says it needs of the methods' own.

    Args:
        multiplier: What the user wants all rates multiplied by, that of the head too.
        compares: Whether the loss compares vectors: these are good already, and lose more by large steps than logits do.
    """
    rung = replace(rung, learning_rate=multiplier * rung.learning_rate, head_learning_rate=multiplier * rung.head_learning_rate)
    factor = float(getattr(backbone.network, "rate_factor", 1.0)) * (COMPARING_RATE if compares else 1.0)
    if factor == 1.0 or rung.boundary >= backbone.num_blocks:
        return rung
    return replace(rung, learning_rate=factor * rung.learning_rate)


def refuse_idle_settings(settings: TrainingSettings, rungs: Sequence[Rung]) -> None:
    """Raise SpecError for settings that speak of something that the method does not have."""
    adapters = [rung.moves for rung in rungs if isinstance(rung.moves, AdapterSettings)]
    if settings.learning_rate_multiplier != 1 and settings.learning_rate is not None:
        multiplier = f"--learning-rate-multiplier {settings.learning_rate_multiplier:g}"
        problem = f"{multiplier} is a factor of the methods' own rates, and --learning-rate {settings.learning_rate} is given."
        raise SpecError(problem, remedy=f"leave {multiplier} out, or --learning-rate")
    given = {"--adapter-alpha": settings.adapter_alpha is not None, "--adapter-dropout": settings.adapter_dropout > 0}
    problems = [
        SpecError(f"{flag} is for low-rank adapters, which '{settings.method}' is not.", remedy="--method lora:8")
        for flag, is_given in given.items()
        if is_given and not any(adapter.rank for adapter in adapters)
    ]
    for flag, strength in (("--towards-pretrained", settings.towards_pretrained), ("--ewc", settings.ewc)):
        if adapters and strength:
            problem = f"{flag} pulls on the pre-trained weights, and '{settings.method}' leaves them where they are."
            problems.append(SpecError(problem, remedy=f"--l2 {strength:g}, which pulls on the adapter"))
    raise_together(problems)


def with_adapter(rung: Rung, settings: TrainingSettings) -> Rung:
    """The rung, its adapter being as the settings say."""
    if not isinstance(rung.moves, AdapterSettings):
        return rung
    seed = seed_for(settings.seed, "adapter")
    moves = replace(rung.moves, alpha=settings.adapter_alpha, dropout=settings.adapter_dropout, seed=seed)
    return replace(rung, moves=moves)


def choose_rates(spec: TuneSpec, rungs: Sequence[Rung], *, observer: Observer) -> list[Decision[dict[str, float]]]:
    """The learning rates under an optimizer that needs others than the methods' own, unless the user fixes them."""
    recipe, fixed = build_recipe(spec.training.optimizer), spec.training
    if recipe.rate_factor == 1 or fixed.learning_rate == "auto" or (fixed.learning_rate and fixed.head_learning_rate):
        return []
    decision = Decision(
        name="learning_rate",
        value={
            rung.name: fixed.learning_rate or recipe.rate_factor * rung.learning_rate for rung in rungs if rung.learning_rate
        },
        reason=f"{recipe.name} needs some {recipe.rate_factor:g} times the rates of adamw, for which a method's own are made",
        evidence={"factor": recipe.rate_factor, "weight_decay": recipe.decay},
        override="--learning-rate R --head-learning-rate R",
    )
    observer.decided(decision)
    return [decision]


def train(
    spec: TuneSpec,
    prepared: Prepared,
    chosen: Chosen,
    before: Before,
    rungs: Sequence[Rung],
    *,
    bench: Workbench,
) -> tuple[TunedModel, list[RungResult]]:
    """Climb; the model holds the weights of the rung that is kept.

    Raises:
        Stopped: Ctrl-C; everything measured before stays on disk.
        DivergedError: the loss became NaN.
    """
    bench.observer.stage("Train")
    if spec.training.dropout is not None:
        set_dropout(chosen.backbone, spec.training.dropout)
    model = TunedModel(chosen.backbone, fresh_head(spec, prepared, chosen)).to(chosen.device)
    if chosen.backbone.has_maps:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time of the default layout
    if has_probe(spec, prepared.task):
        assert before.probe is not None
        assert before.validation is not None
        use_probe(model, before.probe)
        measure = prepared.task.primary_measure
        first = first_result(model, rungs[0], before.validation, measure=measure, cost=before.cost["probe"])
        if not bench.is_resumed:
            bench.record(_first_event(first, chosen))
    elif has_own_head(prepared.task):
        first = _as_it_comes(model, rungs[0], bench, chosen)
    else:
        first = train_head(model, rungs[0], bench)
        first = replace(first, cost=first.cost + before.features.cost)
    return model, climb(model, rungs[1:], first, bench, always_keep=spec.training.method != "auto")


def _as_it_comes(model: TunedModel, rung: Rung, bench: Workbench, chosen: Chosen) -> RungResult:
    """The pre-trained network itself as the ladder's first rung: nothing trains."""
    watch = Stopwatch()
    outputs = predict_rows(model, bench.rows(0)[1], bench.settings, stop=bench.stop, processes=bench.processes)
    if outputs is None:
        raise Stopped("Stopped while the pre-trained model was scored.", remedy="the same command begins again")
    first = first_result(model, rung, bench.predict(outputs), measure=bench.measure, cost=watch.read())
    said = f"{measure_title(bench.measure)} {format_score(bench.measure, first.score)}"
    bench.observer.note(f"{rung.name}: {said} on validation, as it comes")
    if not bench.is_resumed:
        bench.record(_first_event(first, chosen))
    return first


def fresh_head(spec: TuneSpec, prepared: Prepared, chosen: Chosen) -> nn.Module:
    """The head asked for, its weights from the seed."""
    seed = seed_for(spec.training.seed, "head")
    folder = chosen.source.folder
    return build_head_for(prepared.task, chosen.backbone, chosen.state, settings=spec.model.head, seed=seed, folder=folder)


def fresh_start(spec: TuneSpec, prepared: Prepared, chosen: Chosen) -> dict[str, Tensor]:
    """Its weights, as those of a model's head."""
    return {f"head.{name}": value for name, value in fresh_head(spec, prepared, chosen).state_dict().items()}


def make_workbench(
    spec: TuneSpec,
    prepared: Prepared,
    chosen: Chosen,
    before: Before,
    *,
    folder: RunFolder,
    observer: Observer,
    stop: StopRequest,
    processes: Processes = ALONE,
) -> Workbench:
    """What every rung works with."""
    settings, task = spec.training, prepared.task
    recipe = loss_recipe(settings, chosen)
    companions, mined = with_negatives(settings.hard_negatives, chosen, before.features, observer=observer)
    start, origin = _start(spec, prepared, chosen, before)

    def loss(outputs: Tensor, targets: Tensor) -> LossSum:
        return task.loss(outputs, targets, recipe=recipe)

    def predict(decoded: Float[np.ndarray, "U K"]) -> Predictions:
        return predictions_of(prepared, chosen, "validation", decoded)

    return Workbench(
        parts=_parts(spec, chosen, before, companions),
        predict=predict,
        measure=steering_measure(task),
        measures=(task.steers_by,) if task.steers_by else task.measures,
        settings=fit_settings(spec, chosen),
        start=start,
        head_origin=origin,
        rates={
            "num_epochs": settings.num_epochs,
            "learning_rate": None if settings.learning_rate == "auto" else settings.learning_rate,
            "head_learning_rate": settings.head_learning_rate,
        },
        loss=loss,
        observer=observer,
        record=folder.record,
        stop=stop,
        shelf=folder.shelf if processes.is_main else None,
        processes=processes,
        is_resumed=folder.is_resumed,
        opening=replace(build_opening(spec, prepared, chosen, before, head_origin=origin, folder=folder), made=mined),
        budget_seconds=settings.budget,
    )


def _start(spec: TuneSpec, prepared: Prepared, chosen: Chosen, before: Before) -> tuple[Mapping[str, Tensor], HeadOrigin]:
    """The weights of the head that each rung starts from, and where they come from."""
    if has_probe(spec, prepared.task):
        assert before.probe is not None
        return head_weights(before.probe.start), "probe"
    return fresh_start(spec, prepared, chosen), "fresh"


def has_probe(spec: TuneSpec, task: Task) -> bool:
    """Whether the head can start from a probe: it is linear, on a pooled vector."""
    return task.probe is not None and spec.model.head.is_linear


def loss_recipe(settings: TrainingSettings, chosen: Chosen) -> LossRecipe:
    """How the loss is computed; class weights follow from the training rows."""
    weights: tuple[float, ...] = ()
    if settings.class_weights == "balanced":
        weights = tuple(balanced_weights(chosen.targets[chosen.units("train")], len(chosen.state.labels)).tolist())
    return LossRecipe(name=settings.loss, label_smoothing=settings.label_smoothing, class_weights=weights)


def fit_settings(spec: TuneSpec, chosen: Chosen) -> FitSettings:
    """What the spec says about the loop; boundary, epochs and rates are filled in by each rung."""
    settings = spec.training
    return FitSettings(
        boundary=0,
        num_epochs=1,
        batch_size=settings.batch_size,
        micro_batch=settings.first_micro_batch,
        learning_rate=0,
        head_learning_rate=0,
        schedule=settings.schedule,
        optimizer=settings.optimizer,
        warmup_fraction=settings.warmup_fraction,
        weight_decay=settings.weight_decay,
        max_gradient_norm=settings.max_gradient_norm,
        patience=settings.patience,
        evaluations_per_epoch=settings.evaluations_per_epoch,
        precision=chosen.precision,
        device=chosen.device,
        seed=settings.seed,
        block_decay=settings.block_decay,
        ema_decay=settings.ema_decay,
        on_divergence=settings.on_divergence,
        recompute=settings.gradient_checkpointing,
        sampling=settings.sampling,
        soup=settings.soup,
        silence=silence_of(steering_measure(chosen.task)),
        mixing=MixingSettings(mixup=settings.mixup, cutmix=settings.cutmix),
        penalties=Penalties(l1=settings.l1, l2=settings.l2, towards_pretrained=settings.towards_pretrained, ewc=settings.ewc),
    )


def silence_of(measure: str) -> float:
    """What a model scores that answers nothing, more being better; minus infinity where there is no such thing."""
    silence = getattr(MEASURES[measure], "silence", None)
    if silence is None:
        return -math.inf
    return float(silence if MEASURES[measure].direction == "higher" else -silence)


def _parts(
    spec: TuneSpec, chosen: Chosen, before: Before, companions: Companions | None
) -> dict[int, tuple[TrainingRows, TrainingRows]]:
    """Train and validation units of the whole network (boundary 0) and of every stored boundary."""
    stores = stores_by_boundary(spec, chosen, before)
    train, validation = known_units(chosen, "train"), chosen.scored_units("validation")
    return {
        boundary: (learning_rows(chosen, train, store, companions=companions), training_rows(chosen, validation, store))
        for boundary, store in stores.items()
    }


def stores_by_boundary(spec: TuneSpec, chosen: Chosen, before: Before) -> dict[int, ActivationStore | None]:
    """What training starts from at each boundary; a head alone reads pooled vectors, or the states that it pools itself."""
    # Whatever is stored, frozen blocks have not seen the pictures that are made in each step.
    if spec.training.cutmix or spec.training.augment != "none":
        return {0: None}
    backbone, stored = chosen.backbone, before.features.boundaries
    started = {boundary: backbone.start_of(boundary) for boundary in range(1, backbone.num_blocks + 1)}
    stores: dict[int, ActivationStore | None] = {0: None}
    stores |= {boundary: stored[start] for boundary, start in started.items() if start in stored}
    if before.features.pooled_store is not None and not head_reads_states(spec, chosen.task):
        stores[backbone.num_blocks] = before.features.pooled_store
    return stores


def _first_event(first: RungResult, chosen: Chosen) -> Mapping[str, Any]:
    return {
        "event": "rung_finished",
        "rung": first.rung.name,
        "score": first.score,
        "difference": None,
        "standard_error": None,
        "kept": True,
        "reason": first.reason,
        "boundary": chosen.backbone.num_blocks,
        "num_blocks": chosen.backbone.num_blocks,
        "trainable_parameters": sum(value.numel() for value in first.weights.values()),
        "cost": first.cost,
    }

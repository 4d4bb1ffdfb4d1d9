"""What a search would do and cost, before anything is computed: the space in words, trials at the rates of this machine."""

from collections.abc import Sequence

from luthier.core.decision import Decision
from luthier.core.keys import either
from luthier.core.names import count_of
from luthier.core.progress import Observer, Quiet
from luthier.pipeline.before import choose_store, rehearse
from luthier.pipeline.choose import Chosen, choose_model
from luthier.pipeline.estimate import Rates, measure_rates, memory_bytes, pass_seconds, rung_seconds, work_of
from luthier.pipeline.planning import disk_bytes, folder_worry, worries
from luthier.pipeline.prepare import prepare
from luthier.pipeline.records import Plan
from luthier.pipeline.search_defaults import default_points
from luthier.pipeline.search_spec import SearchSpec
from luthier.pipeline.searching import num_trials, with_space
from luthier.pipeline.train import choose_rungs
from luthier.pipeline.trials import all_rungs, methods_of
from luthier.studies.space import Choice, Dimension, every_dimension, every_value
from luthier.training.methods.rung import Rung


def plan_search(asked: SearchSpec, *, observer: Observer | None = None) -> Plan:
    """Say what a search would do and cost; nothing is trained or written."""
    observer, spec = observer or Quiet(), asked.base
    prepared = prepare(spec, observer=observer)
    chosen = choose_model(spec, prepared, backbone=None, observer=observer)
    asked = with_space(asked, chosen, observer)
    rungs = all_rungs(spec, asked.space, chosen)
    rehearse(chosen)
    _, store, boundaries = choose_store(spec, chosen, rungs)
    observer.stage("Measure", "a few batches, to know the machine")
    rates = measure_rates(spec, prepared.task, chosen, trains=any(_trains(rung, chosen) for rung in rungs))
    trials = num_trials(asked, default_points(asked.space, spec, chosen, penalty=spec.training.probe_penalty))
    varied = [item for item in every_dimension(asked.space) if len(set(every_value(item))) > 1]
    space = Decision(
        name="space",
        value=count_of(len({item.path for item in varied}), "setting"),
        reason="; ".join(dict.fromkeys(map(in_words, varied))),
    )
    stored = int(store.evidence.get("bytes", 0))
    peak = memory_bytes(spec, prepared.task, chosen, rungs, store_bytes=stored)
    return Plan(
        decisions=[*prepared.decisions, *chosen.decisions, store, space],
        findings=prepared.findings,
        steps=_steps(asked, chosen, rates, sorted(boundaries), trials),
        memory_bytes=peak + 4 * sum(p.numel() for p in chosen.backbone.parameters()),
        disk_bytes=disk_bytes(chosen, store),
        worries=[*folder_worry(spec), *worries(prepared, chosen)],
    )


def in_words(dimension: Dimension) -> str:
    """A dimension, as `learning rate 1e-05 to 0.001`.

    Example:
        >>> from luthier.studies.space import parse_space
        >>> [in_words(item) for item in parse_space({"training.schedule": ["linear", "cosine"]})]
        ['schedule linear or cosine']
    """
    name = dimension.path.rpartition(".")[2].replace("_", " ")
    if isinstance(dimension.domain, Choice):
        return f"{name} {either([str(option.value) for option in dimension.domain.options])}"
    return f"{name} {dimension.domain.low:g} to {dimension.domain.high:g}"


def _steps(
    asked: SearchSpec, chosen: Chosen, rates: Rates, boundaries: Sequence[int], trials: int | None
) -> list[tuple[str, str, float | None]]:
    rows = count_of(len(chosen.inputs.lengths), "row")
    steps: list[tuple[str, str, float | None]] = [
        ("measure before", f"{rows} once through the frozen model, for all trials", pass_seconds(chosen, rates))
    ]
    costs = [_trial_seconds(asked, chosen, rates, boundaries, method) for method in methods_of(asked.space, asked.base)]
    mean, longest = sum(costs) / len(costs), max(costs)
    if trials is None:
        steps.append(("search", f"until the trials have taken {asked.settings.seconds:g} s", asked.settings.seconds))
    else:
        said = f"{count_of(trials, 'trial')} by {asked.settings.sampler}, methods in equal shares, none ended early"
        total = trials * mean if asked.settings.seconds is None else min(trials * mean, asked.settings.seconds + longest)
        steps.append(("search", said, total))
    if asked.settings.final:
        test = chosen.parts["test"]
        steps.append(("final training", "the best values once more, at most as long as the longest trial", longest))
        seconds = rates.forward_seconds * work_of(chosen, chosen.units("test"))
        steps.append(("measure after", f"{count_of(len(test), 'test row')} once through the saved model; report", seconds))
    return steps


def _trial_seconds(asked: SearchSpec, chosen: Chosen, rates: Rates, boundaries: Sequence[int], method: str) -> float:
    spec = asked.base.with_values({"training.method": method})
    rungs = [rung for rung in choose_rungs(spec, chosen) if _trains(rung, chosen)]
    return sum(rung_seconds(spec, chosen, rung, rates, stored=rung.boundary in boundaries) for rung in rungs)


def _trains(rung: Rung, chosen: Chosen) -> bool:
    return rung.boundary < chosen.backbone.num_blocks

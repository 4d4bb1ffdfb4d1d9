"""Refit: after the choice, the kept recipe is trained from the start on train and validation together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.process import Cost, Stopwatch
from luthier.features.probe import Probe, fit_probe
from luthier.pipeline.before import Before, num_outputs
from luthier.pipeline.choose import Chosen
from luthier.pipeline.rows import known_units, learning_rows
from luthier.pipeline.together import share_probe, working_alone
from luthier.training.ladder import RungResult, Workbench, head_weights, rung_settings, use_probe
from luthier.training.model import TunedModel
from luthier.training.refit import train_again


def refit(
    chosen: Chosen,
    before: Before,
    results: Sequence[RungResult],
    *,
    model: TunedModel,
    bench: Workbench,
) -> tuple[list[RungResult], Decision[bool]]:
    """Train the probe and the kept rung again on train and validation; the model holds the outcome.

    Returns:
        The results with the refit's cost added to the winner's, their validation scores as they were; and what was done.
    """
    bench.observer.stage("Refit", "the winner once more, on train and validation")
    units = known_units(chosen, "train", "validation")
    winner = [result for result in results if result.kept][-1]
    watch = Stopwatch()
    if bench.head_origin == "probe":
        with working_alone(chosen):
            fitted = _refit_probe(chosen, before, units) if bench.processes.is_main else None
        probe = share_probe(fitted, bench.processes)
        use_probe(model, probe)
        bench = replace(bench, start=head_weights(probe.start))
    cost = watch.read()
    if winner is not results[0] or bench.head_origin == "fresh":
        model.restore(bench.start)
        cost = cost + _train_again(chosen, bench, winner, units, model)
    bench.record({"event": "refit_finished", "rows": len(units), "rung": winner.rung.name, "cost": cost})
    num_rows = len(np.unique(chosen.inputs.row_of[units]))
    decision = Decision(
        name="refit",
        value=True,
        reason=f"{winner.rung.name} was trained again on all {count_of(num_rows, 'row')} of train and validation, for as "
        "many steps per row as were best; the scores on validation are those from before",
        evidence={"rung": winner.rung.name, "epochs": winner.epochs},
        override="--no-refit",
    )
    bench.observer.decided(decision)
    return [replace(one, cost=one.cost + cost) if one is winner else one for one in results], decision


def _refit_probe(chosen: Chosen, before: Before, units: Int[np.ndarray, " u"]) -> Probe:
    """The probe once more, with the penalty that was chosen."""
    assert chosen.task.probe is not None
    assert before.probe is not None
    both = (before.features.pooled[units], chosen.targets[units])
    return fit_probe(
        both,
        both,
        num_outputs=num_outputs(chosen),
        loss=chosen.task.probe,
        normalize=before.probe.normalize,
        penalties=(before.probe.penalty,),
        class_weights=before.probe.class_weights,
        row_weights=mixed.row_weights if (mixed := chosen.mixed(units)) else None,
    )


def _train_again(chosen: Chosen, bench: Workbench, result: RungResult, units: Int[np.ndarray, " u"], model: TunedModel) -> Cost:
    settings = rung_settings(result.rung, bench)
    if settings.unfreezing is not None:
        settings = replace(settings, unfreezing=settings.unfreezing.as_it_happened(result.unfroze))
    return train_again(
        model,
        lambda boundary: learning_rows(
            chosen, units, bench.rows(boundary)[0].store, companions=bench.rows(boundary)[0].companions
        ),
        settings,
        fraction=min(1.0, result.epochs / settings.num_epochs),
        loss=bench.loss,
        supervision=bench.supervision("refit"),
    )

"""The story, from beginning to end. Each step is a function of its own; this file says what follows what."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.core.machine import describe_machine
from luthier.core.process import keep_freed_memory, stop_on_signals
from luthier.core.progress import Observer, Quiet
from luthier.pipeline.prepare import prepare
from luthier.pipeline.records import Run
from luthier.pipeline.run_folder import open_run_folder, refuse_taken_folder
from luthier.pipeline.stopping import explain_stop
from luthier.spec import TuneSpec

if TYPE_CHECKING:
    from luthier.models.backbone import Backbone


def tune(spec: TuneSpec, *, observer: Observer | None = None, backbone: "Backbone | None" = None, resumes: bool = False) -> Run:
    """Load, check, split, choose, measure before, train, measure after, package, report.

    Args:
        spec: What was asked for.
        observer: Is told what happens.
        backbone: A backbone of one's own instead of the network of `spec.model`, whose preprocessing is used.
        resumes: Whether to go on with the unfinished run in `spec.output.out`, to the same bits as if it had never stopped.

    Raises:
        Stopped: Ctrl-C; says what is kept and how to go on.
    """
    observer = observer or Quiet()
    keep_freed_memory()
    with stop_on_signals() as stop, explain_stop(stop) as kept, ExitStack() as held:
        with stop.at_once():
            if not resumes:
                refuse_taken_folder(spec)
            prepared = prepare(spec, observer=observer)

            # Torch is imported from here on: nobody waits for it to be told of a wrong path or a wrong table.
            import torch

            from luthier.pipeline.after import ladder_decision, measure_after, resolved_spec
            from luthier.pipeline.before import measure_before
            from luthier.pipeline.choose import choose_model
            from luthier.pipeline.origin import describe_origin
            from luthier.pipeline.refit import refit
            from luthier.pipeline.train import choose_rungs, make_workbench, train

            chosen = choose_model(spec, prepared, backbone=backbone, observer=observer)
            rungs = choose_rungs(spec, chosen)
            torch.set_num_threads(chosen.threads)

            settled = resolved_spec(spec, prepared, chosen)
            origin = describe_origin(settled, chosen)
            opened = open_run_folder(spec, prepared.dataset.name, origin=origin, resumes=resumes, observer=observer)
            folder = held.enter_context(opened)
            kept.folder = folder.path
            folder.write_spec(settled)
            folder.record_start(describe_machine())
            folder.write_findings(prepared.dataset, prepared.findings, prepared.removals)
            folder.write_split(prepared.split.to_table(prepared.dataset))

            before = measure_before(spec, prepared, chosen, rungs, observer=observer)
            kept.has_features = True
            bench = make_workbench(spec, prepared, chosen, before, folder=folder, observer=observer, stop=stop)
        model, results = train(spec, prepared, chosen, before, rungs, bench=bench)
        decisions: list[Decision[Any]] = [ladder_decision(results, prepared.task.primary_measure, spec.training.method)]
        observer.decided(decisions[0])
        if spec.training.refit:
            results, again = refit(chosen, before, results, model=model, bench=bench)
            decisions.append(again)
            observer.decided(again)
        with stop.at_once():
            folder.write_decisions([*prepared.decisions, *chosen.decisions, *before.decisions, *decisions])
            return measure_after(spec, prepared, chosen, before, results, model=model, folder=folder, observer=observer)

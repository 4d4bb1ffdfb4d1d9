"""The story, from beginning to end. Each step is a function of its own; this file says what follows what."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from luthier.core.decision import Decision
from luthier.core.machine import describe_machine
from luthier.core.process import keep_freed_memory, stop_on_signals
from luthier.core.progress import Observer, Quiet
from luthier.core.seat import taken_seat
from luthier.pipeline.prepare import Prepared, prepare
from luthier.pipeline.records import Run
from luthier.pipeline.run_folder import RunFolder, open_shared_folder, refuse_taken_folder
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
    seat = taken_seat()
    observer = observer if observer and seat.is_main else Quiet()
    keep_freed_memory()
    with stop_on_signals() as stop, explain_stop(stop) as kept, ExitStack() as held:
        with stop.at_once():
            if seat.is_main and not resumes:
                refuse_taken_folder(spec)
            prepared = prepare(spec, observer=observer)

            # Torch is imported from here on: nobody waits for it to be told of a wrong path or a wrong table.
            import torch

            from luthier.pipeline.after import ladder_decision, measure_after, resolved_spec, settle_answers
            from luthier.pipeline.before import measure_before
            from luthier.pipeline.choose import choose_model
            from luthier.pipeline.origin import describe_origin
            from luthier.pipeline.refit import refit
            from luthier.pipeline.together import same_work
            from luthier.pipeline.train import choose_rates, choose_rungs, make_workbench, train
            from luthier.training.processes import joined

            processes = held.enter_context(joined(seat, device=spec.training.device))
            chosen = same_work(choose_model(spec, prepared, backbone=backbone, observer=observer), processes)
            rungs = choose_rungs(spec, chosen)
            torch.set_num_threads(chosen.own_threads)

            settled = resolved_spec(spec, prepared, chosen)
            name, origin = prepared.dataset.name, describe_origin(settled, chosen)
            opened = open_shared_folder(spec, name, processes, origin=origin, resumes=resumes, observer=observer)
            folder = held.enter_context(opened)
            kept.folder = folder.path
            _write_beginning(folder, settled, prepared, num_processes=seat.count)

            before = measure_before(spec, prepared, chosen, rungs, observer=observer, processes=processes)
            kept.has_features = True
            decisions: list[Decision[Any]] = [*before.decisions, *choose_rates(spec, rungs, observer=observer)]
            bench = make_workbench(
                spec, prepared, chosen, before, folder=folder, observer=observer, stop=stop, processes=processes
            )
        model, results = train(spec, prepared, chosen, before, rungs, bench=bench)
        chosen, answers = settle_answers(spec, chosen, results, observer=observer)
        decisions += [ladder_decision(results, bench.measure, spec.training.method, observer=observer), *answers]
        if spec.training.refit:
            results, again = refit(chosen, before, results, model=model, bench=bench)
            decisions.append(again)
        with stop.at_once():
            folder.write_decisions([*prepared.decisions, *chosen.decisions, *bench.opening.decisions, *decisions])
            return measure_after(spec, prepared, chosen, before, results, model=model, folder=folder, bench=bench)


def _write_beginning(folder: RunFolder, spec: TuneSpec, prepared: Prepared, *, num_processes: int) -> None:
    """What is known before anything is computed: what was asked for, who computes it, the data, and how they were split."""
    folder.write_spec(spec)
    folder.record_start(describe_machine(), num_processes=num_processes)
    folder.write_findings(prepared.dataset, prepared.findings, prepared.removals)
    folder.write_split(prepared.split.to_table(prepared.dataset))

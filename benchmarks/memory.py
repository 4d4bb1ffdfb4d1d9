"""How near is the prediction of memory to what a training takes? Methods and batches of MiniLM on banking77.

Each case is a process of its own: it predicts, trains some batches of the longest rows with an evaluation, and looks at the
peak of its resident memory. Predicted and measured are those of the whole process, as the journal has them; the *share on top*
leaves out what the process held before the training, on which every prediction would look good.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from frozen_prefix import fit_settings, load_bench
from results import Bar, Benchmark, Case, Measured, Row, at_least, at_most, cost_row
from runner import main

RECIPE = {
    "rows": None,
    "learning_rate": 5e-5,
    "head_learning_rate": 5e-5,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "seed": 0,
    "epochs": 1,
}
METHODS: Mapping[str, Mapping[str, Any]] = {
    "probe": {"frozen_blocks": 6},
    "top-blocks-2": {"frozen_blocks": 4},
    "lora-8": {"frozen_blocks": 0, "adapter_rank": 8},
    "full": {"frozen_blocks": 0},
}
BATCHES = (8, 32, 128)
BATCHES_TRAINED = 4


def cases(quick: bool) -> list[Case]:
    """Every method at every batch."""
    return [
        Case(
            name=f"{method}-{batch}",
            function="compare",
            settings={**RECIPE, **given, "batch_size": batch, "precision": "float32"},
        )
        for method, given in METHODS.items()
        for batch in (BATCHES[:2] if quick else BATCHES)
    ]


def compare(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Predict, train, look."""
    from luthier.core.process import StopRequest, keep_freed_memory
    from luthier.core.progress import Quiet

    keep_freed_memory()  # as `luthier tune` does
    import torch

    from luthier.tasks.text_classification import TASK
    from luthier.training.footprint import measure_footprint
    from luthier.training.loop import Objective, Supervision, fit
    from luthier.training.memory import peak_bytes
    from luthier.training.worst import longest_rows

    torch.set_num_threads(settings["threads"])
    bench, fitting = load_bench(settings), fit_settings(settings, settings["precision"])
    everything = bench.rows_of("train")
    places = longest_rows(everything, BATCHES_TRAINED * fitting.batch_size)
    rows = replace(everything, rows=everything.rows[places], targets=everything.targets[places])
    with bench.model.tuning(fitting.boundary, fitting.moves) as trainable:
        footprint = measure_footprint(bench.model, trainable, rows, fitting, loss=TASK.loss)
    objective = Objective(loss=TASK.loss, score=lambda outputs: {"accuracy": 0.5}, primary="accuracy")
    supervision = Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest())
    fit(bench.model, lambda boundary: (rows, rows), fitting, objective=objective, supervision=supervision)
    return {
        "predicted": footprint.peak(fitting.micro_batch),
        "measured": peak_bytes("cpu"),
        "held": footprint.held,
        "parts": footprint.event(fitting.micro_batch)["parts"],
    }


def _shares(measured: Measured) -> list[float]:
    return [items[-1]["predicted"] / items[-1]["measured"] for items in measured.values()]


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    shares = _shares(measured)
    return [
        at_least("predicted / measured peak, the least of all cases", min(shares, default=None), 0.6),
        at_most("predicted / measured peak, the most of all cases", max(shares, default=None), 1.6, unit=" times"),
    ]


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    found = []
    for name, items in measured.items():
        last = items[-1]
        on_top = (last["predicted"] - last["held"]) / max(1, last["measured"] - last["held"])
        columns = {
            "predicted MB": round(last["predicted"] / 1e6),
            "measured MB": round(last["measured"] / 1e6),
            "predicted / measured": f"{last['predicted'] / last['measured']:.2f}",
            "share on top": f"{on_top:.2f}",
        }
        found.append(cost_row(name, items, **columns))
    return found


BENCHMARK = Benchmark(
    name="memory",
    question="How near is the prediction of memory to what a training takes?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="Batches of 8 and 32 only.",
    functions={"compare": compare},
)

if __name__ == "__main__":
    main(BENCHMARK)

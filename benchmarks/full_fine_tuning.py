"""How fast does everything train? Steps of MiniLM with nothing frozen on batches of banking77, ours and those of Trainer.

A fixed number of steps after a few to warm up; imports, loading and scoring are left out. Both pad each batch to its longest
row; ours also puts rows of similar length into one batch, which is what the product does, and counts as its own. Trainer is in
float32, which is what it does unless told otherwise; ours in float32, and in the precision that `luthier tune` chooses.
`saving` is a longer training with states saved at the default interval, timed by the loop itself.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from banking77 import load_parts, minilm_folder
from frozen_prefix import fit_settings, load_bench
from measuring import median_of, ratio, scratch_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, at_most, cost_row
from runner import main
from trainer_peer import build_classifier, encode_rows

RECIPE = {
    "rows": None,
    "frozen_blocks": 0,
    "batch_size": 32,
    "learning_rate": 5e-5,
    "head_learning_rate": 5e-5,
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "seed": 0,
    "warm_up": 5,
}


def cases(quick: bool) -> list[Case]:
    """Peer and ours by turns."""
    steps, repeats = (15, 1) if quick else (60, 3)
    timed = {**RECIPE, "steps": steps}
    return [
        Case(name="trainer", function="peer", settings=timed, is_peer=True, repeats=repeats),
        Case(name="ours-float32", function="ours", settings={**timed, "precision": "float32"}, repeats=repeats),
        Case(name="ours-default-precision", function="ours", settings={**timed, "precision": "auto"}, repeats=repeats),
        Case(name="saving", function="saving", settings={**RECIPE, "precision": "auto", "epochs": 0.2 if quick else 3}),
    ]


def peer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Trainer, with a callback that looks at the clock after the warm-up and at the end."""
    import torch
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments, set_seed

    set_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])
    parts, num_labels = load_parts(settings["rows"])
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    clocks: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        """Notes the time after some steps."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step in (settings["warm_up"], settings["warm_up"] + settings["steps"]):
                clocks.append((time.process_time(), time.perf_counter()))

    trainer = Trainer(
        model=build_classifier(num_labels, frozen_blocks=0),
        args=TrainingArguments(
            output_dir=str(scratch_folder() / "trainer"),
            max_steps=settings["warm_up"] + settings["steps"],
            per_device_train_batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            warmup_steps=settings["warmup_fraction"],
            weight_decay=settings["weight_decay"],
            seed=settings["seed"],
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
        ),
        train_dataset=encode_rows(tokenizer, parts["train"].texts, parts["train"].targets),
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Clock()],
    )
    trainer.train()
    (cpu, wall), (cpu_end, wall_end) = clocks
    return {"precision": "float32", **_speed(settings, cpu_end - cpu, wall_end - wall)}


def ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The steps of the loop, without its evaluations."""
    with training(settings) as (course, precision):
        for _ in range(settings["warm_up"]):
            course.advance()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(settings["steps"]):
            course.advance()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    gigaflop = _gigaflop(course.rows.lengths, settings)
    return {"precision": precision, "gigaflop": gigaflop, **_speed(settings, cpu, wall)}


@contextmanager
def training(settings: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """A training of everything, before its first step; and its precision."""
    from luthier.core.process import keep_freed_memory, wait_without_spinning

    wait_without_spinning()
    keep_freed_memory()  # both as `luthier tune` does
    import torch

    from luthier.tasks.text_classification import TASK
    from luthier.training.course import Course
    from luthier.training.device import choose_precision
    from luthier.training.step import Stepper

    torch.set_num_threads(settings["threads"])
    precision = choose_precision(settings["precision"], device="cpu").value
    bench = load_bench(settings)
    rows, fitting = bench.rows_of("train"), fit_settings({"epochs": 3, **settings}, precision)
    with bench.model.tuning(0) as trainable:
        yield Course(Stepper(bench.model, trainable, fitting, loss=TASK.loss), rows, fitting), precision


def saving(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How much of the time of a training goes into its states, saved as often as the product chooses."""
    from luthier.core.progress import Quiet
    from luthier.training.checkpoint import Checkpoints

    states = Checkpoints(scratch_folder() / "full", seconds=None, observer=Quiet())
    inside, number = 0.0, 0
    with training(settings) as (course, precision):
        begin = time.perf_counter()
        while course.step < course.num_steps:
            course.advance()
            if states.is_due(course.num_bytes):
                before = time.perf_counter()
                states.save(course.name, course.tensors(), course.state())
                inside, number = inside + time.perf_counter() - before, number + 1
        total = time.perf_counter() - begin
    return {"precision": precision, "saves": number, "seconds_saving": inside, "seconds": total, "share": inside / total}


def _speed(settings: Mapping[str, Any], cpu: float, wall: float) -> dict[str, Any]:
    samples = settings["steps"] * settings["batch_size"]
    return {"step_cpu": cpu, "step_wall": wall, "per_cpu_second": samples / cpu, "per_wall_second": samples / wall}


def _gigaflop(lengths: Any, settings: Mapping[str, Any]) -> float:
    """Useful work of the timed steps: forward, and twice that backward, of tokens that are no padding (see `features.py`).

    Taken from the mean length of all rows; which of them the timed steps see is chance.
    """
    width, inner, layers = 384, 1536, 6
    each = [layers * length * (2 * (4 * width**2 + 2 * width * inner) + 4 * length * width) for length in lengths.tolist()]
    return 3 * sum(each) / len(each) * settings["steps"] * settings["batch_size"] / 1e9


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    found = []
    for name, bound in (("ours-float32", 1.8), ("ours-default-precision", 4.5)):
        both = "trainer" in measured and name in measured
        for kind, promise in (("cpu", bound), ("wall", None)):
            speeds = [median_of(measured[case], f"per_{kind}_second") for case in (name, "trainer")] if both else []
            question = f"samples per {'CPU' if kind == 'cpu' else 'wall'} second, {name} / Trainer in float32"
            found.append(at_least(question, ratio(*speeds) if both else None, promise))
    last = measured["saving"][-1] if "saving" in measured else None
    note = f"{last['saves']} states in {last['seconds']:.0f} s" if last else ""
    share = 100 * last["share"] if last else None
    return [*found, at_most("time that saving states takes", share, 3.0, unit=" %", note=note)]


def rows(measured: Measured) -> list[Row]:
    """One row a case that is timed."""
    return [
        cost_row(
            name,
            items,
            **{
                "samples/CPU s": median_of(items, "per_cpu_second"),
                "samples/wall s": median_of(items, "per_wall_second"),
                "share of matmul peak": f"{_share_of_peak(items):.0%}" if "gigaflop" in items[-1] else "–",
            },
        )
        for name, items in measured.items()
        if "per_cpu_second" in items[-1]
    ]


def _share_of_peak(items: Any) -> float:
    """Useful GFLOP per CPU second by those of matrix products in the same precision."""
    peak = median_of(items, f"environment.calibration.{items[-1]['precision']}")
    return float(items[-1]["gigaflop"] / median_of(items, "step_cpu") / peak)


BENCHMARK = Benchmark(
    name="full_fine_tuning",
    question="How many examples a second train where nothing is frozen, compared with Trainer?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="15 of 60 steps, one repeat of each, and a fifth of an epoch instead of three for the share of saving.",
    functions={"peer": peer, "ours": ours, "saving": saving},
)

if __name__ == "__main__":
    main(BENCHMARK)

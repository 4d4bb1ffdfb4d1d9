"""What does the store save for an adapter? LoRA on the top half of MiniLM, ours from the store against peft with Trainer.

banking77, rank 8 on every linear layer of the last 3 of 6 blocks, batch 32, 5 epochs, AdamW, linear schedule with a tenth of
warm-up; the same adapter, rates and head on both sides. CPU seconds are those of the whole process but for the test answers;
once more without its imports ("work"). Ours scores validation after each epoch and the peer never, so the comparison leans to
the peer.
"""

from collections.abc import Sequence

from banking77 import accuracy_bar
from frozen_prefix import ours, process_seconds, rows, times, work_seconds
from results import Bar, Benchmark, Case, Measured, at_least
from runner import main
from trainer_peer import run_trainer

RECIPE = {"batch_size": 32, "learning_rate": 1e-3, "warmup_fraction": 0.1, "weight_decay": 0.01, "seed": 0}
ADAPTER = {"adapter_rank": 8, "frozen_blocks": 3}


def cases(quick: bool) -> list[Case]:
    """The peer; ours in its precision and in our own; ours without the store."""
    shared = {**RECIPE, **ADAPTER, "rows": 1500 if quick else None, "epochs": 3 if quick else 5}
    own = {**shared, "head_learning_rate": shared["learning_rate"], "head": "fresh", "precision": "float32", "store": True}
    return [
        Case(name="peft-with-trainer", function="trainer", settings=shared, is_peer=True),
        Case(name="ours-float32", function="ours", settings=own),
        Case(name="ours-default-precision", function="ours", settings={**own, "precision": "auto"}),
        Case(name="ours-without-store", function="ours", settings={**own, "store": False}),
    ]


def bars(measured: Measured) -> list[Bar]:
    """The promises: three times fewer CPU seconds in the same precision, at an accuracy that is not lower."""
    found: list[Bar] = []
    last = {name: items[-1] for name, items in measured.items()}
    for name, bound in (("ours-float32", 3.0), ("ours-default-precision", None), ("ours-without-store", None)):
        found += _against_peer(measured, name, bound)
        found.append(accuracy_bar(f"test accuracy, {name} against peft", last.get(name), last.get("peft-with-trainer")))
    return found


def _against_peer(measured: Measured, name: str, bound: float | None) -> Sequence[Bar]:
    whole = times(process_seconds(measured, "peft-with-trainer"), process_seconds(measured, name))
    work = times(work_seconds(measured, "peft-with-trainer"), work_seconds(measured, name))
    return [
        at_least(f"CPU seconds of peft with Trainer / of {name}", whole, bound),
        at_least("the same without imports", work, None),
    ]


BENCHMARK = Benchmark(
    name="adapters",
    question="What does it save to compute the blocks below an adapter once?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="1,500 of the 10,003 training rows and 3 of 5 epochs: start-up weighs more, so ratios come out lower.",
    functions={"trainer": run_trainer, "ours": ours},
)

if __name__ == "__main__":
    main(BENCHMARK)

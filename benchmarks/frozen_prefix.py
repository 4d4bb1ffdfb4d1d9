"""How much does it save to compute frozen blocks once? Our loop with the activation store against Hugging Face Trainer.

banking77, MiniLM, embeddings and the first 4 of 6 blocks frozen, batch 32, 5 epochs, AdamW, linear schedule with a tenth of
warm-up. CPU seconds are those of the whole process but for the test answers; once more without its imports ("work"). Ours
scores validation after each epoch and the peer never, so the comparison leans to the peer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from banking77 import Rows, accuracy, accuracy_bar, load_parts, right_answers
from measuring import Phases, median_of, ratio, scratch_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, at_most, cost_row
from runner import main
from trainer_peer import run_trainer

RECIPE = {"epochs": 5, "batch_size": 32, "learning_rate": 5e-4, "warmup_fraction": 0.1, "weight_decay": 0.01, "seed": 0}
SAME_LOSS = 1e-6


def cases(quick: bool) -> list[Case]:
    """The peer; ours with the same recipe; ours as the product starts it; the store on and off."""
    shared = {**RECIPE, "rows": 1500 if quick else None, "epochs": 3 if quick else 5}
    ours = {
        **shared,
        "head_learning_rate": shared["learning_rate"],
        "frozen_blocks": 4,
        "head": "fresh",
        "precision": "float32",
    }
    ours["store"] = True
    product = {"head": "probe", "learning_rate": 3e-4, "head_learning_rate": 1e-3, "precision": "auto"}
    return [
        Case(name="trainer", function="trainer", settings={**shared, "frozen_blocks": 4}, is_peer=True),
        Case(name="ours-float32", function="ours", settings=ours),
        Case(name="ours-default-precision", function="ours", settings={**ours, "precision": "auto"}),
        Case(name="ours-from-the-probe", function="ours", settings={**ours, **product}),
        Case(name="store-off-4-of-6", function="ours", settings={**ours, "store": False}),
        Case(name="store-on-5-of-6", function="ours", settings={**ours, "frozen_blocks": 5}),
        Case(name="store-off-5-of-6", function="ours", settings={**ours, "frozen_blocks": 5, "store": False}),
    ]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Encoded rows, a loaded backbone under a head, and where each part's rows are."""

    parts: Mapping[str, Rows]
    rows: Mapping[str, Any]
    texts: Sequence[str]
    targets: Any
    num_labels: int
    encode: Callable[[Sequence[str]], Any]
    inputs: Any
    model: Any

    def rows_of(self, name: str, store: Any = None) -> Any:
        """The rows of a part as the loop takes them."""
        from luthier.training.data import TrainingRows

        return TrainingRows(inputs=self.inputs, rows=self.rows[name], targets=self.targets[self.rows[name]], store=store)


def ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The pass that fills the store, the loop, and the test answers; all of it the package's own parts."""
    phases = Phases()
    from luthier.core.process import keep_freed_memory, wait_without_spinning

    wait_without_spinning()
    keep_freed_memory()  # both as `luthier tune` does
    import torch  # noqa: F401
    import transformers  # noqa: F401  loading the backbone imports it in any case; named here so that it counts as an import

    if settings.get("adapter_rank"):
        import peft  # noqa: F401  the same

    from luthier.core.process import StopRequest
    from luthier.core.progress import Quiet
    from luthier.tasks.text_classification import TASK
    from luthier.training.device import choose_precision
    from luthier.training.loop import Objective, Supervision, fit, predict_rows

    phases.end("imports")
    precision = choose_precision(settings["precision"], device="cpu").value
    bench = load_bench(settings)
    phases.end("load")
    store = _fill(bench, settings, precision) if settings["store"] else None
    phases.end("fill")
    fitting, expected = fit_settings(settings, precision), bench.targets[bench.rows["validation"]]
    done = fit(
        bench.model,
        lambda boundary: (bench.rows_of("train", store), bench.rows_of("validation", store)),
        fitting,
        objective=Objective(
            loss=lambda outputs, targets: TASK.loss(outputs, targets),
            score=lambda outputs: {"accuracy": float((outputs.argmax(1) == expected).mean())},
            primary="accuracy",
        ),
        supervision=Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest()),
    )
    phases.end("train")
    right = right_answers(predict_rows(bench.model, bench.rows_of("test"), fitting), bench.parts["test"].targets)
    phases.end("test")
    return {
        "precision": precision,
        "epochs_run": done.epochs,
        "validation_accuracy": done.scores["accuracy"],
        "test_accuracy": accuracy(right),
        "test_right": right,
        "losses": [float(f"{value:.8g}") for value in done.losses],
        **phases.found(),
    }


def load_bench(settings: Mapping[str, Any]) -> Bench:
    """Data, encoded rows and a fresh model."""
    import numpy as np
    import torch

    from luthier.features.passes import to_device
    from luthier.models.heads import LinearHead
    from luthier.models.load import choose_attention, load_backbone
    from luthier.models.processors import load_processor
    from luthier.models.settings import ModelSettings
    from luthier.models.source import resolve_model
    from luthier.tasks.readings.text import TEXT
    from luthier.training.model import TunedModel

    parts, num_labels = load_parts(settings["rows"])
    texts = [text for part in parts.values() for text in part.texts]
    source = resolve_model(ModelSettings(), modality="text", near=scratch_folder())
    processor = load_processor(source.folder, "text").with_max_length(128)
    inputs = TEXT.encode(texts, processor)
    ends = np.cumsum([len(part.texts) for part in parts.values()])
    backbone = load_backbone(source, attention=choose_attention("cpu", 128))
    backbone.rehearse(to_device(inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    return Bench(
        parts=parts,
        rows=dict(zip(parts, np.split(np.arange(ends[-1]), ends[:-1]), strict=True)),
        texts=texts,
        targets=np.concatenate([part.targets for part in parts.values()]),
        num_labels=num_labels,
        encode=lambda some: TEXT.encode(some, processor),
        inputs=inputs,
        model=TunedModel(backbone, LinearHead(backbone.width, num_labels, dropout=0.0, seed=settings["seed"])),
    )


def _fill(bench: Bench, settings: Mapping[str, Any], precision: str) -> Any:
    """Run the pass over train and validation; start the head from a probe, where that is asked for."""
    import numpy as np

    from luthier.core.progress import Quiet
    from luthier.features.passes import PassSettings, compute_activations, compute_features
    from luthier.features.probe import fit_probe
    from luthier.training.ladder import head_weights, use_probe

    place = PassSettings(identity={}, root=scratch_folder() / "store", precision=precision, store_type=precision)
    train, validation = bench.rows["train"], bench.rows["validation"]
    learnt = np.concatenate([train, validation])  # the first rows of all: test stands behind them
    boundary, inputs = settings["frozen_blocks"], bench.encode([bench.texts[row] for row in learnt])
    if settings["head"] == "fresh":
        stores = compute_activations(bench.model.backbone, inputs, place, boundary_rows={boundary: learnt}, observer=Quiet())
        return stores[boundary]
    features = compute_features(bench.model.backbone, inputs, place, boundary_rows={boundary: learnt}, observer=Quiet())
    pairs = [(features.pooled[rows], bench.targets[rows]) for rows in (train, validation)]
    probe = fit_probe(pairs[0], pairs[1], num_outputs=bench.num_labels, normalize=True)
    use_probe(bench.model, probe)
    bench.model.restore(head_weights(probe.start))
    return features.boundaries[boundary]


def fit_settings(settings: Mapping[str, Any], precision: str) -> Any:
    """The loop's settings for a recipe."""
    from luthier.training.fit_settings import FitSettings
    from luthier.training.methods.rung import AdapterSettings

    rank = settings.get("adapter_rank")
    return FitSettings(
        boundary=settings["frozen_blocks"],
        moves=AdapterSettings(kind="lora", rank=rank, seed=settings["seed"]) if rank else "all",
        num_epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        micro_batch=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        head_learning_rate=settings["head_learning_rate"],
        schedule="linear",
        warmup_fraction=settings["warmup_fraction"],
        weight_decay=settings["weight_decay"],
        max_gradient_norm=1.0,
        patience=10**6,  # all epochs are run, as the peer does
        evaluations_per_epoch=1,
        precision=precision,
        device="cpu",
        seed=settings["seed"],
    )


def process_seconds(measured: Measured, name: str) -> float | None:
    """CPU seconds of the whole process, imports included, the test answers left out."""
    if name not in measured:
        return None
    return median_of(measured[name], "cpu_seconds") - median_of(measured[name], "phases_cpu.test")


def work_seconds(measured: Measured, name: str) -> float | None:
    """The same without imports."""
    process = process_seconds(measured, name)
    return None if process is None else process - median_of(measured[name], "phases_cpu.imports")


def seconds_of(measured: Measured, name: str, phases: Sequence[str]) -> float | None:
    """CPU seconds of filling the store and of the loop: what the store can change."""
    return sum(median_of(measured[name], f"phases_cpu.{phase}") for phase in phases) if name in measured else None


def times(above: float | None, below: float | None) -> float | None:
    """How many times less, where both were measured."""
    return None if above is None or below is None else ratio(above, below)


def bars(measured: Measured) -> list[Bar]:
    """The promises."""
    has_bfloat16 = any(item["precision"] == "bfloat16" for item in measured.get("ours-default-precision", ()))
    found = _bars_against_trainer(measured, "ours-float32", 3.0)
    found += _bars_against_trainer(measured, "ours-default-precision", 7.0 if has_bfloat16 else None)
    found += _bars_against_trainer(measured, "ours-from-the-probe", None)
    for blocks, on, bound in ((4, "ours-float32", 1.3), (5, "store-on-5-of-6", 2.5)):
        off = f"store-off-{blocks}-of-6"
        question = f"the store's own share, {blocks} of 6 blocks frozen, float32"
        for what, phases in (("pass and loop", ("fill", "train")), ("the loop alone", ("train",))):
            share = times(seconds_of(measured, off, phases), seconds_of(measured, on, phases))
            found.append(at_least(f"{question}: {what}", share, bound))
        found.append(_loss_bar(measured, on, off, blocks))
    return found


def _bars_against_trainer(measured: Measured, name: str, bound: float | None) -> list[Bar]:
    whole = times(process_seconds(measured, "trainer"), process_seconds(measured, name))
    work = times(work_seconds(measured, "trainer"), work_seconds(measured, name))
    note = ""
    if name == "ours-default-precision" and name in measured and bound is None:
        note = "this processor has no bfloat16: the float32 promise alone holds"
    last = {case: items[-1] for case, items in measured.items()}
    return [
        at_least(f"CPU seconds of Trainer / of {name}", whole, bound, note=note),
        at_least("the same without imports", work, None),
        accuracy_bar(f"test accuracy, {name} against Trainer", last.get(name), last.get("trainer")),
    ]


def _loss_bar(measured: Measured, on: str, off: str, blocks: int) -> Bar:
    """The first hundred steps are judged: rounding grows with every step of training, whatever causes it."""
    question = f"losses with the store on and off, {blocks} of 6: largest difference in the first 100 steps"
    if on not in measured or off not in measured:
        return at_most(question, None, SAME_LOSS)
    differences = [abs(a - b) for a, b in zip(measured[on][-1]["losses"], measured[off][-1]["losses"], strict=True)]
    return at_most(
        question, max(differences[:100]), SAME_LOSS, note=f"over all {len(differences):,} steps {max(differences):.1e}"
    )


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return rows_of(measured, score="accuracy")


def rows_of(measured: Measured, *, score: str) -> list[Row]:
    """One row a case: what it cost, and what it scored."""
    return [
        cost_row(
            name,
            items,
            **{
                "process CPU s": process_seconds(measured, name),
                "work CPU s": work_seconds(measured, name),
                "loop CPU s": median_of(items, "phases_cpu.train"),
                "validation": f"{median_of(items, f'validation_{score}'):.2%}",
                "test": f"{median_of(items, f'test_{score}'):.2%}",
            },
        )
        for name, items in measured.items()
    ]


BENCHMARK = Benchmark(
    name="frozen_prefix",
    question="How much does it save to compute frozen blocks once and to read them in every epoch?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="1,500 of the 10,003 training rows and 3 of 5 epochs: start-up weighs more, so ratios come out lower.",
    functions={"trainer": run_trainer, "ours": ours},
)

if __name__ == "__main__":
    main(BENCHMARK)

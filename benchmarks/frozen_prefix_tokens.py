"""How much does it save to compute frozen blocks once, where every word gets a label? Our loop with the activation store
against Hugging Face Trainer.

bc5cdr (the first 1,500 of 4,560 training sentences, chemicals and diseases; 500 to validate), MiniLM, embeddings and the first
4 of 6 blocks frozen, a linear head on every token, batch 32, 5 epochs, AdamW, linear schedule with a tenth of warm-up, float32
unless the case says otherwise. Of the few sentences with more than 128 tokens ours reads the rest in a second window, and the
peer cuts it off. CPU seconds are those of the whole process but for the test answers. Ours scores validation after each epoch
and the peer never.
"""

from collections.abc import Mapping
from typing import Any

from banking77 import minilm_folder
from frozen_prefix import RECIPE, SAME_LOSS, fit_settings, process_seconds, rows_of, seconds_of, times, work_seconds
from measuring import Phases, median_of, scratch_folder, shared_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, at_most
from runner import main
from trainer_peer import training_arguments

MAX_LENGTH = 128
BAR = 3.0
PARTS = {"train": "train.tsv", "validation": "devel.tsv", "test": "test.tsv"}


def cases(quick: bool) -> list[Case]:
    """The peer; ours with the same recipe and precision; ours as the product starts it; the store off."""
    shared = {**RECIPE, "rows": 400 if quick else 1500, "epochs": 2 if quick else 5, "frozen_blocks": 4}
    ours = {**shared, "head_learning_rate": shared["learning_rate"], "precision": "float32", "store": True}
    return [
        Case(name="trainer", function="trainer", settings=shared, is_peer=True),
        Case(name="ours-float32", function="ours", settings=ours),
        Case(name="ours-default-precision", function="ours", settings={**ours, "precision": "auto"}),
        Case(name="store-off", function="ours", settings={**ours, "store": False}),
    ]


def load_sentences(max_rows: int) -> dict[str, list[tuple[list[str], list[str]]]]:
    """Words and tags of each part: of train so many rows as asked, of validation a third as many, and the whole test part."""
    found = {}
    for part, name in PARTS.items():
        blocks = (shared_folder() / "data" / "bc5cdr" / name).read_text(encoding="utf-8").strip().split("\n\n")
        lines = [[line.split("\t") for line in block.split("\n")] for block in blocks]
        found[part] = [([cells[0] for cells in rows], [cells[1] for cells in rows]) for rows in lines]
    return {**found, "train": found["train"][:max_rows], "validation": found["validation"][: max_rows // 3]}


def run_trainer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The peer as its users write it: `AutoModelForTokenClassification`, a padding collator, labels on first tokens."""
    phases = Phases()
    import numpy as np
    import torch
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        set_seed,
    )

    phases.end("imports")
    set_seed(settings["seed"])
    sentences = load_sentences(settings["rows"])
    labels = sorted({tag for _, tags in sentences["train"] for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    encoded = {part: _encode(tokenizer, rows, labels) for part, rows in sentences.items()}
    model = AutoModelForTokenClassification.from_pretrained(
        minilm_folder(), num_labels=len(labels), dtype=torch.float32, classifier_dropout=0.0
    )
    model.bert.embeddings.requires_grad_(False)
    model.bert.encoder.layer[: settings["frozen_blocks"]].requires_grad_(False)
    trainer = Trainer(
        model=model,
        args=training_arguments(settings),
        train_dataset=encoded["train"],
        data_collator=DataCollatorForTokenClassification(tokenizer),
    )
    phases.end("load")
    trainer.train()
    phases.end("train")
    scores = {}
    for part in ("validation", "test"):
        said = trainer.predict(encoded[part])
        best, known = np.argmax(said.predictions, axis=-1), said.label_ids
        answers = [
            [labels[place] for place, true in zip(*row, strict=True) if true >= 0] for row in zip(best, known, strict=True)
        ]
        targets = [[labels[true] for true in row if true >= 0] for row in known]
        scores[part] = entity_f1(targets, answers)
    phases.end("test")
    return {"validation_f1": scores["validation"], "test_f1": scores["test"], **phases.found()}


def _encode(tokenizer: Any, sentences: list[tuple[list[str], list[str]]], labels: list[str]) -> list[dict[str, Any]]:
    rows = tokenizer([words for words, _ in sentences], is_split_into_words=True, truncation=True, max_length=MAX_LENGTH)
    encoded = []
    for number, (_, tags) in enumerate(sentences):
        words = rows.word_ids(number)
        firsts = [word is not None and (place == 0 or words[place - 1] != word) for place, word in enumerate(words)]
        targets = [labels.index(tags[word]) if first else -100 for word, first in zip(words, firsts, strict=True)]
        encoded.append({"input_ids": rows["input_ids"][number], "labels": targets})
    return encoded


def entity_f1(targets: list[list[str]], answers: list[list[str]]) -> float:
    """By the package's own measure, which is seqeval's."""
    import pyarrow as pa

    from luthier.evaluation.records import Predictions
    from luthier.training.ladder import score_of

    lists = pa.list_(pa.string())
    table = pa.table({"target": pa.array(targets, lists), "prediction": pa.array(answers, lists)})
    return score_of(Predictions(table=table, answer_kind="entities"), "entity_f1")


def ours(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The pass that fills the store, the loop, and the test answers; all of it the package's own parts."""
    phases = Phases()
    from luthier.core.process import keep_freed_memory, wait_without_spinning

    wait_without_spinning()
    keep_freed_memory()  # both as `luthier tune` does
    import transformers  # noqa: F401  loading the backbone imports it in any case; named here so that it counts as an import

    from luthier.core.process import StopRequest
    from luthier.core.progress import Quiet
    from luthier.features.passes import PassSettings, compute_activations
    from luthier.training.device import choose_precision
    from luthier.training.loop import Objective, Supervision, fit, predict_rows

    phases.end("imports")
    precision = choose_precision(settings["precision"], device="cpu").value
    bench = _Bench(settings)
    phases.end("load")
    store = None
    if settings["store"]:
        place = PassSettings(identity={}, root=scratch_folder() / "store", precision=precision, store_type=precision)
        boundary = settings["frozen_blocks"]
        stores = compute_activations(
            bench.backbone, bench.inputs, place, boundary_rows={boundary: bench.learnt}, observer=Quiet()
        )
        store = stores[boundary]
    phases.end("fill")
    fitting = fit_settings(settings, precision)
    done = fit(
        bench.model,
        lambda boundary: (bench.rows_of("train", store), bench.rows_of("validation", store)),
        fitting,
        objective=Objective(
            loss=lambda outputs, targets: bench.task.loss(outputs, targets),
            score=lambda decoded: {"entity_f1": bench.score("validation", decoded)},
            primary="entity_f1",
        ),
        supervision=Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest()),
    )
    phases.end("train")
    score = bench.score("test", predict_rows(bench.model, bench.rows_of("test"), fitting))
    phases.end("test")
    return {
        "precision": precision,
        "epochs_run": done.epochs,
        "validation_f1": done.scores["entity_f1"],
        "test_f1": score,
        "losses": [float(f"{value:.8g}") for value in done.losses],
        **phases.found(),
    }


class _Bench:
    """Encoded sentences and a loaded backbone under a fresh head."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        import json

        import numpy as np
        import pyarrow as pa
        import torch

        from luthier.features.passes import to_device
        from luthier.models.load import choose_attention, load_backbone
        from luthier.models.processors import load_processor
        from luthier.models.settings import ModelSettings
        from luthier.models.source import resolve_model
        from luthier.tasks.inputs import units_of
        from luthier.tasks.protocol import TaskState
        from luthier.tasks.token_classification import TASK
        from luthier.training.model import TunedModel

        sentences = load_sentences(settings["rows"])
        pairs = [pair for part in sentences.values() for pair in part]
        labels = tuple(sorted({tag for _, tags in sentences["train"] for tag in tags}))
        self.task, self.state = TASK, TaskState(task=TASK.name, labels=labels, values={"scheme": "iob2"})
        self.roles = {"text": "tokens", "target": "tags"}
        ids = [f"row {number}" for number in range(len(pairs))]
        tokens, tags = (pa.array([json.dumps(pair[side]) for pair in pairs]) for side in (0, 1))
        self.table = pa.table({"example_id": ids, "tokens": tokens, "tags": tags})
        ends = np.cumsum([len(part) for part in sentences.values()])
        self.parts = dict(zip(sentences, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
        source = resolve_model(ModelSettings(), modality="text", near=scratch_folder())
        processor = load_processor(source.folder, "text").with_max_length(MAX_LENGTH)
        self.inputs = TASK.encode(TASK.rows(self.table, self.roles), processor, self.state)
        self.targets = TASK.targets(self.table, self.state, self.roles, self.inputs)
        self.units = {part: units_of(self.inputs, rows) for part, rows in self.parts.items()}
        self.learnt = np.sort(np.concatenate([self.units["train"], self.units["validation"]]))
        self.backbone = load_backbone(source, attention=choose_attention("cpu", MAX_LENGTH))
        self.backbone.rehearse(to_device(self.inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
        self.model = TunedModel(self.backbone, TASK.build_head(self.backbone.width, self.state, seed=settings["seed"]))

    def rows_of(self, part: str, store: Any = None) -> Any:
        """The units of a part as the loop takes them."""
        from luthier.training.data import TrainingRows

        units = self.units[part]
        return TrainingRows(
            inputs=self.inputs,
            rows=units,
            targets=self.targets[units],
            decode=lambda outputs, some: self.task.decode(outputs, self.inputs, some),
            store=store,
        )

    def score(self, part: str, decoded: Any) -> float:
        """Entity F1 of what was decoded of a part."""
        from luthier.training.ladder import score_of

        merged = self.task.merge(decoded, self.inputs.row_of[self.units[part]])
        table = self.table.take(self.parts[part])
        return score_of(self.task.predictions(table, merged, self.state, self.roles), "entity_f1")


def bars(measured: Measured) -> list[Bar]:
    """What is saved, and that nothing is lost."""
    found = []
    for name in ("ours-float32", "ours-default-precision"):
        whole = times(process_seconds(measured, "trainer"), process_seconds(measured, name))
        work = times(work_seconds(measured, "trainer"), work_seconds(measured, name))
        difference = None
        if name in measured and "trainer" in measured:
            difference = 100 * (median_of(measured[name], "test_f1") - median_of(measured["trainer"], "test_f1"))
        found += [
            at_least(f"CPU seconds of Trainer / of {name}", whole, BAR),
            at_least("the same without imports", work, None),
            at_least(f"entity F1 on test, {name} minus Trainer", difference, None, unit=" points"),
        ]
    phases = ("fill", "train")
    share = times(seconds_of(measured, "store-off", phases), seconds_of(measured, "ours-float32", phases))
    return [*found, at_least("the store's own share: pass and loop", share, None), _same_losses(measured)]


def _same_losses(measured: Measured) -> Bar:
    question = "losses with the store on and off: largest difference in the first 100 steps"
    if not {"ours-float32", "store-off"} <= measured.keys():
        return at_most(question, None, SAME_LOSS)
    pairs = zip(measured["ours-float32"][-1]["losses"], measured["store-off"][-1]["losses"], strict=True)
    return at_most(question, max([abs(a - b) for a, b in pairs][:100]), SAME_LOSS)


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return rows_of(measured, score="f1")


BENCHMARK = Benchmark(
    name="frozen_prefix_tokens",
    question="How much does it save to compute frozen blocks once, where every word gets a label?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="400 of the 1,500 training sentences, 2 of 5 epochs: start-up and scoring weigh more, so ratios come out lower.",
    functions={"trainer": run_trainer, "ours": ours},
)

if __name__ == "__main__":
    main(BENCHMARK)

"""How much does it save to compute frozen blocks once, of pictures and of sounds? Our loop with the store against Trainer.

Pictures: 1,000 of cifar10_subset at 224 pixels, MobileNetV2 (the folder of `../shared`) with all but its last 4 of 17 blocks
frozen. Sounds: 1,000 spoken digits of FSDD, a wav2vec 2.0 of 6 blocks with 4 of them and the convolutions frozen. Its weights
are random, for none could be had: its scores mean nothing, and only its cost does. It is of the kind with layer norms and masks
(as XLS-R): those with group norms hear the silence that fills up a batch, and get windows of one length from us. Batch 32, 5
epochs, AdamW, linear schedule with a tenth of warm-up, float32 unless the case says otherwise. Files are decoded once for the
peer, before its steps. CPU seconds are those of the whole process but for the test answers. Ours scores validation after each
epoch and the peer never.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frozen_prefix import RECIPE, fit_settings, process_seconds, rows_of, times, work_seconds
from measuring import Phases, scratch_folder, shared_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least
from runner import main
from trainer_peer import training_arguments

KINDS = {"pictures": 13, "sounds": 4}  # blocks that are frozen
SIZES = {"train": 1000, "validation": 100, "test": 300}
BAR = 3.0


def cases(quick: bool) -> list[Case]:
    """Of each kind the peer, ours with its recipe and precision, and ours as the product starts it."""
    found = []
    for kind, frozen in KINDS.items():
        rows = 160 if quick else None
        shared = {**RECIPE, "kind": kind, "rows": rows, "epochs": 2 if quick else 5, "frozen_blocks": frozen}
        ours = {**shared, "head_learning_rate": shared["learning_rate"]}
        found += [
            Case(name=f"{kind}-trainer", function="trainer", settings=shared, is_peer=True),
            Case(name=f"{kind}-ours-float32", function="ours", settings={**ours, "precision": "float32"}),
            Case(name=f"{kind}-ours-default-precision", function="ours", settings={**ours, "precision": "auto"}),
        ]
    return found


def load_files(kind: str, max_rows: int | None) -> dict[str, list[tuple[Path, str]]]:
    """Files and labels of each part, drawn from a seed; the test part is the data's own."""
    import csv

    import numpy as np

    data = shared_folder() / "data"
    if kind == "pictures":
        files = {
            part: [(path, path.parent.name) for path in sorted((data / "cifar10_subset" / part).glob("*/*.jpg"))]
            for part in ("train", "test")
        }
    else:
        with (data / "fsdd" / "metadata.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        files = {
            part: [(data / "fsdd" / row["file"], row["label"]) for row in rows if row["split"] == part]
            for part in ("train", "test")
        }
    generator = np.random.default_rng(0)
    mixed = {part: [some[place] for place in generator.permutation(len(some))] for part, some in files.items()}
    learnt = mixed["train"][: SIZES["train"] + SIZES["validation"]]
    return {
        "train": learnt[: SIZES["train"]][:max_rows],
        "validation": learnt[SIZES["train"] :],
        "test": mixed["test"][: SIZES["test"]],
    }


def model_folder(kind: str) -> Path:
    """The pre-trained folder; of sounds one that is made from a seed."""
    if kind == "pictures":
        return shared_folder() / "weights" / "mobilenet_v2_hf"
    import json

    import torch
    import transformers

    folder = scratch_folder() / "wav2vec2-masked"
    if not (folder / "config.json").is_file():
        torch.manual_seed(0)
        config = transformers.Wav2Vec2Config(
            hidden_size=256,
            num_hidden_layers=6,
            num_attention_heads=4,
            intermediate_size=1024,
            conv_dim=(128,) * 7,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
        )
        transformers.Wav2Vec2Model(config).save_pretrained(folder)
        reads = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "do_normalize": True}
        (folder / "preprocessor_config.json").write_text(
            json.dumps({**reads, "feature_size": 1, "padding_value": 0.0, "return_attention_mask": True}), encoding="utf-8"
        )
    return folder


def run_trainer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The peer as its users write it: the task's own class, what is frozen frozen by name, Trainer's own collator."""
    phases = Phases()
    import numpy as np
    import torch
    from transformers import (
        AutoModelForAudioClassification,
        AutoModelForImageClassification,
        Trainer,
        default_data_collator,
        set_seed,
    )

    phases.end("imports")
    set_seed(settings["seed"])
    kind, parts = settings["kind"], load_files(settings["kind"], settings["rows"])
    labels = sorted({label for _, label in parts["train"]})
    number = {"num_labels": len(labels), "ignore_mismatched_sizes": True, "dtype": torch.float32}
    folder = model_folder(kind)
    if kind == "pictures":
        model = AutoModelForImageClassification.from_pretrained(folder, **number)
        layers = model.mobilenet_v2.layer
        frozen = [model.mobilenet_v2.conv_stem, *layers[: settings["frozen_blocks"] - 1]]
    else:
        model = AutoModelForAudioClassification.from_pretrained(folder, mask_time_prob=0.0, layerdrop=0.0, **number)
        net = model.wav2vec2
        frozen = [net.feature_extractor, net.feature_projection, net.encoder.pos_conv_embed]
        frozen += net.encoder.layers[: settings["frozen_blocks"]]
    for module in frozen:
        module.requires_grad_(False)
    encoded = {part: _encoded(kind, folder, rows, labels) for part, rows in parts.items()}
    collator = default_data_collator if kind == "pictures" else _pad
    trainer = Trainer(model=model, args=training_arguments(settings), train_dataset=encoded["train"], data_collator=collator)
    phases.end("load")
    trainer.train()
    phases.end("train")
    scores = {}
    for part in ("validation", "test"):
        said = trainer.predict(encoded[part])
        scores[part] = float((np.argmax(said.predictions, axis=-1) == said.label_ids).mean())
    phases.end("test")
    return {"validation_accuracy": scores["validation"], "test_accuracy": scores["test"], **phases.found()}


def _encoded(kind: str, folder: Path, rows: Sequence[tuple[Path, str]], labels: Sequence[str]) -> list[dict[str, Any]]:
    if kind == "pictures":
        from PIL import Image
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(folder)
        pixels = [processor(Image.open(path).convert("RGB"), return_tensors="pt")["pixel_values"][0] for path, _ in rows]
        return [{"pixel_values": item, "labels": labels.index(label)} for item, (_, label) in zip(pixels, rows, strict=True)]
    import soundfile
    import soxr
    from transformers import AutoFeatureExtractor

    extractor = AutoFeatureExtractor.from_pretrained(folder)
    encoded = []
    for path, label in rows:
        samples, rate = soundfile.read(path, dtype="float32")
        values = extractor(soxr.resample(samples, rate, 16000), sampling_rate=16000, return_tensors="pt")["input_values"][0]
        encoded.append({"input_values": values, "labels": labels.index(label)})
    return encoded


def _pad(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    import torch

    values = [row["input_values"] for row in rows]
    lengths = torch.tensor([len(row) for row in values])
    return {
        "input_values": torch.nn.utils.rnn.pad_sequence(values, batch_first=True),
        "attention_mask": (torch.arange(int(lengths.max()))[None, :] < lengths[:, None]).long(),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


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
    from luthier.tasks.image_classification import TASK
    from luthier.training.device import choose_precision
    from luthier.training.loop import Objective, Supervision, fit, predict_rows

    phases.end("imports")
    precision = choose_precision(settings["precision"], device="cpu").value
    model, rows_of_part, learnt = _bench(settings)
    phases.end("load")
    place = PassSettings(identity={}, root=scratch_folder() / "store", precision=precision, store_type=precision)
    boundary = settings["frozen_blocks"]
    inputs = rows_of_part("train", None).inputs
    store = compute_activations(model.backbone, inputs, place, boundary_rows={boundary: learnt}, observer=Quiet())[boundary]
    phases.end("fill")
    fitting = fit_settings(settings, precision)
    expected = rows_of_part("validation", None).targets
    done = fit(
        model,
        lambda boundary: (rows_of_part("train", store), rows_of_part("validation", store)),
        fitting,
        objective=Objective(
            loss=lambda outputs, targets: TASK.loss(outputs, targets),
            score=lambda outputs: {"accuracy": float((outputs.argmax(1) == expected).mean())},
            primary="accuracy",
        ),
        supervision=Supervision(observer=Quiet(), record=lambda event: None, stop=StopRequest()),
    )
    phases.end("train")
    test = rows_of_part("test", None)
    said = predict_rows(model, test, fitting)
    phases.end("test")
    return {
        "precision": precision,
        "epochs_run": done.epochs,
        "validation_accuracy": done.scores["accuracy"],
        "test_accuracy": float((said.argmax(1) == test.targets).mean()),
        **phases.found(),
    }


def _bench(settings: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """The network under a fresh head, what gives the rows of a part, and which rows are learnt from."""
    import numpy as np
    import torch

    from luthier.features.passes import to_device
    from luthier.models.heads import LinearHead
    from luthier.models.load import load_backbone
    from luthier.models.processors import load_processor
    from luthier.models.settings import ModelSettings
    from luthier.models.source import resolve_model
    from luthier.tasks.readings.audio import AUDIO
    from luthier.tasks.readings.image import IMAGE
    from luthier.training.data import TrainingRows
    from luthier.training.model import TunedModel

    kind, parts = settings["kind"], load_files(settings["kind"], settings["rows"])
    modality, reading = {"pictures": ("image", IMAGE), "sounds": ("audio", AUDIO)}[kind]
    source = resolve_model(ModelSettings(name=str(model_folder(kind))), modality=modality)
    files = [pair for part in parts.values() for pair in part]
    labels = sorted({label for _, label in parts["train"]})
    processor = load_processor(source.folder, modality)
    inputs = reading.encode([str(path) for path, _ in files], processor)
    targets = np.array([labels.index(label) for _, label in files])
    backbone = load_backbone(source)
    backbone.rehearse(to_device(inputs.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    model = TunedModel(backbone, LinearHead(backbone.width, len(labels), dropout=0.0, seed=settings["seed"]))
    if backbone.has_maps:
        model.to(memory_format=torch.channels_last)
    ends = np.cumsum([len(part) for part in parts.values()])
    places = dict(zip(parts, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))

    def rows_of_part(part: str, store: Any) -> Any:
        rows, padded = places[part], backbone.rehearsal.padded
        return TrainingRows(inputs=inputs, rows=rows, targets=targets[rows], store=store, is_padded=padded)

    return model, rows_of_part, np.concatenate([places["train"], places["validation"]])


def bars(measured: Measured) -> list[Bar]:
    """What is saved."""
    found = []
    for kind in KINDS:
        for name in (f"{kind}-ours-float32", f"{kind}-ours-default-precision"):
            whole = times(process_seconds(measured, f"{kind}-trainer"), process_seconds(measured, name))
            work = times(work_seconds(measured, f"{kind}-trainer"), work_seconds(measured, name))
            found += [
                at_least(f"CPU seconds of Trainer / of {name}", whole, BAR),
                at_least("the same without imports", work, None),
            ]
    return found


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return rows_of(measured, score="accuracy")


BENCHMARK = Benchmark(
    name="frozen_prefix_media",
    question="How much does it save to compute frozen blocks once, of pictures and of sounds?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="160 of 1,000 training files, 2 of 5 epochs: start-up and scoring weigh more, so ratios come out lower.",
    functions={"trainer": run_trainer, "ours": ours},
)

if __name__ == "__main__":
    main(BENCHMARK)

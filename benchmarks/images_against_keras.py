"""What does Keras's transfer-learning recipe cost, and what does ours? MobileNetV2, frozen, on cifar10_subset at 224 pixels.

The peer is the recipe of Keras's guides (a frozen base, global average pooling, a dense softmax head, adam, 10 epochs of
batches of 32) on the torch backend, which runs the frozen base again in every epoch. Its weights are random: they do not
change its timing. Pictures are decoded and resized once before its clock starts. Ours is the whole command, from files to
report, with its 1,500 test pictures, which the peer does not answer.
"""

import json
from collections.abc import Mapping
from typing import Any

from measuring import Phases, luthier_command, median_of, ratio, run_command, scratch_folder, shared_folder
from results import Bar, Benchmark, Case, Measured, Row, at_least, cost_row
from runner import main

NUM_EPOCHS = 10
SIZE = 224


def cases(quick: bool) -> list[Case]:
    """One epoch of the peer, ten epochs of it only when named by `--only keras-10-epochs`; our commands."""
    rows = 320 if quick else None
    ours = {"rows": rows, "seed": 0}
    found = [
        Case(name="keras", function="keras", settings={"rows": rows, "epochs": 1, "batch_size": 32}, is_peer=True),
        Case(name="luthier-probe", function="tune", settings={**ours, "flags": ["--method", "probe"]}),
    ]
    if quick:
        return found
    return [
        *found,
        Case(name="luthier", function="tune", settings={**ours, "flags": []}),
        Case(
            name="keras-10-epochs",
            function="keras",
            settings={"rows": rows, "epochs": NUM_EPOCHS, "batch_size": 32},
            is_peer=True,
            only_by_name=True,
        ),
    ]


def keras(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The guides' recipe."""
    phases = Phases()
    import keras as k
    import numpy as np

    phases.end("imports")
    pictures, labels = _load_pictures(settings["rows"])
    phases.end("decode")

    class Batches(k.utils.PyDataset):
        def __len__(self) -> int:
            return -(-len(pictures) // settings["batch_size"])

        def __getitem__(self, place: int) -> tuple[Any, Any]:
            chosen = slice(place * settings["batch_size"], (place + 1) * settings["batch_size"])
            return pictures[chosen].astype(np.float32), labels[chosen]

    base = k.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), include_top=False, weights=None)
    base.trainable = False
    inputs = k.Input((SIZE, SIZE, 3))
    hidden = base(k.applications.mobilenet_v2.preprocess_input(inputs), training=False)
    outputs = k.layers.Dense(10, activation="softmax")(k.layers.GlobalAveragePooling2D()(hidden))
    model = k.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(*Batches()[0])  # what the first step pays once must not be taken ten times
    phases.end("load")
    model.fit(Batches(), epochs=settings["epochs"], verbose=0)
    phases.end("train")
    return {"num_pictures": len(pictures), **phases.found()}


def _load_pictures(limit: int | None) -> tuple[Any, Any]:
    import numpy as np
    from PIL import Image

    folder = shared_folder() / "data" / "cifar10_subset" / "train"
    files = sorted(folder.glob("*/*.jpg"), key=lambda path: path.name)[:limit]
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    pictures = np.stack([np.asarray(Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.BILINEAR)) for file in files])
    return pictures, np.array([names.index(file.parent.name) for file in files])


def tune(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`luthier tune` as a user types it."""
    shared, run = shared_folder(), scratch_folder() / "run"
    command = [*luthier_command(), "tune", str(shared / "data" / "cifar10_subset"), "--out", str(run), "--quiet"]
    command += ["--model", str(shared / "weights" / "mobilenet_v2_hf"), "--threads", str(settings["threads"])]
    command += ["--seed", str(settings["seed"]), *settings["flags"]]
    command += [] if settings["rows"] is None else ["--max-rows", str(settings["rows"])]
    cost = run_command(command, permitted=(0, 3))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {
        "cpu_seconds": cost.cpu_seconds,
        "wall_seconds": cost.wall_seconds,
        "peak_bytes": cost.peak_bytes,
        "test_accuracy": metrics["test"]["tuned"]["accuracy"]["value"],
    }


def keras_seconds(measured: Measured) -> tuple[float | None, str]:
    """CPU seconds of ten epochs of the peer, decoding left out, and how they were come by."""
    if "keras-10-epochs" in measured:
        items = measured["keras-10-epochs"]
        return median_of(items, "cpu_seconds") - median_of(items, "phases_cpu.decode"), "ten epochs measured"
    if "keras" not in measured:
        return None, ""
    items = measured["keras"]
    start = median_of(items, "phases_cpu.imports") + median_of(items, "phases_cpu.load")
    return start + NUM_EPOCHS * median_of(
        items, "phases_cpu.train"
    ), "one epoch measured, taken ten times: each does the same work"


def bars(measured: Measured) -> list[Bar]:
    """The promise: the frozen model's way against the frozen model's way. The default, which also tunes it, is only told."""
    peer, note = keras_seconds(measured)
    found = []
    for name, bound in (("luthier-probe", 15.0), ("luthier", None)):
        if bound is None and name not in measured:
            continue
        value = ratio(peer, median_of(measured[name], "cpu_seconds")) if peer is not None and name in measured else None
        found.append(at_least(f"CPU seconds of Keras / of {name}", value, bound, note=note))
    return found


def rows(measured: Measured) -> list[Row]:
    """One row a case."""
    return [
        cost_row(
            name,
            items,
            **{
                "CPU s of 10 epochs": keras_seconds({name: items})[0] if name.startswith("keras") else None,
                "pictures per CPU s and epoch": _speed(items[-1]),
                "test": f"{items[-1]['test_accuracy']:.2%}" if "test_accuracy" in items[-1] else None,
            },
        )
        for name, items in measured.items()
    ]


def _speed(item: Mapping[str, Any]) -> float | None:
    if "phases_cpu" not in item:
        return None
    return float(item["num_pictures"] * item["settings"]["epochs"] / item["phases_cpu"]["train"])


BENCHMARK = Benchmark(
    name="images_against_keras",
    question="What does a classifier of 4,000 pictures on a frozen MobileNetV2 cost with Keras's recipe, and what with ours?",
    cases=cases,
    bars=bars,
    rows=rows,
    reductions="320 of 4,000 pictures, and not our default, which also tunes the network: ours still scores all 1,500 test "
    "pictures, so the ratio comes out much lower than on the full data.",
    functions={"keras": keras, "tune": tune},
)

if __name__ == "__main__":
    main(BENCHMARK)

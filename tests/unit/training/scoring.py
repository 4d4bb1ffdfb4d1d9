"""Scores a model of many labels on many rows, and tells what memory that took. Started by test_streaming.py.

What counts is anonymous memory (RssAnon of /proc/self/status, looked at every millisecond), which the system cannot take
back. Pages of mapped files are told beside it: the system has them on the disk and takes them back whenever it needs them.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from luthier.evaluation.per_class import class_scores
from luthier.evaluation.predictions import write_predictions
from luthier.evaluation.records import Predictions
from luthier.models.heads import LinearHead
from luthier.tasks import TASKS
from luthier.tasks.protocol import TaskState
from luthier.testing.backbones import tiny_backbone
from luthier.testing.fitting import SHORT_FIT
from luthier.testing.inputs import family_inputs
from luthier.training.course import Best
from luthier.training.data import TrainingRows
from luthier.training.ladder import scores_of
from luthier.training.loop import predict_rows
from luthier.training.model import TunedModel


class Peak:
    """The most memory there was while somebody looked, in bytes."""

    def __init__(self) -> None:
        self.anonymous, self.mapped = 0, 0

    def look(self) -> None:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        found = [int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile")]
        self.anonymous, self.mapped = max(self.anonymous, found[0]), max(self.mapped, found[1])


@contextmanager
def watched() -> Iterator[Peak]:
    peak, is_over = Peak(), threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            peak.look()
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def evaluate(model: TunedModel, num_rows: int, folder: Path) -> int:
    """What a run does with outputs: scored, kept as the best, scored again, written, looked at by label; returns their size."""
    labels = tuple(f"label-{place:04}" for place in range(model.head.linear.out_features))
    state, task = TaskState(task="text-classification", labels=labels), TASKS["text-classification"]
    targets = np.arange(num_rows) % len(labels)
    inputs = family_inputs("bert", num_rows=num_rows, seed=0)
    part = TrainingRows(
        inputs=inputs,
        rows=np.arange(num_rows),
        targets=targets,
        decode=lambda outputs, units: task.decode(outputs, inputs, units),
    )
    names = pa.array(labels)
    table = pa.table({"example_id": [f"rows:{row}" for row in range(num_rows)], "target": names.take(pa.array(targets))})

    def predictions() -> tuple[np.ndarray, Predictions]:
        decoded = predict_rows(model, part, SHORT_FIT)
        assert decoded is not None
        return decoded, task.predictions(table, decoded, state, {"target": "target"})

    outputs, said = predictions()
    best = Best(step=1, scores=scores_of(said, task.measures), outputs=outputs, weights={})
    again, said_again = predictions()
    assert scores_of(said_again, task.measures) == best.scores
    np.testing.assert_array_equal(again[-1000:], best.outputs[-1000:])
    write_predictions(folder / "predictions.parquet", said)
    assert len(class_scores(said)) == len(labels)
    return outputs.nbytes


def main() -> None:
    num_rows, num_labels, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    backbone = tiny_backbone("bert", seed=0)
    model = TunedModel(backbone, LinearHead(backbone.width, num_labels, dropout=0, seed=0))
    evaluate(model, 2000, folder)  # what is loaded on first use, and the size of a slice, are no matter of the number of rows
    before = Peak()
    before.look()
    with watched() as peak:
        size = evaluate(model, num_rows, folder)
    print(
        json.dumps(
            {
                "outputs": size,
                "anonymous": peak.anonymous - before.anonymous,
                "mapped": peak.mapped - before.mapped,
            }
        )
    )


if __name__ == "__main__":
    main()

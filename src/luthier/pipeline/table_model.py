"""The pre-trained part of a model of tables, which is made and not found: a small transformer, pre-trained on train.

It is kept in the cache under a digest of everything it is made from, so that a search, a resumed run and a repeated one find
what they would make. `--model FOLDER` takes one that an earlier run has tuned instead.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.environment import cache_folder
from luthier.core.names import count_of
from luthier.core.process import Cost, Stopwatch
from luthier.core.records import from_plain, to_json
from luthier.core.seeding import seed_for
from luthier.core.storage import atomic_folder, read_json, taking_turns, write_json
from luthier.errors import ModelError
from luthier.evaluation.display import format_seconds
from luthier.features.table_readers import cost_of_reading, with_readers
from luthier.models.own import OWN, WEIGHTS, save_own
from luthier.models.settings import TableSettings
from luthier.models.source import PretrainedFolder
from luthier.models.table_cells import NUM_BINS
from luthier.models.table_fit import fit_table
from luthier.models.table_network import MODEL_TYPE, TableShape, fresh_table_network, wrap_table_network
from luthier.models.table_processor import TableProcessor
from luthier.models.weights import digest_of
from luthier.pipeline.found import Found, Workplace
from luthier.pipeline.prepare import Prepared
from luthier.pipeline.table_columns import columns_decision, with_image_model, with_text_model
from luthier.pipeline.unlabelled import unlabelled_rows
from luthier.spec import TuneSpec
from luthier.tasks.protocol import TaskState
from luthier.tasks.readings.table import table_of
from luthier.tasks.row_task import COLUMNS
from luthier.tasks.table_inputs import TableInputs
from luthier.training.masked_columns import Pretrained, pretrain

if TYPE_CHECKING:
    import pyarrow as pa

MADE = "columns"  # what `--model` calls the network that is made in the run
RECORD = "pretraining.json"
METHOD_VERSION = 2  # of the pre-training: another one is never found under the same digest


@dataclass(frozen=True, kw_only=True)
class _Made:
    result: Pretrained
    cost: Cost
    schema_version: int = 1


def find_table_model(
    spec: TuneSpec,
    prepared: Prepared,
    table: "pa.Table",
    rows: Sequence[Any],
    *,
    train: Int[np.ndarray, " n"],
    state: TaskState,
    at: Workplace,
) -> Found:
    """Learn the columns from train, encode all rows, and make the network, or find the one that was made before.

    Args:
        table: The rows of all parts.
        rows: The same as the task reads them.
        train: Those of train.
        state: Of the task: names the columns.

    Raises:
        DataError: columns that cannot be read.
        ModelError: a model that does not read tables, or no text model.
    """
    torch.set_num_threads(at.threads)
    if spec.model.name not in (None, MADE):
        return _given(spec, rows, at)
    learnt = table.take(train)
    columns = [(str(name), str(kind)) for name, kind in state.values[COLUMNS]]
    off = {"text": spec.model.table.text_model == "off", "image": spec.model.table.image_model == "off"}
    columns = [(name, kind) for name, kind in columns if not off.get(kind)]
    content = fit_table(learnt, columns, scaling=spec.model.table.scaling)
    processor, of_texts = with_text_model(spec, TableProcessor(content), learnt, near=prepared.root, at=at)
    processor, of_images = with_image_model(spec, processor, near=prepared.root, at=at)
    inputs = TableInputs.build(processor.encode(table_of(rows)), processor.content)
    decisions = [columns_decision(processor.content), *of_texts, *of_images]
    known = np.setdiff1d(np.arange(table.num_rows), train)  # validation and test, which nothing is learnt from
    hidden, of_hidden = unlabelled_rows(spec, prepared, processor, held=inputs.keys[known])
    source, made, cost = _made(spec.model.table, processor, inputs.of(train), hidden, seed=spec.training.seed, at=at)
    cost = cost + cost_of_reading(processor)
    return Found(source=source, processor=processor, inputs=inputs, decisions=[*decisions, *of_hidden, made], cost=cost)


def precision_of_tables(asked: str) -> Decision[str]:
    """What a table's network computes in: float32, unless asked otherwise."""
    if asked != "auto":
        return Decision(name="precision", value=asked, reason="as asked")
    reason = "numbers of a table need their digits, and the network is small"
    return Decision(name="precision", value="float32", reason=reason, override="--precision")


def _given(spec: TuneSpec, rows: Sequence[Any], at: Workplace) -> Found:
    """The network of a folder that an earlier run has written, with what it knows of columns."""
    folder = Path(str(spec.model.name)).expanduser()
    if not (folder / OWN).is_file() and (folder / "model" / OWN).is_file():
        folder = folder / "model"
    if not (folder / OWN).is_file():
        raise ModelError(
            f"The model {spec.model.name} does not read tables: no folder of that name holds a network for them ({OWN}).",
            remedy="leave --model out: the network for a table is made from its rows; or have each row written as a sentence: "
            f"--task table-as-text-classification --model {spec.model.name}",
        )
    processor = with_readers(TableProcessor.load(folder), device=at.device, keeps=True, observer=at.observer)
    inputs = TableInputs.build(processor.encode(table_of(rows)), processor.content)
    name = Decision(name="name", value=folder.name, reason=f"the folder {spec.model.name}, as asked", override="--model NAME")
    source = _source(folder, name=str(spec.model.name), decisions=(name,), origin=f"tuned by an earlier run ({folder.name})")
    decided = [columns_decision(processor.content)]
    return Found(source=source, processor=processor, inputs=inputs, decisions=decided, cost=cost_of_reading(processor))


def _source(folder: Path, *, name: str, decisions: tuple[Decision[Any], ...], origin: str) -> PretrainedFolder:
    files = (folder / WEIGHTS,)
    return PretrainedFolder(
        name=name,
        folder=folder,
        config={},
        model_type=MODEL_TYPE,
        weights_files=files,
        weights_sha256=digest_of(files),
        decisions=decisions,
        origin=origin,
    )


def _made(
    settings: TableSettings,
    processor: TableProcessor,
    train: TableInputs,
    hidden: TableInputs | None,
    *,
    seed: int,
    at: Workplace,
) -> tuple[PretrainedFolder, Decision[Any], Cost]:
    """The pre-trained network, made now or found in the cache; what is to be said of it, and what making it cost."""
    content = processor.content
    learnt = train if hidden is None else train.with_rows_of(hidden)
    shape = TableShape(
        numbers=len(content.numbers),
        number_width=NUM_BINS + 1,
        categories=tuple(cell.size for cell in content.categories),
        texts=len(content.texts),
        text_width=content.text_model.width if content.text_model else 0,
        images=len(content.images),
        image_width=content.image_model.width if content.image_model else 0,
        width=settings.hidden_width,
        blocks=settings.blocks,
        heads=next(heads for heads in (4, 2, 1) if settings.hidden_width % heads == 0),
    )
    folder = cache_folder() / "tables" / _digest(processor, learnt, shape, settings, seed=seed, at=at)
    with taking_turns(folder.parent / f"{folder.name}.lock"):
        was_there = (folder / RECORD).is_file()
        if not was_there:
            _make(folder, processor, learnt, shape, settings.pretraining_epochs, seed=seed, at=at)
    made = from_plain(_Made, read_json(folder / RECORD))
    rows = count_of(made.result.rows + made.result.held_out, "row")
    without = " and of rows without answers" if hidden is not None else ""
    origin = f"made in this run: a transformer of {shape.blocks} blocks, pre-trained on {rows} of the training part{without}"
    if made.result.epochs == 0:
        origin = f"made in this run: a transformer of {shape.blocks} blocks with random weights, not pre-trained"
    source = _source(folder, name=MADE, decisions=(), origin=origin)
    count = 0 if hidden is None else len(hidden.keys)
    decision = _pretraining_decision(made, count, was_there=was_there, weights=source.weights_sha256)
    return source, decision, made.cost


def _make(
    folder: Path,
    processor: TableProcessor,
    learnt: TableInputs,
    shape: TableShape,
    epochs: int | None,
    *,
    seed: int,
    at: Workplace,
) -> None:
    watch = Stopwatch()
    network = fresh_table_network(shape, seed=seed_for(seed, "table network"))
    result = pretrain(network, learnt, epochs=epochs, seed=seed, device=at.device, observer=at.observer)
    with atomic_folder(folder) as temporary:
        save_own(wrap_table_network(network), temporary)
        TableProcessor(processor.content).save(temporary)
        write_json(temporary / RECORD, _Made(result=result, cost=watch.read()))


def _digest(
    processor: TableProcessor, learnt: TableInputs, shape: TableShape, settings: TableSettings, *, seed: int, at: Workplace
) -> str:
    """Of everything that decides the weights."""
    facts = {
        "method": METHOD_VERSION,
        "processor": processor.fingerprint(),
        "rows": hashlib.sha256(np.ascontiguousarray(learnt.keys).tobytes()).hexdigest(),
        "shape": asdict(shape),
        "epochs": settings.pretraining_epochs,
        "seed": seed,
        "device": at.device.partition(":")[0],
        "threads": at.threads,
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(json.loads(to_json(facts)), sort_keys=True).encode()).hexdigest()[:32]


def _pretraining_decision(made: _Made, hidden: int, *, was_there: bool, weights: str) -> Decision[Any]:
    result = made.result
    if result.epochs == 0:
        why = "as asked: the network starts from random weights"
    else:
        extra = f", {count_of(hidden, 'row')} without an answer among them" if hidden else ""
        found = (
            f"found in the cache; it took {format_seconds(made.cost.wall_seconds)}"
            if was_there
            else format_seconds(made.cost.wall_seconds)
        )
        why = (
            f"on {count_of(result.rows, 'row')} of train{extra} ({found}): of what hidden cells leave open, the other cells of "
            f"the row tell {result.explained:.0%} (rows held out)"
        )
    evidence = {
        "best_epoch": result.best_epoch,
        "explained": round(result.explained, 4),
        "rows": result.rows,
        "held_out": result.held_out,
        "seconds": round(made.cost.wall_seconds, 2),
        "weights_sha256": weights,
    }
    return Decision(
        name="pretraining_epochs", value=result.epochs, reason=why, evidence=evidence, override="--table-pretraining-epochs N"
    )

"""Choose the pre-trained model, the device and the precision; encode every row once."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.process import NO_COST, Cost
from luthier.core.progress import Observer
from luthier.core.seat import Seat, taken_seat
from luthier.data.dataset import EXAMPLE_ID, PARTS, Dataset
from luthier.data.mixture import MixedRows, Mixture
from luthier.data.targets import missing_targets
from luthier.errors import DataError, ModelError, SpecError, raise_together
from luthier.evaluation.costs import refuse_unfit_costs
from luthier.models.backbone import Backbone
from luthier.models.load import NETWORKS, choose_attention, load_backbone
from luthier.models.processors import (
    AudioProcessor,
    Processor,
    TextProcessor,
    choose_max_length,
    choose_max_seconds,
    load_processor,
)
from luthier.models.settings import HeadSettings, ModelSettings
from luthier.models.source import PretrainedFolder, own_network, resolve_model
from luthier.models.truncate import truncate
from luthier.package.folder import refuse_unsavable
from luthier.pipeline.contradictions import refuse_unfit_training
from luthier.pipeline.found import Found, Workplace
from luthier.pipeline.language import language_decisions, with_template
from luthier.pipeline.packing import PACKING
from luthier.pipeline.prepare import Prepared, read_columns
from luthier.pipeline.spoken import with_language
from luthier.pipeline.table_model import find_table_model, precision_of_tables
from luthier.spec import TuneSpec
from luthier.tasks.inputs import Inputs, units_of
from luthier.tasks.protocol import Companions, Contrastive, Task, TaskState, has_own_head, with_beams
from luthier.tasks.shaping import MakesViews, ShapesModel, Views, fit_state_for, prepare_backbone_for
from luthier.training.balance import describe_balance
from luthier.training.device import choose_device, choose_precision, choose_threads

if TYPE_CHECKING:
    import pyarrow as pa

MOST_NAMED = 5
OWN = "own-"  # what the key of a backbone of one's own begins with


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The model and the encoded data.

    Attributes:
        source: Where the model comes from.
        task: The kind of problem.
        table: The rows of all parts; row numbers below are its own.
        parts: Rows of train, validation and test.
        corpus: Rows that answers are found among, where a task searches.
        roles: Role -> column of the table.
        rows: Raw inputs (texts, paths, ...).
        inputs: Encoded inputs.
        targets: Of the units; label indices, -1 for labels that train does not have, or whatever the task trains on.
        threads: Of this machine; its processes share them.
        is_packed: Whether texts share rows of batches in training.
        made_cost: Of making the pre-trained network, where it is made in the run.
        augment: How far the views of inputs go that steps of training see.
        weights_key: What features computed by this backbone are found again by.
        mixture: Where several sources are mixed: which, and their weights.
    """

    task: Task
    source: PretrainedFolder
    backbone: Backbone
    processor: Processor
    state: TaskState
    table: "pa.Table"
    parts: Mapping[str, Int[np.ndarray, " n"]]
    rows: Sequence[Any]
    inputs: Inputs
    targets: np.ndarray
    device: str
    precision: str
    threads: int
    weights_key: str
    decisions: Sequence[Decision[Any]]
    is_packed: bool = False
    made_cost: Cost = NO_COST
    corpus: Int[np.ndarray, " c"] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    roles: Mapping[str, str] = field(default_factory=dict)
    mixture: Mixture | None = None
    augment: Literal["none", "light", "strong"] = "none"

    @cached_property
    def views(self) -> Views | None:
        """Other views of inputs for training, where such are asked for."""
        return (
            self.task.views(self.inputs, self.augment) if self.augment != "none" and isinstance(self.task, MakesViews) else None
        )

    @cached_property
    def companions(self) -> Companions | None:
        """Who comes into a batch with whom, where a loss is over whole batches."""
        if not isinstance(self.task, Contrastive):
            return None
        return self.task.companions(self.table, self.state, self.roles, self.inputs, corpus=self.corpus)

    def scored_units(self, part: str) -> Int[np.ndarray, " u"]:
        """What the answers to a part are made of: its units, and those of the corpus behind them."""
        return np.concatenate([self.units(part), units_of(self.inputs, self.corpus)])

    def mixed(self, units: Int[np.ndarray, " u"]) -> MixedRows | None:
        """The sources of some units, where several are mixed."""
        if self.mixture is None:
            return None
        return MixedRows(mixture=self.mixture, source_of=self.mixture.source_of(self.table)[self.inputs.row_of[units]])

    def units(self, part: str) -> Int[np.ndarray, " u"]:
        """The encoded inputs of a part, row by row."""
        return units_of(self.inputs, self.parts[part])

    @property
    def own_threads(self) -> int:
        """The threads of this process while the others on its machine work too."""
        return max(1, self.threads // taken_seat().local_count)


def choose_model(spec: TuneSpec, prepared: Prepared, *, backbone: Backbone | None, observer: Observer) -> Chosen:
    """Resolve, verify and load the model; fit the task's state; encode all rows.

    Raises:
        ModelError: no model, a refused one, or one that does not fit the task.
    """
    task = prepared.task
    refuse_unfit_training(spec, task)
    observer.stage("Choose")
    if backbone is not None:
        refuse_unsavable(backbone)
    seat = taken_seat()
    device = choose_device(spec.training.device, seat=seat)
    precision = choose_precision(spec.training.precision, device=device.value)
    threads = choose_threads(spec.training.threads, seat=seat)
    (table, parts, corpus), schema = scored_rows(prepared), prepared.dataset.schema
    state = fit_state_for(task, table.take(parts["train"]), schema, settings=spec.model)
    state = with_beams(task, state, spec.generation.num_beams)
    refuse_unfit_costs(spec.evaluation, state.labels)
    rows = task.rows(read_columns(table, schema), schema.roles)
    if task.modality == "table":
        at = Workplace(device=device.value, threads=threads.value, precision=precision.value, observer=observer)
        found = find_table_model(spec, prepared, table, rows, train=parts["train"], state=state, at=at)
        precision = precision_of_tables(spec.training.precision)
    else:
        found = _find(spec, prepared, rows, backbone, train=np.union1d(parts["train"], corpus), state=state)
    decisions = _told(observer, [*found.source.decisions, device, precision, threads, *state.decisions, *found.decisions])
    loaded, shortened = _load(spec.model, found, backbone, task=task, device=device.value)
    targets, train = task.targets(table, state, schema.roles, found.inputs), units_of(found.inputs, parts["train"])
    _tell_unknown(task, table, train, found.inputs, targets, observer=observer)
    last = [*shortened, *_head_decision(spec.model.head, loaded.width), *_balance_decision(spec, task, state, targets[train])]
    last += [*_seats_decision(seat), *language_decisions(spec, task, loaded, found, train, known=task.known(targets[train]))]
    return Chosen(
        task=task,
        source=found.source,
        backbone=loaded,
        processor=found.processor,
        state=state,
        table=table,
        parts=parts,
        rows=rows,
        inputs=found.inputs,
        targets=targets,
        device=device.value,
        precision=precision.value,
        threads=threads.value,
        weights_key=_weights_key(found.source, backbone, shortened),
        decisions=[*decisions, *_told(observer, last)],
        augment=spec.training.augment,
        is_packed=any(made.name == PACKING and made.value for made in last),
        made_cost=found.cost,
        corpus=corpus,
        roles=schema.roles,
        mixture=prepared.dataset.mixture,
    )


def _told(observer: Observer, decisions: Sequence[Decision[Any]]) -> Sequence[Decision[Any]]:
    for made in decisions:
        observer.decided(made)
    return decisions


def _find(
    spec: TuneSpec,
    prepared: Prepared,
    rows: Sequence[Any],
    backbone: Backbone | None,
    *,
    train: Int[np.ndarray, " n"],
    state: TaskState,
) -> Found:
    """The model that was asked for, or the default, and the rows as it reads them."""
    task = prepared.task
    source, processor = _origin(spec.model, task, backbone, near=prepared.root)
    processor, written = with_template(processor, task, spec.model.chat_template)
    processor, spoken = with_language(processor, task, source.folder, spec.generation.spoken_language)
    processor, fitted = _fit_length(processor, task, [rows[row] for row in train], spec.model)
    return Found(
        source=source, processor=processor, inputs=task.encode(rows, processor, state), decisions=[*written, *spoken, *fitted]
    )


def _origin(
    settings: ModelSettings, task: Task, backbone: Backbone | None, *, near: Path
) -> tuple[PretrainedFolder, Processor]:
    """Where the model comes from, and what prepares its input: a network of one's own may bring both.

    Raises:
        ModelError: nothing fits the name, or the network's own preprocessing is for something else than the data.
    """
    if backbone is None and settings.name is None and has_own_head(task):
        kind = NETWORKS[task.network]
        raise ModelError(
            f"{task.name} needs a model that gives tokens, and there is no default one.",
            remedy=f"--model ./folder, one that transformers' {kind} can load; or --model org/name, which allows its download",
        )
    if backbone is None or backbone.processor is None:
        source = resolve_model(settings, modality=task.modality, near=near)
        assert source.folder is not None
        return source, load_processor(source.folder, task.modality, kind=task.network)
    name, own = type(backbone.network).__name__, backbone.processor
    if settings.name is not None:
        raise SpecError(
            f"{name} brings its own preprocessing, and the model '{settings.name}' is named for it.",
            remedy="leave model out; or wrap_backbone without processor, to use that of the model named",
        )
    if own.kind != task.modality:
        raise ModelError(
            f"The preprocessing of {name} is for {own.kind}, the data are {task.modality}.",
            remedy="wrap_backbone(processor=...)",
        )
    return own_network(name), own


def _load(
    settings: ModelSettings, found: Found, backbone: Backbone | None, *, task: Task, device: str
) -> tuple[Backbone, list[Decision[Any]]]:
    """The backbone as the run uses it: pooled as asked, and with no more blocks than asked."""
    asked = settings.head.pooling
    pooling = None if asked == "auto" or asked == "attention" else asked
    if backbone is None:
        longest = found.processor.max_length if isinstance(found.processor, TextProcessor) else 1
        attention = choose_attention(device, longest)
        loaded = load_backbone(found.source, pooling=pooling, attention=attention, kind=task.network)
    else:
        loaded = copy.deepcopy(backbone)
        loaded.layout = replace(loaded.layout, pooling=pooling) if pooling else loaded.layout
    if settings.keep_blocks is None:
        return prepare_backbone_for(task, loaded, found.inputs), []
    all_blocks = loaded.num_blocks
    loaded = truncate(loaded, settings.keep_blocks)
    reason = f"as asked; the upper {all_blocks - loaded.num_blocks} of {all_blocks} blocks are left out"
    decision = Decision(name="keep_blocks", value=loaded.num_blocks, reason=reason, override="--keep-blocks K")
    return prepare_backbone_for(task, loaded, found.inputs), [decision]


def _balance_decision(spec: TuneSpec, task: Task, state: TaskState, targets: np.ndarray) -> list[Decision[Any]]:
    """What is done about labels of which there are few; nothing where examples have no labels."""
    return list(describe_balance(spec.training, targets, state.labels)) if task.has_classes else []


def _head_decision(head: HeadSettings, width: int) -> list[Decision[Any]]:
    """What becomes of a head that is not linear."""
    if head.is_linear:
        return []
    layers = f"{count_of(head.layers, 'layer')}, {head.width or width} wide, {head.activation}" if head.layers > 1 else "linear"
    value = f"{layers}; attention pooling" if head.pooling == "attention" else layers
    reason = "as asked; no probe can be fitted for it, so every rung starts from fresh weights, the first on frozen features"
    return [Decision(name="head", value=value, reason=reason, evidence=head.model_dump(), override="--head-layers 1")]


def _weights_key(source: PretrainedFolder, backbone: Backbone | None, shortened: Sequence[Decision[Any]]) -> str:
    """A network cut short is another one: nothing that was stored of the whole one may be found by it."""
    if backbone is not None:
        return f"{OWN}{uuid4().hex}"
    return source.weights_sha256 + "".join(f", first {made.value} blocks" for made in shortened)


def _seats_decision(seat: Seat) -> list[Decision[int]]:
    """How many processes share the work, for `--plan` and the records; nothing of one alone."""
    if seat.count == 1:
        return []
    where = "on this machine" if seat.is_on_one_machine else f"{seat.local_count} of them on this machine"
    reason = f"so many were launched, {where}; each computes its share of every step"
    return [Decision(name="processes", value=seat.count, reason=reason, evidence={"local_count": seat.local_count})]


def scored_rows(prepared: Prepared) -> tuple["pa.Table", dict[str, Int[np.ndarray, " n"]], Int[np.ndarray, " c"]]:
    """The rows of all parts, and of the corpus, as a table of their own, renumbered; what no model can be scored on stays out
    of all parts.

    Raises:
        DataError: nothing is left of a part.
    """
    dataset = prepared.dataset
    usable = ~missing_targets(dataset)
    for finding in prepared.findings:
        if finding.evidence.get("excluded_from_scoring"):
            usable[finding.rows] = False
    kept = {name: dataset.parts[name][usable[dataset.parts[name]]] for name in PARTS}
    raise_together([_nothing_left(dataset, name) for name in PARTS if not len(kept[name])])
    rows = np.unique(np.concatenate([*kept.values(), dataset.corpus]))
    parts = {name: np.searchsorted(rows, chosen) for name, chosen in kept.items()}
    return dataset.table.take(rows), parts, np.searchsorted(rows, dataset.corpus)


def _nothing_left(dataset: Dataset, part: str) -> DataError:
    count = count_of(len(dataset.parts[part]), "row")
    column = dataset.schema.roles["target"]
    return DataError(
        f"The {part} part of {dataset.name} has no row with an answer in '{column}' and an input that can be read "
        f"({count} in all).",
        remedy=f"give another file with --{part}, or leave it out: it is then cut from the rest (--split 80/10/10)",
    )


def _fit_length(
    processor: Processor, task: Task, rows: Sequence[Any], settings: ModelSettings
) -> tuple[Processor, list[Decision[Any]]]:
    """The longest input, in tokens or seconds: what the user said, or what fits the training rows. Or what the task fits."""
    if isinstance(task, ShapesModel):
        return task.fit_processor(rows, processor, settings)
    if isinstance(processor, AudioProcessor):
        longest = choose_max_seconds(task.count_tokens(rows, processor) / 1000, processor, asked=settings.max_seconds)
        return processor.for_seconds(longest.value), [longest]
    if not isinstance(processor, TextProcessor):
        return processor, []
    if settings.max_length is not None:
        limit = min(settings.max_length, processor.limit)
        said = "as asked" if limit == settings.max_length else f"asked for {settings.max_length}, which the model cannot take"
        return processor.with_max_length(limit), [Decision(name="max_length", value=limit, reason=said)]
    decision = choose_max_length(task.count_tokens(rows, processor), processor.limit, windows=task.reads_windows)
    return processor.with_max_length(decision.value), [decision]


def _tell_unknown(
    task: Task,
    table: "pa.Table",
    units: Int[np.ndarray, " u"],
    inputs: Inputs,
    targets: np.ndarray,
    *,
    observer: Observer,
) -> None:
    """Name the training rows that cannot be learnt from.

    Raises:
        DataError: that is all of them.
    """
    rows = np.unique(inputs.row_of[units[~task.known(targets[units])]])
    if not len(rows):
        return
    names = table.column(EXAMPLE_ID).take(rows[:MOST_NAMED]).to_pylist()
    shown = ", ".join(map(str, names)) + (", …" if len(rows) > MOST_NAMED else "")
    problem = f"{count_of(len(rows), 'training row')} cannot be learnt from: {task.unknown_means} ({shown})."
    if not task.known(targets[units]).any():
        raise DataError(problem, remedy="look at these rows; or name another column with --target")
    observer.note(problem, level="warning")


def sizes(parts: Mapping[str, Int[np.ndarray, " n"]]) -> str:
    """The sizes of the parts in words.

    Example:
        >>> sizes({"train": np.arange(8), "test": np.arange(1)})
        '8 rows to train, 1 row to test'
    """
    return ", ".join(
        f"{count_of(len(rows), 'row')} to {'validate' if name == 'validation' else name}" for name, rows in parts.items()
    )

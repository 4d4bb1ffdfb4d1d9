"""The first half of the story: load, understand, check, clean, split; and choose the model. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from luthier.core.decision import Decision
from luthier.core.names import all_of, count_of
from luthier.core.process import Stopwatch
from luthier.core.progress import Observer, Quiet
from luthier.core.seeding import generator_for
from luthier.data.checks import run_checks
from luthier.data.checks.near_duplicates import near_duplicate_keys
from luthier.data.clean import Removal, clean, stop_on_errors
from luthier.data.dataset import PARTS, Dataset
from luthier.data.findings import Finding
from luthier.data.infer import infer_schema
from luthier.data.keys import INPUT_ROLES, input_keys
from luthier.data.lists import split_cells
from luthier.data.load import load_source
from luthier.data.schema import FEATURES, Kind, Schema
from luthier.data.split import Split, parse_fractions, split
from luthier.errors import DataError, SpecError
from luthier.models.network_kind import network_kind_of
from luthier.pipeline.general import GeneralTexts, load_general, mix_in
from luthier.pipeline.plain_texts import as_own_target, as_text_settings, tells_texts
from luthier.pipeline.records import CheckResult
from luthier.spec import TuneSpec, refuse_search
from luthier.tasks import choose_task, suited_task
from luthier.tasks.protocol import Searching, Task


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A source that has been read and understood."""

    dataset: Dataset
    decisions: Sequence[Decision[Any]]
    findings: Sequence[Finding]
    root: Path


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data ready to be learnt from.

    Attributes:
        dataset: Checked, cleaned and split; the table holds every row that was read.
        removals: What cleaning took.
        general: Texts that tell what is forgotten, where there are any.
    """

    dataset: Dataset
    task: Task
    split: Split
    decisions: Sequence[Decision[Any]]
    findings: Sequence[Finding]
    removals: Sequence[Removal]
    root: Path
    general: GeneralTexts | None = None


def load(spec: TuneSpec, *, require_target: bool = True) -> Loaded:
    """Read the sources and infer what their columns are."""
    refuse_search(spec)
    texts_only = tells_texts(spec.task)
    source = load_source(spec.sources, spec.data, documents=texts_only)
    settings = as_text_settings(spec.data) if texts_only else spec.data
    schema, decisions = infer_schema(
        source.table, settings, name=source.name, require_target=require_target and not texts_only, given=source.roles
    )
    if texts_only:
        schema, decisions = as_own_target(schema, decisions, name=source.name)
    dataset = Dataset(
        name=source.name,
        table=source.table,
        schema=schema,
        parts=source.parts,
        files=source.files,
        in_order=spec.data.in_order,
        corpus=source.corpus,
        mixture=source.mixture,
    )
    if spec.data.label_delimiter is not None:
        dataset = with_label_lists(dataset, spec.data.label_delimiter)
    dataset, sampled = _sample(dataset, spec)
    return Loaded(
        dataset=dataset, decisions=[*source.decisions, *decisions, *sampled], findings=source.findings, root=source.root
    )


def with_label_lists(dataset: Dataset, delimiter: str) -> Dataset:
    """The target's cells as lists of labels, where a delimiter stands between these.

    Raises:
        SpecError: no cell holds the delimiter.
    """
    name = dataset.schema.roles.get("target")
    if name is None:
        return dataset
    column = dataset.table.column(name).cast(pa.string())
    if not any(delimiter in cell for cell in column.drop_null().to_pylist()):
        example = next(iter(column.drop_null().to_pylist()), "")
        problem = f"--label-delimiter is '{delimiter}', which no cell of '{name}' holds; the first is '{example[:60]}'."
        raise SpecError(problem, remedy="leave --label-delimiter out, or name what stands between the labels")
    table = dataset.table.set_column(dataset.table.column_names.index(name), name, split_cells(column, delimiter))
    columns = tuple(replace(item, kind=Kind.LIST) if item.name == name else item for item in dataset.schema.columns)
    return replace(dataset, table=table, schema=replace(dataset.schema, columns=columns))


def check(spec: TuneSpec, *, fast: bool = False, observer: Observer | None = None) -> CheckResult:
    """Look at data without a model; nothing is changed."""
    watch, observer = Stopwatch(), observer or Quiet()
    loaded = load(spec, require_target=False)
    task = _task_of(loaded.dataset, spec)
    dataset = _as_read(loaded.dataset, task)
    findings = [*loaded.findings, *run_checks(dataset, spec.data, fast=fast), *(task.check(dataset) if task else [])]
    return CheckResult(
        name=dataset.name,
        num_rows=dataset.table.num_rows,
        columns=dataset.schema.columns,
        roles=dataset.schema.roles,
        parts={name: len(rows) for name, rows in dataset.parts.items()},
        decisions=loaded.decisions,
        findings=findings,
        seconds=watch.read().wall_seconds,
    )


def _task_of(dataset: Dataset, spec: TuneSpec) -> Task | None:
    """The kind of problem, where the columns tell; data are also looked at before anybody knows what is asked of them."""
    try:
        return _choose(dataset, spec)[0]
    except DataError:
        return None


def prepare(spec: TuneSpec, *, observer: Observer) -> Prepared:
    """Load, understand, check, clean, split.

    Raises:
        DataError: the data cannot be used; all problems together.
    """
    observer.stage("Load", ", ".join(spec.sources))
    loaded = load(spec)
    dataset = loaded.dataset
    observer.note(f"{count_of(dataset.table.num_rows, 'row')}, {count_of(len(dataset.schema.columns), 'column')}")
    task, chosen = _choose(dataset, spec)
    task, suited = suited_task(task, dataset)
    dataset = _as_read(dataset, task)
    understood = [*loaded.decisions, chosen, *suited]
    for decision in understood:
        observer.decided(decision)

    observer.stage("Check")
    findings = [*loaded.findings, *run_checks(dataset, spec.data), *task.check(dataset)]
    for finding in (finding for finding in findings if finding.severity != "error"):
        observer.note(_line(finding), level=finding.severity)
    stop_on_errors(findings)
    cleaned = clean(dataset, findings)
    cleaned = replace(cleaned, dataset=_without(cleaned.dataset, cleaned.dropped_columns))
    features = _features_decision(cleaned.dataset, spec)
    for decision in features:
        observer.decided(decision)

    observer.stage("Split")
    keys = near_duplicate_keys(cleaned.dataset) if "text" in dataset.schema.roles else input_keys(cleaned.dataset)
    made = split(cleaned.dataset, fractions=parse_fractions(spec.data.split), seed=spec.training.seed, keys=keys)
    decision = Decision(
        name="split",
        value={name: len(made.parts[name]) for name in PARTS},
        reason=made.reason,
        evidence={"method": made.method, "seed": made.seed},
        override="" if made.method == "given" else "--split 80/10/10",
    )
    general, found = load_general(spec, cleaned.dataset)
    parted = [decision, *_mixture_decision(cleaned.dataset, made.parts["train"]), *found]
    whole, made, mixed = mix_in(spec, cleaned.dataset, made, general)
    parted += mixed
    for told in parted:
        observer.decided(told)
    return Prepared(
        dataset=task.arrange(whole) if isinstance(task, Searching) else whole,
        task=task,
        split=made,
        decisions=[*understood, *features, *parted],
        findings=[*findings, *made.findings],
        removals=cleaned.removals,
        root=loaded.root,
        general=general,
    )


def _choose(dataset: Dataset, spec: TuneSpec) -> tuple[Task, Decision[str]]:
    """The task; whoever names the text or the picture and no other features asks about that."""
    schema = dataset.schema
    names_input = spec.data.text is not None or spec.data.image is not None
    if spec.task == "auto" and names_input and not spec.data.features:
        schema = replace(schema, features=())
    return choose_task(schema, name=spec.task, network=network_kind_of(spec.model.name))


def _mixture_decision(dataset: Dataset, train: np.ndarray) -> list[Decision[Any]]:
    """What mixing sources means for train; nothing where there is one source."""
    mixture = dataset.mixture
    if mixture is None:
        return []
    source_of = mixture.source_of(dataset.table.take(train))
    places, counts = np.unique(source_of, return_counts=True)
    names = [mixture.names[place] for place in places]
    shares = dict(zip(names, mixture.shares(source_of).round(4).tolist(), strict=True))
    rows = dict(zip(names, counts.tolist(), strict=True))
    told = ", ".join(f"{name} {shares[name]:.0%} of the draws, {rows[name] / len(source_of):.0%} of the rows" for name in names)
    reason = f"as asked: {told}; rows are scored as they are"
    override = "FILE:WEIGHT for each source"
    return [Decision(name="mixture", value=shares, reason=reason, evidence={"rows": rows}, override=override)]


def _as_read(dataset: Dataset, task: Task | None) -> Dataset:
    """A data set whose schema says what the target holds for its task, and names only the inputs and features that it reads."""
    features = dataset.schema.features if task and FEATURES in task.roles else ()
    if task and task.modality == "text":  # a sentence tells the name of a picture, and nothing of what it shows
        features = tuple(name for name in features if dataset.schema.kind_of(name) is not Kind.IMAGE)
    roles = dict(dataset.schema.roles)
    if task and FEATURES not in task.roles:
        unread = set(INPUT_ROLES) - {*task.roles, *task.optional_roles}
        roles = {role: column for role, column in roles.items() if role not in unread}
    schema = replace(dataset.schema, roles=roles, features=features, answer_kind=task.answer_kind if task else "")
    return replace(dataset, schema=schema)


def _without(dataset: Dataset, dropped: Sequence[str]) -> Dataset:
    """The same without features that cleaning has found to be useless, or to give the answer away.

    Raises:
        DataError: none is left.
    """
    features = tuple(name for name in dataset.schema.features if name not in dropped)
    if dataset.schema.features and not features:
        raise DataError(
            f"No column of {dataset.name} is left to learn from: {all_of([repr(name) for name in dataset.schema.features])} "
            "say nothing, or give the answer away.",
            remedy=f"--features {dataset.schema.features[0]}, if it is known when the model is used",
        )
    return replace(dataset, schema=replace(dataset.schema, features=features))


def _features_decision(dataset: Dataset, spec: TuneSpec) -> list[Decision[Any]]:
    """Which columns the model reads, and why the others are not among them."""
    schema = dataset.schema
    if not schema.features:
        return []
    roles = {column: f"it is the {role}" for role, column in schema.roles.items()}
    others = {
        column.name: roles.get(column.name, "ignored" if column.name in spec.data.ignore else f"{column.kind}")
        for column in schema.columns
        if column.name not in schema.features
    }
    reason = "as asked" if spec.data.features else "all columns that play no other part and hold something to learn from"
    evidence = {"kinds": {name: schema.kind_of(name).value for name in schema.features}, "not_read": others}
    return [
        Decision(
            name=FEATURES, value=list(schema.features), reason=reason, evidence=evidence, override="--features COLUMN (repeat)"
        )
    ]


def read_columns(table: pa.Table, schema: Schema) -> pa.Table:
    """A table of nothing but the features, where a task reads these; else the table."""
    return table.select(list(schema.features)) if schema.features else table


def _line(finding: Finding) -> str:
    where = f"{finding.part}: " if finding.part else ""
    return f"{where}{finding.problem}" + ("" if finding.by_default or not finding.remedy else f" Try: {finding.remedy}")


def _sample(dataset: Dataset, spec: TuneSpec) -> tuple[Dataset, list[Decision[Any]]]:
    """At most `max_rows` rows of each part that is learnt from; a given test part stays whole."""
    limit = spec.data.max_rows
    if limit is None or dataset.table.num_rows <= limit:
        return dataset, []
    parts = dict(dataset.parts)
    for name in ("all", "train"):
        if name in parts and len(parts[name]) > limit:
            chosen = generator_for(spec.training.seed, f"max_rows/{name}").choice(parts[name], limit, replace=False)
            parts[name] = np.sort(chosen)
    decision = Decision(name="max_rows", value=limit, reason="as asked; drawn at random with the seed")
    return replace(dataset, parts=parts), [decision]

"""Texts of no domain in particular: some are mixed into training so that less is forgotten, others tell what was."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.seeding import generator_for
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.infer import infer_schema
from luthier.data.keys import input_keys, missing_inputs
from luthier.data.load import load_source
from luthier.data.settings import DataSettings
from luthier.data.split import Split
from luthier.errors import DataError, SpecError, raise_together
from luthier.pipeline.plain_texts import as_own_target, tells_texts
from luthier.spec import TuneSpec

MOST_SCORED = 1_000
SCORED_FRACTION = 0.2  # where others are mixed into training


@dataclass(frozen=True, kw_only=True)
class GeneralTexts:
    """Texts of no domain in particular, none of them among the domain's.

    Attributes:
        name: What messages call them.
        scored: `example_id` and text of those that measure.
        mixed: Of those that may be mixed into training.
    """

    name: str
    scored: pa.Table
    mixed: pa.Table


def refuse_lonely_general(spec: TuneSpec) -> None:
    """Raise SpecError for general texts where no texts are told, and for what is said of them where there are none."""
    given = {
        "--general": spec.data.general is not None,
        "--general-text": spec.data.general_text is not None,
        "--general-share": spec.data.general_share > 0,
    }
    problems = []
    for flag in (flag for flag, is_given in given.items() if is_given):
        if not tells_texts(spec.task):
            problem = f"{flag} is for models that are adapted to texts, and the task is {spec.task}."
            problems.append(SpecError(problem, remedy=f"luthier adapt, or leave {flag} out"))
        elif spec.data.general is None:
            problems.append(SpecError(f"{flag} is given, and no general texts.", remedy=f"--general FILE {flag} VALUE"))
    raise_together(problems)


def load_general(spec: TuneSpec, dataset: Dataset) -> tuple[GeneralTexts | None, list[Decision[Any]]]:
    """Read the general texts; those that also stand in the data are left out.

    Raises:
        DataError: they cannot be read, or none is left.
    """
    if not tells_texts(spec.task):
        return None, []
    if spec.data.general is None:
        reason = "no general texts were given, so that nothing tells what the model forgets"
        return None, [Decision(name="general", value=None, reason=reason, override="--general FILE")]
    settings = DataSettings(text=spec.data.general_text)
    source = load_source([spec.data.general], settings, documents=True)
    schema, decided = infer_schema(source.table, settings, name=source.name, require_target=False, given=source.roles)
    schema, _ = as_own_target(schema, decided, name=source.name)
    rows = np.sort(np.concatenate(list(source.parts.values())))
    general = Dataset(name=source.name, table=source.table.take(rows), schema=schema, parts={"all": np.arange(len(rows))})
    usable = _usable(general, dataset)
    if not len(usable):
        raise DataError(
            f"All {count_of(len(rows), 'text')} of {spec.data.general} are empty, or stand in {dataset.name} too.",
            remedy="--general FILE, with texts of another kind",
        )
    return _shared_out(spec, general, usable)


def _usable(general: Dataset, dataset: Dataset) -> np.ndarray:
    """The rows of general texts that say something, each once, and none that stands in the data."""
    keys = input_keys(general)
    _, first = np.unique(keys, return_index=True)
    fine = ~missing_inputs(general) & ~np.isin(keys, input_keys(dataset))
    return np.asarray(np.intersect1d(first, np.flatnonzero(fine)))


def _shared_out(spec: TuneSpec, general: Dataset, usable: np.ndarray) -> tuple[GeneralTexts, list[Decision[Any]]]:
    """Some measure, others may be mixed in; which is drawn with the seed."""
    share = spec.data.general_share
    drawn = generator_for(spec.training.seed, "general").permutation(usable)
    most = max(1, round(SCORED_FRACTION * len(drawn))) if share else len(drawn)
    scored, mixed = np.split(drawn, [min(most, MOST_SCORED)])
    texts = pa.table({EXAMPLE_ID: general.table.column(EXAMPLE_ID), "text": general.column("text").cast(pa.string())})
    made = GeneralTexts(
        name=general.name, scored=texts.take(np.sort(scored)), mixed=texts.take(mixed) if share else texts.slice(0, 0)
    )
    left = general.table.num_rows - len(usable)
    reason = f"{count_of(len(scored), 'text')} of {general.name} tell what is forgotten"
    reason += f"; {left:,} are empty, repeated, or among the data" if left else ""
    evidence = {"texts": general.table.num_rows, "scored": len(scored), "left_out": left}
    return made, [Decision(name="general", value=str(spec.data.general), reason=reason, evidence=evidence)]


def mix_in(
    spec: TuneSpec, dataset: Dataset, made: Split, general: GeneralTexts | None
) -> tuple[Dataset, Split, list[Decision[Any]]]:
    """General texts among those that are learnt from, as many as make the share asked for, in characters."""
    share = spec.data.general_share
    if general is None or not share:
        return dataset.with_parts(made.parts), made, []
    column, train = dataset.schema.roles["text"], made.parts["train"]
    own = sum(len(text or "") for text in dataset.column("text").take(train).to_pylist())
    sizes = np.cumsum([len(text) for text in general.mixed.column("text").to_pylist()])
    wanted = share / (1 - share) * own
    number = min(int(np.searchsorted(sizes, wanted)) + 1, len(sizes)) if len(sizes) else 0
    taken = general.mixed.slice(0, number)
    reached = int(sizes[number - 1]) / (own + int(sizes[number - 1])) if number else 0.0
    ids = pa.array([f"general:{name}" for name in taken.column(EXAMPLE_ID).to_pylist()], pa.string())
    kind = dataset.table.schema.field(column).type
    more = pa.table({EXAMPLE_ID: ids, column: taken.column("text").cast(kind)})
    table = pa.concat_tables([dataset.table, more], promote_options="default").combine_chunks()
    parts = {**made.parts, "train": np.append(train, np.arange(dataset.table.num_rows, table.num_rows))}
    schema = replace(dataset.schema, num_rows=table.num_rows)
    short = "" if number < len(sizes) or reached >= share else ", which are all that there are"
    decision = Decision(
        name="general_share",
        value=round(reached, 3),
        reason=f"{count_of(number, 'general text')} among those to be learnt from{short}: {reached:.0%} of their characters",
        evidence={"texts": number, "asked": share},
        override="--general-share SHARE",
    )
    return replace(dataset, table=table, schema=schema, parts=parts), replace(made, parts=parts), [decision]

"""What occurs in more than one given part: equal inputs, and values of the group column."""

import numpy as np

from luthier.core.names import count_of
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset
from luthier.data.findings import Action, Finding
from luthier.data.keys import INPUT_ROLES, input_keys, missing_cells
from luthier.data.wording import name_rows, share_of

NAME = "overlap"
# (the part that must stay honest, the part that gives way)
PAIRS = (("test", "train"), ("test", "validation"), ("validation", "train"))


def check_overlap(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Inputs that two given parts share; by default the rows of train and validation give way, never those of test."""
    findings: list[Finding] = []
    for held, source in PAIRS:
        if held in dataset.parts and source in dataset.parts:
            findings += _shared_inputs(dataset, held, source=source)
            findings += _shared_groups(dataset, held, source=source)
    return findings


def _shared_inputs(dataset: Dataset, held: str, *, source: str) -> list[Finding]:
    keys = input_keys(dataset)
    held_rows, source_rows = dataset.parts[held], dataset.parts[source]
    common = np.intersect1d(keys[held_rows], keys[source_rows])
    common = common[common != 0]
    if not len(common):
        return []
    shown = held_rows[np.isin(keys[held_rows], common)]
    verb = "occurs" if len(shown) == 1 else "occur"
    dropped = source_rows[np.isin(keys[source_rows], common)]
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{share_of(len(shown), len(held_rows), noun=f'{held} rows')} also {verb} in {source} "
            f"after folding case and spaces; the {held} score would be too good. {name_rows(dataset, shown)}",
            remedy=f"`--overlap drop` (leaves out {count_of(len(dropped), 'row')} of {source}), or `--group COLUMN`",
            count=len(shown),
            rows=dropped,
            part=source,
            action=Action(kind="drop_rows", rows=dropped),
            by_default=True,
            evidence={"held": held, "source": source, "held_rows": len(shown), "source_rows": len(dropped)},
        )
    ]


def _shared_groups(dataset: Dataset, held: str, *, source: str) -> list[Finding]:
    import pyarrow.compute as pc

    if "group" not in dataset.schema.roles:
        return []
    column = dataset.column("group")
    held_rows, source_rows = dataset.parts[held], dataset.parts[source]
    shared = pc.is_in(column.take(held_rows), value_set=column.take(source_rows).unique())
    rows = held_rows[np.asarray(shared.to_numpy(), dtype=bool) & ~missing_cells(column)[held_rows]]
    if not len(rows):
        return []
    name = dataset.schema.roles["group"]
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{share_of(len(rows), len(held_rows), noun=f'{held} rows')} {'has' if len(rows) == 1 else 'have'} "
            f"a '{name}' that also occurs in {source}; the {held} score may be too good for new values of '{name}'. "
            f"{name_rows(dataset, rows)}",
            remedy=f"give one file only and let `--group {name} --split 80/10/10` make the parts",
            count=len(rows),
            rows=rows,
            part=held,
        )
    ]


CHECK = Check(name=NAME, about="Rows that occur in more than one given part", find=check_overlap, roles=(*INPUT_ROLES, "group"))

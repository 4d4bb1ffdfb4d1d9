"""What can be wrong with pairs of texts: rows are named, and left out where nothing can be learnt from them."""

from collections.abc import Iterator

import numpy as np

from luthier.data.dataset import Dataset
from luthier.data.findings import Finding
from luthier.data.keys import missing_cells, normalize_text
from luthier.data.text_pairs import accepted_of, source_of
from luthier.tasks.fault_findings import Fault, fault_findings

NAME = "pairs"
LEAST_CHARACTERS = 20  # of the longer side, before lengths say anything
MOST_TIMES = 12  # as long is the target at most, compared with its source

FAULTS = {
    "no_source": Fault(what="no source: there is nothing to write from", remedy="fill the source in, or remove the row"),
    "no_target": Fault(
        what="a target without a text in it", remedy='write the text itself, or a list of right texts: ["Hola."]'
    ),
    "no_letters": Fault(
        what="a target without a letter or a digit", remedy="look at these rows; --ignore does not help, remove what is no text"
    ),
    "far_longer": Fault(
        what=f"a target more than {MOST_TIMES} times as long as its source: they hardly belong together",
        remedy="look at these rows: a shifted column or a broken line makes such pairs",
    ),
    "same": Fault(
        what="a target that is the source itself",
        remedy="nothing to do, if copies are right; else remove them: a model learns to copy from them",
        harmless=True,
    ),
}


def check_pairs(dataset: Dataset) -> list[Finding]:
    """Findings about the rows that have a target; one for each kind of fault and part."""
    found: dict[str, dict[int, str]] = {}
    there = np.flatnonzero(~missing_cells(dataset.column("target")))
    sources = dataset.column("text").take(there).to_pylist()
    targets = dataset.column("target").take(there).to_pylist()
    for row, source, target in zip(there.tolist(), sources, targets, strict=True):
        for name, example in _faults(source_of(source), accepted_of(target)):
            found.setdefault(name, {}).setdefault(row, example)
    return fault_findings(dataset, NAME, FAULTS, found)


def _faults(source: str, accepted: list[str]) -> Iterator[tuple[str, str]]:
    if not source:
        yield "no_source", ""
    elif not accepted:
        yield "no_target", ""
    elif not any(sign.isalnum() for sign in accepted[0]):
        yield "no_letters", f"'{accepted[0]}'"
    elif len(accepted[0]) > max(LEAST_CHARACTERS, MOST_TIMES * len(source)):
        yield "far_longer", f"{len(source)} and {len(accepted[0])} characters"
    elif any(sign.isalpha() for sign in source) and normalize_text(source) == normalize_text(accepted[0]):
        yield "same", f"'{source}'"

"""The labels: one class only, classes of one row, imbalance, labels that train does not know, spellings of one label."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from luthier.core.names import count_of, nearest_name
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import Labels, has_labels, input_keys, label_codes, normalize_text
from luthier.data.schema import Kind
from luthier.data.wording import name_rows, percent, share_of

NAME = "classes"
IMBALANCE_RATIO = 20.0
_SHOWN = 3

Counts = Int[np.ndarray, " C"]


def check_classes(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """What is wrong with the set of labels as such, judged on the rows there are to learn from."""
    if not has_labels(dataset):
        return []
    part = "all" if "all" in dataset.parts else "train"
    rows = dataset.parts.get(part)
    labels = label_codes(dataset)
    if rows is None or not len(rows) or not (labels.codes[rows] >= 0).any():
        return []
    counts = np.bincount(labels.codes[rows][labels.codes[rows] >= 0], minlength=len(labels.names))
    single = _one_class(dataset, labels, counts=counts, part=part)
    if single:
        return single
    return [
        *_rare(dataset, labels, rows=rows, part=part),
        *_imbalance(labels, counts, part=part),
        *_unseen(dataset, labels, counts=counts),
        *_spellings(dataset, labels),
    ]


def _one_class(dataset: Dataset, labels: Labels, *, counts: Counts, part: str) -> list[Finding]:
    present = np.flatnonzero(counts)
    if len(present) != 1:
        return []
    column, name = dataset.schema.roles["target"], labels.names[present[0]]
    where = dataset.name if part == "all" else f"{part} of {dataset.name}"
    return [
        Finding(
            check=NAME,
            severity="error",
            problem=f"All {counts[present[0]]:,} labelled rows of {where} have the label '{name}' in column '{column}'; "
            "a classifier needs at least two classes.",
            remedy="add rows of another class, or name another column with --target",
            count=int(counts[present[0]]),
            part=part,
        )
    ]


def _rare(dataset: Dataset, labels: Labels, *, rows: Rows, part: str) -> list[Finding]:
    """Classes of one or two distinct inputs: repeats of one row are one row to a split."""
    distinct = _distinct_inputs(dataset, labels, rows=rows)
    findings = []
    if (distinct == 1).any():
        findings.append(
            _alone(dataset, labels, rows=rows[np.isin(labels.codes[rows], np.flatnonzero(distinct == 1))], part=part)
        )
    if part == "all" and (distinct == 2).any():
        few = np.flatnonzero(distinct == 2)
        findings.append(
            Finding(
                check=NAME,
                severity="warning",
                problem=f"{count_of(len(few), 'class', 'classes')} {'has' if len(few) == 1 else 'have'} two distinct rows "
                f"({_names(labels, few)}); a made split cannot put them in train, validation and test alike.",
                remedy="add rows of these classes, or merge them into others",
                count=len(few),
                part=part,
            )
        )
    return findings


def _distinct_inputs(dataset: Dataset, labels: Labels, *, rows: Rows) -> Counts:
    keys, codes = input_keys(dataset)[rows], labels.codes[rows]
    if not (keys != 0).any():
        return np.bincount(codes[codes >= 0], minlength=len(labels.names))
    usable = (keys != 0) & (codes >= 0)
    keys, codes = keys[usable], codes[usable]
    order = np.lexsort((keys, codes))
    keys, codes = keys[order], codes[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (keys[1:] != keys[:-1]) | (codes[1:] != codes[:-1])
    return np.bincount(codes[new], minlength=len(labels.names))


def _alone(dataset: Dataset, labels: Labels, *, rows: Rows, part: str) -> Finding:
    classes = np.unique(labels.codes[rows])
    return Finding(
        check=NAME,
        severity="error",
        problem=f"{count_of(len(classes), 'class', 'classes')} {'has' if len(classes) == 1 else 'have'} one distinct row only "
        f"({_names(labels, classes)}): it can be learnt from or scored, not both. {name_rows(dataset, rows)}",
        remedy="add rows, or `--rare-classes drop` (leaves these classes out), or `--rare-classes keep` (they train, unscored)"
        + _as_numbers(dataset),
        count=len(classes),
        rows=rows,
        part=part,
        action=Action(kind="drop_rows", rows=rows),
        evidence={"classes": [labels.names[code] for code in classes]},
    )


def _as_numbers(dataset: Dataset) -> str:
    """Labels that are numbers may have been meant as such."""
    roles = dataset.schema.roles
    if dataset.schema.kind_of(roles["target"]) is not Kind.NUMBER:
        return ""
    reads = "image" if "image" in roles else "text-pair" if "text_pair" in roles else "text"
    return f", or `--task {reads}-regression` (predicts numbers)"


def _imbalance(labels: Labels, counts: Counts, *, part: str) -> list[Finding]:
    present = np.flatnonzero(counts)
    largest, smallest = present[np.argmax(counts[present])], present[np.argmin(counts[present])]
    ratio = counts[largest] / counts[smallest]
    if ratio < IMBALANCE_RATIO:
        return []
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"The largest class '{labels.names[largest]}' has {count_of(int(counts[largest]), 'row')} "
            f"({percent(counts[largest] / counts.sum())}), the smallest '{labels.names[smallest]}' {counts[smallest]:,}: "
            f"{ratio:,.0f} to 1. Accuracy would hide the small classes.",
            remedy="read macro-F1 and the table of classes beside accuracy; add rows of the small classes",
            count=int((counts[present] * IMBALANCE_RATIO <= counts[largest]).sum()),
            part=part,
            evidence={"ratio": float(ratio), "largest": labels.names[largest], "smallest": labels.names[smallest]},
        )
    ]


def _unseen(dataset: Dataset, labels: Labels, *, counts: Counts) -> list[Finding]:
    findings = []
    for part in ("validation", "test"):
        rows = dataset.parts.get(part)
        if rows is None:
            continue
        codes = labels.codes[rows]
        strange = rows[(codes >= 0) & (counts[codes] == 0)]
        if len(strange):
            findings.append(_unseen_finding(dataset, labels, counts=counts, part=part, rows=strange))
    return findings


def _unseen_finding(dataset: Dataset, labels: Labels, *, counts: Counts, part: str, rows: Rows) -> Finding:
    """A few unknown labels are a warning; where most rows have one, the parts do not belong together."""
    whole = int((labels.codes[dataset.parts[part]] >= 0).sum())
    classes = np.unique(labels.codes[rows])
    known = [labels.names[code] for code in np.flatnonzero(counts)]
    guess = nearest_name(labels.names[classes[0]], known)
    hint = f" Did '{labels.names[classes[0]]}' mean '{guess}'?" if guess else ""
    verb = "has a label" if len(rows) == 1 else "have labels"
    return Finding(
        check=NAME,
        severity="error" if len(rows) > whole / 2 else "warning",
        problem=f"{share_of(len(rows), whole, noun=f'{part} rows')} {verb} that train does not know "
        f"({_names(labels, classes)}); they will count as wrong.{hint} {name_rows(dataset, rows)}",
        remedy="write labels alike in all files, or add rows of these labels to train",
        count=len(rows),
        rows=rows,
        part=part,
        evidence={"classes": [labels.names[code] for code in classes]},
    )


def _spellings(dataset: Dataset, labels: Labels) -> list[Finding]:
    alike: dict[str, list[int]] = defaultdict(list)
    for code, name in enumerate(labels.names):
        alike[normalize_text(name)].append(code)
    groups = [codes for codes in alike.values() if len(codes) > 1]
    if not groups:
        return []
    shown = "; ".join(" and ".join(f"'{labels.names[code]}'" for code in codes) for codes in groups[:_SHOWN])
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{count_of(len(groups), 'label')} {'is' if len(groups) == 1 else 'are'} written in more than one way "
            f"({shown}); each spelling counts as a class of its own.",
            remedy=f"write each label of '{dataset.schema.roles['target']}' in one way",
            count=len(groups),
            rows=np.flatnonzero(np.isin(labels.codes, [code for codes in groups for code in codes])),
        )
    ]


def _names(labels: Labels, codes: Sequence[int] | Counts) -> str:
    more = f" and {len(codes) - _SHOWN:,} more" if len(codes) > _SHOWN else ""
    return ", ".join(f"'{labels.names[code]}'" for code in codes[:_SHOWN]) + more


CHECK = Check(name=NAME, about="One class only, tiny classes, imbalance, unknown labels", find=check_classes, roles=("target",))

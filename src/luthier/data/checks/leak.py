"""Columns that give the answer away, and texts that spell it out.

A column is judged as a reader of one column would be: learn the commonest label of each value on half of the rows, guess the
other half (numbers: by the nearest value learnt). Values not met before get the commonest label of all, so that identifiers,
which say nothing about new rows, are not accused.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.seeding import generator_for
from luthier.data.checks.check import Check
from luthier.data.dataset import Dataset, Rows
from luthier.data.findings import Action, Finding
from luthier.data.keys import answer_kind, has_labels, label_codes, missing_cells, normalize_text
from luthier.data.schema import Kind
from luthier.data.targets import target_values
from luthier.data.wording import percent

NAME = "leak"
MAX_ROWS = 20_000
MIN_ROWS = 40
MIN_ACCURACY = 0.95
# Of the rows the commonest label gets wrong, this share must be put right by the column alone.
MIN_ERROR_REDUCTION = 0.8
MIN_SPELT_OUT = 0.5
MIN_EXPLAINED = 0.95
MAX_SPELT_LABELS = 500
MAX_NUMERIC_CATEGORIES = 64

Codes = Int[np.ndarray, " n"]


def check_leak(dataset: Dataset, features: np.ndarray | None = None) -> list[Finding]:
    """Columns without a role whose value decides the label, and labels written in their own texts."""
    if answer_kind(dataset) == "number":
        return _numbers_given_away(dataset)
    if not has_labels(dataset):
        return []
    codes = label_codes(dataset).codes
    rows = _looked_at(dataset, codes >= 0)
    if len(rows) < MIN_ROWS or len(np.unique(codes[rows])) < 2:
        return []
    taken = set(dataset.schema.roles.values())
    findings = []
    for column in dataset.schema.columns:
        if column.name not in taken and column.kind in (Kind.CATEGORY, Kind.NUMBER, Kind.TEXT, Kind.DATETIME):
            accuracy, majority = holdout_accuracy(_values(dataset, column.name, kind=column.kind, rows=rows), codes[rows])
            if accuracy >= MIN_ACCURACY and 1 - accuracy <= (1 - MIN_ERROR_REDUCTION) * (1 - majority):
                findings.append(_column_finding(dataset, column.name, accuracy=accuracy, majority=majority))
    return findings + _spelt_out(dataset, rows)


def _looked_at(dataset: Dataset, known: Bool[np.ndarray, " N"]) -> Rows:
    """The rows that there are to learn from, shuffled, at most `MAX_ROWS`."""
    parts = [rows for part, rows in dataset.parts.items() if part in ("all", "train")]
    rows = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    rows = rows[known[rows]]
    if len(rows) > MAX_ROWS:
        rows = generator_for(0, "leak").choice(rows, MAX_ROWS, replace=False)
    return np.asarray(generator_for(1, "leak").permutation(rows))


def _numbers_given_away(dataset: Dataset) -> list[Finding]:
    """Columns whose value says the number to predict: learnt on half of the rows, judged on the others."""
    targets = target_values(dataset)
    rows = _looked_at(dataset, np.isfinite(targets))
    if len(rows) < MIN_ROWS or not np.ptp(targets[rows]):
        return []
    taken = set(dataset.schema.roles.values())
    ranks = np.unique(targets[rows], return_inverse=True)[1].astype(np.float64)  # a few huge numbers would decide alone
    findings = []
    for column in dataset.schema.columns:
        if column.name not in taken and column.kind in (Kind.CATEGORY, Kind.NUMBER, Kind.DATETIME):
            values = _values(dataset, column.name, kind=column.kind, rows=rows)
            explained = holdout_explained(values, ranks)
            if explained >= MIN_EXPLAINED:
                findings.append(_number_finding(dataset, column.name, explained=explained))
    return findings


def holdout_explained(values: Codes, targets: Float[np.ndarray, " n"]) -> float:
    """The share of the spread of numbers on the second half of rows that the value alone explains: by its mean on the first.

    Args:
        values: A code for each row's value; -1 where it is missing.
        targets: A number for each row.

    Example:
        >>> values = np.tile([0, 1, 2], 40)
        >>> holdout_explained(values, 2.0 * values)
        1.0
    """
    half = len(targets) // 2
    learn, judge = targets[:half], targets[half:]
    places, size = values + 1, int(values.max()) + 2
    counts = np.bincount(places[:half], minlength=size)
    means = np.bincount(places[:half], learn, minlength=size) / np.maximum(counts, 1)
    guesses = np.where(counts > 0, means, learn.mean())[places[half:]]
    spread = float(((judge - judge.mean()) ** 2).sum())
    return float(1 - ((judge - guesses) ** 2).sum() / spread) if spread > 0 else 0.0


def _number_finding(dataset: Dataset, name: str, *, explained: float) -> Finding:
    return Finding(
        check=NAME,
        severity="warning",
        problem=f"Column '{name}' gives the number away: it alone explains {percent(explained)} of the order of "
        f"'{dataset.schema.roles['target']}' on rows not used to learn it. Will it be known when the model is used?",
        remedy=f"nothing to do: it is used for nothing; `--ignore {name}` hides this line",
        count=1,
        action=Action(kind="drop_column", column=name),
        by_default=True,
        evidence={"column": name, "explained": explained},
    )


def holdout_accuracy(values: Codes, labels: Codes) -> tuple[float, float]:
    """How often the value alone tells the label on the second half of rows, and how often the commonest label is right.

    Args:
        values: A code for each row's value; -1 where it is missing.
        labels: A code for each row's label.

    Example:
        >>> values = np.tile([0, 1], 40)
        >>> holdout_accuracy(values, 1 - values)
        (1.0, 0.5)
    """
    half = len(labels) // 2
    learn, judge = labels[:half], labels[half:]
    common = np.bincount(learn).argmax()
    value_count, label_count = int(values.max()) + 2, int(labels.max()) + 1
    pairs, counts = np.unique((values[:half] + 1) * label_count + learn, return_counts=True)
    guess = np.full(value_count, common)
    # Sorted by count, the last writer of each value is its commonest label.
    pairs = pairs[np.argsort(counts, kind="stable")]
    guess[pairs // label_count] = pairs % label_count
    return float((guess[values[half:] + 1] == judge).mean()), float((judge == common).mean())


def _values(dataset: Dataset, name: str, *, kind: Kind, rows: Rows) -> Codes:
    """The column's values as codes, -1 where missing: categories as they are, numbers by the nearest of the first half."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = dataset.table.column(name).take(rows)
    missing = missing_cells(column)
    text = column.cast(pa.string())
    if kind is Kind.NUMBER:
        looks = pc.match_substring_regex(pc.utf8_trim_whitespace(text), r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$").fill_null(
            False
        )
        numbers = pc.if_else(looks, pc.utf8_trim_whitespace(text), None).cast(pa.float64()).fill_null(np.nan).to_numpy()
        missing = np.isnan(numbers)
        if len(np.unique(numbers[~missing])) > MAX_NUMERIC_CATEGORIES:
            return _nearest(numbers, missing)
    _, found = np.unique(np.array(text.fill_null("").to_pylist(), dtype=object), return_inverse=True)
    return np.where(missing, -1, found)


def _nearest(numbers: Float[np.ndarray, " n"], missing: Bool[np.ndarray, " n"]) -> Codes:
    """For each number the place of the nearest among those of the first half, from which the labels are learnt."""
    half = len(numbers) // 2
    learnt = np.unique(numbers[:half][~missing[:half]])
    if not len(learnt):
        return np.full(len(numbers), -1)
    filled = np.where(missing, learnt[0], numbers)
    above = (
        np.clip(np.searchsorted(learnt, filled), 1, len(learnt) - 1)
        if len(learnt) > 1
        else np.zeros(len(filled), dtype=np.int64)
    )
    below = np.maximum(above - 1, 0)
    nearest = np.where(filled - learnt[below] <= learnt[above] - filled, below, above)
    return np.where(missing, -1, nearest)


def _column_finding(dataset: Dataset, name: str, *, accuracy: float, majority: float) -> Finding:
    target = dataset.schema.roles["target"]
    return Finding(
        check=NAME,
        severity="warning",
        problem=f"Column '{name}' gives the label away: it alone tells '{target}' right in {percent(accuracy)} of rows "
        f"not used to learn it (the commonest label: {percent(majority)}). Will it be known when the model is used?",
        remedy=f"nothing to do: it is used for nothing; `--ignore {name}` hides this line",
        count=1,
        action=Action(kind="drop_column", column=name),
        by_default=True,
        evidence={"column": name, "accuracy": accuracy, "majority": majority},
    )


def _spelt_out(dataset: Dataset, rows: Rows) -> list[Finding]:
    """A text is said to spell its label out if it holds exactly one label as whole words, and that one is right."""
    if "text" not in dataset.schema.roles:
        return []
    labels = label_codes(dataset)
    present = np.unique(labels.codes[rows])
    words = {code: normalize_text(labels.names[code].replace("_", " ").replace("-", " ")) for code in present}
    if len(present) > MAX_SPELT_LABELS or min(map(len, words.values())) < 3:
        return []
    texts = [_as_words(text or "") for text in dataset.column("text").take(rows).to_pylist()]
    told = np.full(len(rows), -1)
    for code, label in words.items():
        holds = np.array([f" {label} " in text for text in texts], dtype=bool)
        told = np.where(holds, np.where(told == -1, code, -2), told)
    spelt = told >= 0
    right = float((told[spelt] == labels.codes[rows][spelt]).mean()) if spelt.any() else 0.0
    if spelt.mean() < MIN_SPELT_OUT or right < MIN_ACCURACY:
        return []
    name = dataset.schema.roles["text"]
    return [
        Finding(
            check=NAME,
            severity="warning",
            problem=f"{percent(float(spelt.mean()))} of the texts in '{name}' hold the name of a label, and it is their own in "
            f"{percent(right)} of these; the model will learn to read the label, not the text.",
            remedy=f"take the label's name out of '{name}', if it will not be there when the model is used",
            count=int(spelt.sum()),
            rows=np.sort(rows[spelt]),
            evidence={"column": name, "fraction": float(spelt.mean()), "right": right},
        )
    ]


def _as_words(text: str) -> str:
    return " " + "".join(letter if letter.isalnum() else " " for letter in normalize_text(text)).replace("  ", " ") + " "


CHECK = Check(name=NAME, about="Columns that give the label away", find=check_leak, roles=("target",))

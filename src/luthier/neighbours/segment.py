"""Cut texts into segments of like ones: k-means on their vectors, how many by the silhouette, each named by its words.

Use when: there is a pile of messages, answers or articles, and nobody has read them all yet.
Cost: the vectors once, then seconds; trying several numbers of segments takes some of them anew for each number.
Suggested values: leave the number to the data first; then ask for fewer or more by name.
Source: Lloyd 1982, "Least squares quantization in PCM"; Rousseeuw 1987, "Silhouettes"; Grootendorst 2022, "BERTopic" (words of
a segment by their frequency in it against that in all).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.core.progress import Observer, Quiet
from luthier.core.seeding import generator_for
from luthier.errors import DataError, SpecError
from luthier.evaluation.bm25 import words_of
from luthier.neighbours.encoder import load_encoder
from luthier.neighbours.texts import read_pieces
from luthier.package.writers import open_writer, refuse_format

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
LEAST_SIZE = 5  # texts for each segment, when the number is left to the data
SAMPLED = 2_000  # texts that the silhouette is measured on
RESTARTS = 4
NAMING_WORDS, EXAMPLES = 4, 3
LEAST_LETTERS = 3


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment.

    Attributes:
        number: From 0 on, the largest segment first.
        name: Its most characteristic words.
        size: How many texts it has.
        share: Of all texts.
        spread: Mean distance (1 - cosine) of its texts from its centre.
        examples: The texts nearest to its centre.
    """

    number: int
    name: str
    size: int
    share: float
    spread: float
    examples: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Segments:
    """All of them.

    Attributes:
        segments: The largest first.
        numbers: The segment of each text, in the order of the source.
        distances: Of each text from the centre of its segment: 1 - cosine.
        silhouette: Of the texts sampled, from -1 to 1: how much nearer each is to its own segment than to the next.
        decisions: How many segments, and why.
        agreement: With a column of labels, where one was named: normalised mutual information, from 0 to 1.
        out: The file written; empty if there is none.
    """

    segments: Sequence[Segment]
    numbers: Int[np.ndarray, " N"]
    distances: Float[np.ndarray, " N"]
    silhouette: float
    decisions: Sequence[Decision[Any]] = field(default=())
    agreement: float | None = None
    out: str = ""


def segment(
    model: str | Path,
    source: str | Path,
    *,
    num_clusters: int | None = None,
    text: str | None = None,
    compare: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    observer: Observer | None = None,
) -> Segments:
    """Cut the texts of a table into segments.

    Args:
        model: A run folder, a model folder, or the name of a pre-trained model.
        source: A table with a text in each row.
        num_clusters: How many segments; by default as many as give the best silhouette.
        text: The column of texts, where it is not plain to see.
        compare: A column of labels that the segments are compared with.
        out: Where the table goes with the columns `segment`, `segment_name` and `segment_distance`.
        seed: Of the starts of k-means, and of samples.
        observer: Is told of the work.

    Raises:
        ModelError: there is no such model, or it does not read texts.
        DataError: the table cannot be read, lacks a column, or has too few texts.
        SpecError: a number of segments that makes none, or a format of `out` that is unknown.
    """
    observer, written = observer or Quiet(), Path(out) if out is not None else None
    refuse_format(written)
    if num_clusters is not None and num_clusters < 2:
        raise SpecError(f"{num_clusters} segments were asked for; at least 2 are needed.", remedy="--num-clusters 5")
    encoder = load_encoder(model)
    texts, vectors, tables = _read(encoder.encode, source, text)
    labels = _labels(tables, compare, source)
    _refuse_few(len(texts), num_clusters, source)
    decision, numbers, centres = choose_number(vectors, num_clusters, seed=seed)
    observer.decided(decision)
    distances = 1 - (vectors * centres[numbers]).sum(axis=1)
    found = describe(texts, numbers, distances, number=len(centres))
    if written is not None:
        _write(written, tables, numbers, found, distances)
    return Segments(
        segments=found,
        numbers=numbers,
        distances=distances,
        silhouette=float(decision.evidence["silhouette"]),
        decisions=[decision],
        agreement=None if labels is None else _agreement(labels, numbers),
        out=str(written or ""),
    )


def _read(encode: Any, source: str | Path, text: str | None) -> tuple[list[str], Float[np.ndarray, "N D"], list["pa.Table"]]:
    texts: list[str] = []
    vectors, tables = [], []
    for piece in read_pieces(source, text=text):
        texts += piece.texts
        vectors.append(encode(piece.texts))
        tables.append(piece.table)
    return texts, np.concatenate(vectors), tables


def _labels(tables: Sequence["pa.Table"], name: str | None, source: str | Path) -> list[str] | None:
    if name is None:
        return None
    names = tables[0].column_names
    if name not in names:
        raise DataError(f"{source} has no column '{name}'; it has {', '.join(names)}.", remedy=f"--compare {names[-1]}")
    return [str(cell or "") for table in tables for cell in table.column(name).to_pylist()]


def _refuse_few(number: int, asked: int | None, source: str | Path) -> None:
    least = max(2 * LEAST_SIZE, asked or 0)
    if number < least:
        raise DataError(
            f"{source} has {count_of(number, 'text')}; {least} are the fewest that can be cut"
            + (f" into {asked} segments." if asked else "."),
            remedy=f"--num-clusters {max(2, number // LEAST_SIZE)}"
            if number >= 2 * LEAST_SIZE
            else "name a table with more rows",
        )


def choose_number(
    vectors: Float[np.ndarray, "N D"], asked: int | None, *, seed: int
) -> tuple[Decision[int], Int[np.ndarray, " N"], Float[np.ndarray, "K D"]]:
    """How many segments, the segment of each text (the largest is 0), and their centres, of length one."""
    numbers = [asked] if asked else [number for number in NUMBERS if number * LEAST_SIZE <= len(vectors)]
    sample = generator_for(seed, "silhouette").permutation(len(vectors))[:SAMPLED]
    tried: dict[int, float] = {}
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for number in numbers:
        labels, centres = k_means(vectors, number, seed=seed)
        tried[number] = silhouette(vectors[sample], labels[sample])
        if best is None or tried[number] > best[0]:
            best = tried[number], labels, centres
    assert best is not None
    order = np.argsort(-np.bincount(best[1], minlength=len(best[2])), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    reason = "as asked" if asked else f"the best silhouette of {len(tried)} numbers that were tried"
    decision = Decision(
        name="num_clusters",
        value=len(order),
        reason=reason,
        evidence={"silhouette": round(best[0], 4), "tried": {str(number): round(value, 4) for number, value in tried.items()}},
        override="--num-clusters K",
    )
    return decision, place[best[1]], best[2][order]


def k_means(
    vectors: Float[np.ndarray, "N D"], number: int, *, seed: int
) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, "K D"]]:
    """The segment of each vector, and the centres, of length one; the best of some starts."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):  # equal on every machine
        fitted = KMeans(number, n_init=RESTARTS, random_state=seed).fit(np.asarray(vectors, dtype=np.float64))
    centres = fitted.cluster_centers_ / np.maximum(np.linalg.norm(fitted.cluster_centers_, axis=1, keepdims=True), 1e-12)
    return np.asarray(fitted.labels_, dtype=np.int64), np.asarray(centres, dtype=np.float32)


def silhouette(vectors: Float[np.ndarray, "N D"], labels: Int[np.ndarray, " N"]) -> float:
    """The mean silhouette by cosine distance; 0 where there is only one segment, or one for each text."""
    from sklearn.metrics import silhouette_score

    kinds = len(np.unique(labels))
    return float(silhouette_score(vectors, labels, metric="cosine")) if 1 < kinds < len(vectors) else 0.0


def describe(
    texts: Sequence[str], numbers: Int[np.ndarray, " N"], distances: Float[np.ndarray, " N"], *, number: int
) -> list[Segment]:
    """Each segment with its name and its most central texts."""
    names = name_segments(texts, numbers, number=number)
    found = []
    for place in range(number):
        rows = np.flatnonzero(numbers == place)
        central = rows[np.argsort(distances[rows], kind="stable")]
        examples = list(dict.fromkeys(texts[row] for row in central.tolist()))[:EXAMPLES]
        found.append(
            Segment(
                number=place,
                name=names[place],
                size=len(rows),
                share=len(rows) / len(texts),
                spread=float(distances[rows].mean()) if len(rows) else 0.0,
                examples=examples,
            )
        )
    return found


def name_segments(texts: Sequence[str], numbers: Int[np.ndarray, " N"], *, number: int) -> list[str]:
    """The words of each segment that are frequent in it and rare elsewhere; each text counts a word once.

    Example:
        >>> name_segments(["red wine", "white wine", "old cheese", "soft cheese"], np.array([0, 0, 1, 1]), number=2)
        ['wine, red, white', 'cheese, old, soft']
    """
    counts: list[Counter[str]] = [Counter() for _ in range(number)]
    for text, place in zip(texts, numbers.tolist(), strict=True):
        counts[place].update({word for word in words_of(text) if len(word) >= LEAST_LETTERS and not word.isdigit()})
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    mean = max(1.0, sum(total.values()) / max(1, number))
    sizes = np.bincount(numbers, minlength=number)
    names = []
    for place, count in enumerate(counts):
        weights = {word: seen / max(1, sizes[place]) * float(np.log(1 + mean / total[word])) for word, seen in count.items()}
        best = sorted(weights, key=lambda word: (-weights[word], word))[:NAMING_WORDS]
        names.append(", ".join(best) or "no words")
    return names


def _agreement(labels: Sequence[str], numbers: Int[np.ndarray, " N"]) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels, numbers))


def _write(
    out: Path,
    tables: Sequence["pa.Table"],
    numbers: Int[np.ndarray, " N"],
    found: Sequence[Segment],
    distances: Float[np.ndarray, " N"],
) -> None:
    import pyarrow as pa

    start = 0
    with open_writer(out) as writer:
        for table in tables:
            rows = slice(start, start + table.num_rows)
            added = {
                "segment": pa.array(numbers[rows]),
                "segment_name": pa.array([found[place].name for place in numbers[rows].tolist()], pa.string()),
                "segment_distance": pa.array(distances[rows].astype(np.float64)),
            }
            for name, values in added.items():
                table = table.append_column(name if name not in table.column_names else f"{name}_", values)
            writer.write(table)
            start = rows.stop

"""Recommend items like those a user has liked, and say whether that is better than recommending what is popular.

An item's vector is that of its text; a user's is the mean of those of the items in the history, and items are recommended by
the cosine with it, without those in the history. So new items, which nobody has liked yet, are recommended like old ones; who
is new gets what is popular. What it knows of taste is only what stands in the texts.

Measured by leaving the last item of each user out and looking for it among the first recommendations (recall@k), beside what is
most popular among all other users' items; `popular` wins where taste follows fashion, not content: then the summary says so.
Source: Pazzani & Billsus 2007, "Content-based recommendation systems"; Cremonesi et al. 2010 (popularity as the model to beat).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.core.names import count_of, nearest_name
from luthier.core.progress import Observer, Quiet
from luthier.core.seeding import generator_for
from luthier.data.dataset import EXAMPLE_ID
from luthier.data.load.source import ROW_FAULT
from luthier.data.load.stream import stream_table
from luthier.data.settings import DataSettings
from luthier.errors import DataError, SpecError
from luthier.evaluation.nearest import best_places, unit_vectors
from luthier.neighbours.encoder import load_encoder
from luthier.neighbours.index import open_index
from luthier.package.writers import open_writer, refuse_format

if TYPE_CHECKING:
    import pyarrow as pa

TOP = 10
USER_NAMES, ITEM_NAMES = ("user", "user_id", "customer", "customer_id", "reader"), ("item", "item_id", "id", "_id", "article")
MEASURED_USERS = 2_000
SEED = 0  # of the users measured, where there are more, and of the intervals
RESAMPLES = 2_000
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One item for one user.

    Attributes:
        score: The cosine of the item's vector and the user's.
        because: The item of the user's history that is most like it; empty for what is recommended because it is popular.
    """

    user: str
    rank: int
    item: str
    score: float
    because: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Recall:
    """How often the item left out is among the first `top`, with the 95 % interval over users."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Recommendations:
    """Recommendations, and what they are worth.

    Attributes:
        items: By user, the best first.
        top: How many for each user.
        num_measured: Users with at least two items: of each the last was left out, and looked for.
        recall: By way of recommending: `content`, `popular`, and `random`, which needs no measuring.
        verdict: Which of them to use, in a sentence.
    """

    items: Sequence[Recommendation]
    top: int
    num_measured: int
    recall: Mapping[str, Recall]
    verdict: str

    def save(self, out: str | Path) -> None:
        """Write the items as a table: .csv, .tsv, .jsonl or .parquet.

        Raises:
            SpecError: the format is unknown.
            ResourceError: the disk is full or cannot be written to.
        """
        import pyarrow as pa

        refuse_format(Path(out))
        names = ("user", "rank", "item", "score", "because", "text")
        with open_writer(Path(out)) as writer:
            writer.write(pa.table({name: [getattr(item, name) for item in self.items] for name in names}))


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The items: names, texts, vectors."""

    ids: list[str]
    texts: list[str]
    vectors: Float[np.ndarray, "N D"]


def recommend(
    model: str | Path,
    items: str | Path,
    history: str | Path,
    *,
    users: Sequence[str] = (),
    top: int = TOP,
    text: str | None = None,
    identifier: str | None = None,
    observer: Observer | None = None,
) -> Recommendations:
    """What each user may like, by the texts of what they have liked.

    Args:
        model: A run folder, a model folder, or the name of a pre-trained model.
        items: A table with an id and a text of each item.
        history: A table with a row for each item that a user has liked, the newest last: columns `user` and `item`.
        users: For whom; by default for all of the history.
        top: How many items for each.
        text, identifier: The items' columns of texts and of ids, where they are not plain to see.
        observer: Is told of the work.

    Raises:
        ModelError: there is no such model, or it does not read texts.
        DataError: a table cannot be read or lacks a column, or the history names no item that there is.
        SpecError: less than one item is wanted, or a user is asked for whom the history does not have.
    """
    observer = observer or Quiet()
    if top < 1:
        raise SpecError(f"{top} items were asked for; at least 1 is needed.", remedy="--top 10")
    liked = _read_history(history)
    if strangers := [user for user in users if user not in liked]:
        guess = nearest_name(strangers[0], list(liked)) or next(iter(liked))
        raise SpecError(f"{history} has no user '{strangers[0]}'.", remedy=f"--user {guess}")
    encoder = load_encoder(model)
    pieces = list(open_index(encoder, items, text=text, identifier=identifier, observer=observer).pieces())
    shelf = Shelf(
        ids=[name for ids, *_ in pieces for name in ids],
        texts=[text for _, texts, _ in pieces for text in texts],
        vectors=np.concatenate([vectors for *_, vectors in pieces]),
    )
    histories = _places(liked, shelf, history, observer)
    recall = measure(histories, shelf, top=top)
    chosen = {user: histories[user] for user in (users or histories)}
    found = [item for user, places in chosen.items() for item in _recommended(user, places, shelf, histories, top)]
    measured = sum(len(places) > 1 for places in histories.values())
    return Recommendations(
        items=found,
        top=top,
        num_measured=min(measured, MEASURED_USERS),
        recall=recall,
        verdict=_verdict(recall, top),
    )


def _read_history(path: str | Path) -> dict[str, list[str]]:
    """User -> the items liked, in the file's order, each once."""
    liked: dict[str, list[str]] = {}
    columns: tuple[str, str] | None = None
    for table in stream_table(Path(path), DataSettings()):
        columns = columns or _history_columns(table, path)
        for user, item in zip(*(table.column(name).to_pylist() for name in columns), strict=True):
            if user is not None and item is not None and str(item).strip() not in liked.setdefault(str(user).strip(), []):
                liked[str(user).strip()].append(str(item).strip())
    if not liked:
        raise DataError(f"{path} has no rows.", remedy="a table with the columns user and item")
    return liked


def _history_columns(table: "pa.Table", path: str | Path) -> tuple[str, str]:
    names = [name for name in table.column_names if name not in (EXAMPLE_ID, ROW_FAULT)]
    folded = {name.lower(): name for name in names}
    user = next((folded[name] for name in USER_NAMES if name in folded), None)
    item = next((folded[name] for name in ITEM_NAMES if name in folded), None)
    if user is None or item is None:
        lacking = " and ".join(name for name, found in (("user", user), ("item", item)) if found is None)
        raise DataError(
            f"{path} lacks the column {lacking}; it has {', '.join(names)}.", remedy="name its columns user and item"
        )
    return user, item


def _places(
    liked: Mapping[str, Sequence[str]], shelf: Shelf, history: str | Path, observer: Observer
) -> dict[str, Int[np.ndarray, " n"]]:
    """The histories as places of items; what no item is called is told, and left out."""
    known = {name: place for place, name in enumerate(shelf.ids)}
    unknown = {item: user for user, items in liked.items() for item in items if item not in known}
    if unknown:
        shown = ", ".join(f"'{item}' (of {user})" for item, user in list(unknown.items())[:_SHOWN])
        problem = f"{count_of(len(unknown), 'item')} of {history} {'is' if len(unknown) == 1 else 'are'} no item: {shown}"
        if len(unknown) == len({item for items in liked.values() for item in items}):
            raise DataError(f"{problem}; items are called {', '.join(shelf.ids[:_SHOWN])}.", remedy="--id COLUMN of the items")
        observer.note(f"{problem}; left out.", level="warning")
    return {user: np.array([known[item] for item in items if item in known], dtype=np.int64) for user, items in liked.items()}


def _popularity(histories: Mapping[str, Int[np.ndarray, " n"]], number: int) -> Float[np.ndarray, " N"]:
    return np.bincount(np.concatenate([np.empty(0, np.int64), *histories.values()]), minlength=number).astype(np.float64)


def _recommended(
    user: str, places: Int[np.ndarray, " n"], shelf: Shelf, histories: Mapping[str, Int[np.ndarray, " n"]], top: int
) -> list[Recommendation]:
    popular = _popularity(histories, len(shelf.ids))
    scores = by_content(shelf.vectors, places) if len(places) else popular / max(1, len(histories))
    best = _first(scores, places, top)
    found = []
    for rank, place in enumerate(best, 1):
        because = shelf.ids[places[int(np.argmax(shelf.vectors[places] @ shelf.vectors[place]))]] if len(places) else ""
        found.append(
            Recommendation(
                user=user,
                rank=rank,
                item=shelf.ids[place],
                score=float(scores[place]),
                because=because,
                text=shelf.texts[place],
            )
        )
    return found


def by_content(vectors: Float[np.ndarray, "N D"], places: Int[np.ndarray, " n"]) -> Float[np.ndarray, " N"]:
    """The cosine of every item with the mean of some."""
    return np.asarray(vectors @ unit_vectors(vectors[places].mean(axis=0, keepdims=True))[0])


def _first(scores: Float[np.ndarray, " N"], seen: Int[np.ndarray, " n"], top: int) -> list[int]:
    """The best items that were not seen."""
    open_scores = np.array(scores, dtype=np.float64)
    open_scores[seen] = -np.inf
    best: list[int] = best_places(open_scores[None, :], min(top, len(scores) - len(np.unique(seen))))[0].tolist()
    return best


def measure(histories: Mapping[str, Int[np.ndarray, " n"]], shelf: Shelf, *, top: int) -> dict[str, Recall]:
    """Recall@top of the last item of each user, left out: by content, by popularity, and of a random order."""
    users = [user for user, places in histories.items() if len(places) > 1]
    if not users:
        return {}
    users = [users[place] for place in np.sort(generator_for(SEED, "measured").permutation(len(users))[:MEASURED_USERS])]
    popular = _popularity(histories, len(shelf.ids))
    hits: dict[str, list[float]] = {"content": [], "popular": [], "random": []}
    for user in users:
        known, last = histories[user][:-1], int(histories[user][-1])
        others = popular.copy()
        others[histories[user]] -= 1  # nobody's own likes make a thing popular for them, the last one least of all
        hits["content"].append(float(last in _first(by_content(shelf.vectors, known), known, top)))
        hits["popular"].append(float(last in _first(others, known, top)))
        hits["random"].append(min(1.0, top / max(1, len(shelf.ids) - len(known))))
    return {name: _interval(np.array(values)) for name, values in hits.items()}


def _interval(values: Float[np.ndarray, " n"]) -> Recall:
    drawn = generator_for(SEED, "recall").integers(0, len(values), (RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Recall(value=float(values.mean()), low=float(low), high=float(high))


def _verdict(recall: Mapping[str, Recall], top: int) -> str:
    if not recall:
        return "No user has two items or more: what these recommendations are worth cannot be measured."
    content, popular = recall["content"], recall["popular"]
    ours, theirs = f"{content.value:.1%}", f"{popular.value:.1%}"
    said = f"the item left out is among the first {top} for {ours} of users, and for {theirs} by popularity"
    if content.low > popular.high:
        return f"Recommend by content: {said}."
    if content.high < popular.low:
        return f"Recommend what is popular: {said}."
    return f"Not shown to differ from recommending what is popular: {said}."

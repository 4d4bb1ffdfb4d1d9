"""Near-duplicates: recall and false alarms on planted ones, plain sets and datasketch as oracles."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.checks import CHECKS, run_checks
from luthier.data.checks.minhash import THRESHOLD, find_near_pairs
from luthier.data.checks.near_duplicates import near_duplicate_keys
from luthier.data.clean import clean
from luthier.data.dataset import Dataset
from luthier.data.settings import DataSettings
from luthier.data.split import split
from luthier.testing.tables import make_dataset

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
ROLES = {"text": "text"}


def sentences(count: int, *, seed: int, words: int = 14) -> list[str]:
    random = np.random.default_rng(seed)
    vocabulary = ["".join(random.choice(LETTERS, size)) for size in random.integers(2, 10, 3000)]
    drawn = random.integers(3000, size=(count, words + 4)).tolist()
    lengths = random.integers(words - 4, words + 4, count).tolist()
    return [" ".join([vocabulary[word] for word in row[:length]]) for row, length in zip(drawn, lengths, strict=True)]


def edit(text: str, random: np.random.Generator, *, kinds: int = 4) -> str:
    """What people do to a text before they send it again: a typo, a word more, punctuation and case, two words swapped."""
    words = text.split()
    kind = random.integers(kinds)
    if kind == 0:
        place = int(random.integers(1, len(text) - 1))
        return text[:place] + "#"[: random.integers(2)] + text[place + 1 :]
    if kind == 1:
        return f"{text} {random.choice(['please', 'thanks', 'asap'])}"
    if kind == 2:
        return f"{text.title()}!!"
    place = int(random.integers(len(words) - 1))
    words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def similarity(left: str, right: str) -> float:
    """The definition, in plain Python: shared 5-byte shingles of the two texts with a space at either end."""
    one, other = ({f" {text} ".encode()[i : i + 5] for i in range(len(text.encode()) - 2)} for text in (left, right))
    return len(one & other) / max(1, len(one | other))


@pytest.mark.parametrize(
    ("words", "kinds"),
    # Swapping two words changes more than a fifth of a sentence of fourteen words: such pairs are found in longer texts.
    [(14, 3), (30, 4)],
)
def test_planted_near_duplicates_are_found_between_parts_and_hardly_anything_else(words: int, kinds: int) -> None:
    random = np.random.default_rng(1)
    texts = sentences(20_000, seed=0, words=words)
    planted = random.choice(16_000, 200, replace=False)
    held = random.choice(np.arange(16_000, 20_000), 200, replace=False)
    for source, target in zip(planted, held, strict=True):
        texts[target] = edit(texts[source], random, kinds=kinds)
    dataset = make_dataset({"text": texts}, roles=ROLES, sizes={"train": 16_000, "test": 4_000})
    start = time.process_time()
    findings = CHECKS["near-duplicates"](dataset)
    assert time.process_time() - start < 6
    found = {row for finding in findings if finding.part == "train" and finding.action for row in finding.rows.tolist()}
    assert len(found & set(planted.tolist())) >= 0.95 * 200
    assert len(found - set(planted.tolist())) <= 0.001 * 16_000


def test_pairs_are_those_of_datasketch_and_of_the_definition() -> None:
    from datasketch import MinHash, MinHashLSH

    random = np.random.default_rng(2)
    texts = sentences(300, seed=3)
    texts += [edit(text, random).lower().strip("!") for text in texts[:150]]
    index = MinHashLSH(threshold=0.5, num_perm=128)
    hashes = []
    for place, text in enumerate(texts):
        minhash = MinHash(num_perm=128)
        minhash.update_batch([f" {text} ".encode()[i : i + 5] for i in range(len(text.encode()) - 2)])
        index.insert(place, minhash)
        hashes.append(minhash)
    theirs = {(min(i, j), max(i, j)) for i, minhash in enumerate(hashes) for j in index.query(minhash) if i != j}
    expected = {
        pair for pair in theirs if similarity(texts[pair[0]], texts[pair[1]]) >= THRESHOLD and "#" not in texts[pair[1]]
    }
    near = find_near_pairs(texts)
    ours = {(int(i), int(j)) for i, j in near.pairs}
    assert expected
    assert expected <= ours
    for (i, j), value in zip(near.pairs, near.similarity, strict=True):
        if "#" not in texts[j]:
            assert value == pytest.approx(similarity(texts[i], texts[j]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab ", min_size=8, max_size=14), min_size=2, max_size=12))
def test_no_pair_is_reported_that_is_not_one(texts: list[str]) -> None:
    folded = [" ".join(text.split()) for text in texts]
    near = find_near_pairs(texts)
    for (i, j), value in zip(near.pairs, near.similarity, strict=True):
        assert i < j
        assert value == pytest.approx(similarity(folded[i], folded[j]))
        assert value >= THRESHOLD


def test_many_copies_of_one_text_take_linear_time_and_all_are_found() -> None:
    texts = [
        f"thank you for your order, your parcel is on its way to you and will arrive within three days {row}"
        for row in range(8_000)
    ]
    start = time.process_time()
    near = find_near_pairs(texts)
    assert time.process_time() - start < 8
    assert len(np.unique(near.pairs)) == 8_000
    assert len(near.pairs) < 60 * 8_000


def test_emoji_and_words_count_but_punctuation_does_not() -> None:
    texts = ["so this is great 😀😀😀😀", "so this is great 😡😡😡😡", "where, is my card?", "where is my card", "", "?"]
    assert find_near_pairs(texts).pairs.tolist() == [[2, 3]]


def given_parts() -> Dataset:
    """Rows 0 and 1 of train are near to test row 3; row 4 of test equals row 2 of train."""
    base = "my parcel should have come last monday but nobody rang the bell and there is no card"
    texts = [f"{base}!", f"{base} at all", "an entirely different matter", base, "An entirely different matter"]
    return make_dataset({"text": texts}, roles=ROLES, sizes={"train": 3, "test": 2})


def test_between_given_parts_they_are_treated_like_overlap() -> None:
    finding = next(finding for finding in CHECKS["near-duplicates"](given_parts()) if finding.action)
    assert finding.rows.tolist() == [0, 1], "what is exactly equal is overlap, not near-duplicate"
    assert "1 of 2 test rows (50.0 %) is nearly the same as a row of train" in finding.problem
    by_default = {
        choice: next(
            f
            for f in run_checks(given_parts(), DataSettings.model_validate({"overlap": choice}))
            if f.check == "near-duplicates" and f.action
        )
        for choice in ("drop", "keep", "error")
    }
    assert [by_default[choice].by_default for choice in by_default] == [True, False, False]
    assert by_default["error"].severity == "error"


def test_fast_leaves_them_out() -> None:
    assert not any(finding.check == "near-duplicates" for finding in run_checks(given_parts(), DataSettings(), fast=True))


def test_a_made_split_can_keep_them_on_one_side() -> None:
    random = np.random.default_rng(5)
    texts = sentences(300, seed=4)
    texts += [edit(text, random) for text in texts]
    dataset = make_dataset({"text": texts, "label": ["a", "b", "c"] * 200}, roles=ROLES | {"target": "label"})
    dataset = clean(dataset, []).dataset
    made = split(dataset, fractions=(0.8, 0.1, 0.1), seed=0, keys=near_duplicate_keys(dataset))
    names = dataset.with_parts(made.parts).part_of_row()
    pairs = find_near_pairs(texts).pairs
    assert len(pairs) > 250
    assert all(names[i] == names[j] for i, j in pairs)


def test_differing_labels_among_near_duplicates_are_counted() -> None:
    texts = [
        "my card has still not arrived after two weeks of waiting",
        "My card has still not arrived, after two weeks of waiting",
        "other",
    ]
    dataset = make_dataset({"text": texts, "label": ["a", "b", "a"]}, roles=ROLES | {"target": "label"})
    (finding,) = CHECKS["near-duplicates"](dataset)
    assert "1 pair of them has different labels." in finding.problem


@pytest.mark.shared_data
def test_edits_of_real_questions_are_found(shared: Path) -> None:
    import pyarrow.csv

    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(shared / "data" / "banking77" / "train.csv", parse_options=options)
    texts = [text for text in table.column("text").to_pylist() if len(text) >= 60][:2000]
    random = np.random.default_rng(0)
    edited = [edit(text, random, kinds=3) for text in texts]
    pairs = {(int(i), int(j)) for i, j in find_near_pairs(list(itertools.chain(texts, edited))).pairs}
    assert np.mean([(place, place + len(texts)) in pairs for place in range(len(texts))]) >= 0.99

"""Tags that fit together, against every path there is."""

from itertools import product

import numpy as np
import pytest

from luthier.tasks.tag_paths import best_paths

LABELS = ("O", "B-A", "I-A", "B-B", "I-B")


def fits(tags: list[str], *, begins_row: bool) -> bool:
    pairs = list(zip(["O", *tags], tags, strict=False))[0 if begins_row else 1 :]
    return all(tag[0] != "I" or (before != "O" and before[2:] == tag[2:]) for before, tag in pairs)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_best_of_all_that_fit(seed: int) -> None:
    generator = np.random.default_rng(seed)
    counts, begins_row = [4, 1, 3, 0], [True, True, False, True]
    scores = np.log(generator.dirichlet(np.full(5, 0.4), size=(4, 4)))
    for row, count in enumerate(counts):
        scores[row, count:] = 0
    paths = best_paths(scores, np.array(counts), labels=LABELS, begins_row=np.array(begins_row))
    for row, count in enumerate(counts[:3]):
        ways = product(range(5), repeat=count)
        fitting = [way for way in ways if fits([LABELS[place] for place in way], begins_row=begins_row[row])]
        best = max(fitting, key=lambda way: sum(scores[row, word, label] for word, label in enumerate(way)))
        assert paths[row, :count].tolist() == list(best)


def test_where_the_best_tags_fit_nothing_changes() -> None:
    scores = np.log(np.full((1, 3, 5), 0.05) + 0.75 * np.eye(5)[[1, 2, 0]])
    assert best_paths(scores, np.array([3]), labels=LABELS, begins_row=np.array([True]))[0].tolist() == [1, 2, 0]


def test_no_words_have_no_tags() -> None:
    assert best_paths(np.zeros((2, 0, 5)), np.array([0, 0]), labels=LABELS, begins_row=np.array([True, True])).shape == (2, 0)

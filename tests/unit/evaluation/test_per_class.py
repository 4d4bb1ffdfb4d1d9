import numpy as np

from luthier.evaluation.per_class import ConfusedPair, class_scores, confused_pairs
from luthier.evaluation.predictions import classification_predictions


def test_the_most_confused_pairs_come_first() -> None:
    confusion = np.array([[9, 1, 0], [3, 9, 0], [0, 2, 9]])
    assert confused_pairs(confusion, ["a", "b", "c"]) == [
        ConfusedPair(target="b", prediction="a", n=3),
        ConfusedPair(target="c", prediction="b", n=2),
        ConfusedPair(target="a", prediction="b", n=1),
    ]
    assert len(confused_pairs(confusion, ["a", "b", "c"], limit=1)) == 1


def test_a_label_without_examples_has_a_row_of_zeros() -> None:
    said = classification_predictions(example_ids=["1"], targets=["a"], probs=np.array([[1.0, 0.0]]), labels=["a", "b"])
    rare = class_scores(said)[1]
    assert (rare.label, rare.precision, rare.recall, rare.f1, rare.support, rare.predicted) == ("b", 0, 0, 0, 0, 0)

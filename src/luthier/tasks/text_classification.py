"""One label for a text: intents, topics, sentiment, spam."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.evaluation.baselines import majority_probs, nearest_class_mean, tfidf_logistic
from luthier.models.processors import TextProcessor
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import Baseline
from luthier.tasks.single_label import SingleLabel

Probs = Float[np.ndarray, "M C"]


class TextClassification(SingleLabel):
    """Columns: a text and a label."""

    name = "text-classification"
    modality = "text"
    input_role = "text"

    @property
    def baselines(self) -> Sequence[Baseline]:  # type: ignore[override]
        """The most frequent label; TF-IDF with logistic regression; nearest class mean of the pre-trained features."""
        return (
            Baseline(name="majority", needs_features=False, fit_predict=majority),
            Baseline(name="classic", needs_features=False, fit_predict=_tfidf),
            Baseline(name="pretrained", needs_features=True, fit_predict=class_mean),
        )

    def match(self, schema: Schema) -> Decision[bool]:
        """A text column beside a label column."""
        return self.match_roles(schema)

    def encode(self, rows: Sequence[str], processor: TextProcessor) -> TokenInputs:
        """Token ids."""
        encoded = processor.encode(rows)
        return TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id)


def majority(train_rows: Any, targets: Int[np.ndarray, " N"], rows: Any, seed: int) -> Probs:
    """The label frequencies of the training part, for every row."""
    return majority_probs(targets, int(targets.max()) + 1, len(rows))


def class_mean(train_features: Any, targets: Int[np.ndarray, " N"], features: Any, seed: int) -> Probs:
    """Nearest class mean of frozen features."""
    return nearest_class_mean(train_features, targets, features, num_labels=int(targets.max()) + 1)


def _tfidf(train_rows: Sequence[str], targets: Int[np.ndarray, " N"], rows: Sequence[str], seed: int) -> Probs:
    return tfidf_logistic(train_rows, targets, rows, num_labels=int(targets.max()) + 1, seed=seed)


TASK = TextClassification()

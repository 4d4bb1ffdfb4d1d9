"""Two texts in two columns, read together: a premise and a hypothesis, a question and a passage, a tweet and its target."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from luthier.evaluation.baselines import pair_features
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import Modality
from luthier.tasks.readings.reading import ClassicFeatures
from luthier.tasks.readings.text import cells

if TYPE_CHECKING:
    import pyarrow as pa

Pair = tuple[str, str]


class TextPair:
    """Both texts in one sequence, as the model's tokenizer joins them; of too long ones the longer is cut."""

    modality: Modality = "text"
    noun: str = "text"
    roles: tuple[str, ...] = ("text", "text_pair")
    example: str = '("a man sleeps", "nobody is awake")'
    classic: str = "TF-IDF of both texts, and how far they overlap"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Pair]:
        """The pairs; missing texts are empty."""
        return list(zip(cells(table, roles["text"]), cells(table, roles["text_pair"]), strict=True))

    def count_tokens(self, rows: Sequence[Pair], processor: TextProcessor) -> Int[np.ndarray, " N"]:
        """Of both, with special tokens."""
        return processor.count_tokens([first for first, _ in rows], [second for _, second in rows])

    def encode(self, rows: Sequence[Pair], processor: TextProcessor) -> TokenInputs:
        """Token ids and which text each belongs to."""
        encoded = processor.encode([first for first, _ in rows], [second for _, second in rows])
        return TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id, type_ids=encoded.type_ids)

    def classic_features(self, train: Sequence[Pair], others: Sequence[Pair], *, seed: int) -> ClassicFeatures | None:
        """TF-IDF of each, their elementwise product, and the share of words in common."""
        return pair_features(train, others)


TEXT_PAIR = TextPair()

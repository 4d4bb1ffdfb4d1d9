"""Entities in texts: names, places, drugs, slots of a request. Columns: words and their tags, or texts and spans of characters.

An entity counts as found if its type, its first and its last word are right (entity F1, as seqeval counts).
"""

from luthier.data.schema import Kind
from luthier.tasks.token_task import TokenTask

TASK = TokenTask(
    name="token-classification",
    measures=("entity_f1", "entity_precision", "entity_recall", "token_accuracy"),
    kinds=(Kind.TAGS, Kind.SPANS),
    answer_kind="entities",
    example='"Aspirin against fever"',
)

"""Any number of labels for two texts: what a reply does to a message, say. Columns: a text, another text, a list of labels."""

from luthier.tasks.answers.labels import LABELS
from luthier.tasks.readings.text_pair import TEXT_PAIR
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="text-pair-multi-label", reading=TEXT_PAIR, answer=LABELS)

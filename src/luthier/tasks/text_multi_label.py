"""Any number of labels for a text: intents, tags, topics. Columns: a text and a list of labels."""

from luthier.tasks.answers.labels import LABELS
from luthier.tasks.readings.text import TEXT
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="text-multi-label", reading=TEXT, answer=LABELS)

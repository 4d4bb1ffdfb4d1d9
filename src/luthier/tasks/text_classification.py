"""One label for a text: intents, topics, sentiment, spam. Columns: a text and a label."""

from luthier.tasks.answers.label import LABEL
from luthier.tasks.readings.text import TEXT
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="text-classification", reading=TEXT, answer=LABEL)

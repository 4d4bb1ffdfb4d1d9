"""One label for two texts: entailment, paraphrase, stance to a target. Columns: a text, another text and a label."""

from luthier.tasks.answers.label import LABEL
from luthier.tasks.readings.text_pair import TEXT_PAIR
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="text-pair-classification", reading=TEXT_PAIR, answer=LABEL)

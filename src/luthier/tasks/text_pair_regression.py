"""A number for two texts: how alike they are, how well one answers the other. Columns: a text, another text and a number."""

from luthier.tasks.answers.number import NUMBER
from luthier.tasks.readings.text_pair import TEXT_PAIR
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="text-pair-regression", reading=TEXT_PAIR, answer=NUMBER)

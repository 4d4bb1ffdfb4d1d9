"""A number for a text: a rating, a price, how hard it is to read. Columns: a text and a number."""

from luthier.tasks.answers.number import NUMBER
from luthier.tasks.readings.text import TEXT
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="text-regression", reading=TEXT, answer=NUMBER)

"""A number for a picture: a count, an age, a size. Columns: an image and a number."""

from luthier.tasks.answers.number import NUMBER
from luthier.tasks.readings.image import IMAGE
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="image-regression", reading=IMAGE, answer=NUMBER)

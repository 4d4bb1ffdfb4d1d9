"""One label for a picture. Columns: an image and a label; or a folder with one sub-folder per label."""

from luthier.tasks.answers.label import LABEL
from luthier.tasks.readings.image import IMAGE
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="image-classification", reading=IMAGE, answer=LABEL)

"""Any number of labels for a picture: what is to be seen in it. Columns: an image and a list of labels."""

from luthier.tasks.answers.labels import LABELS_AND_RANKING
from luthier.tasks.readings.image import IMAGE
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="image-multi-label", reading=IMAGE, answer=LABELS_AND_RANKING)

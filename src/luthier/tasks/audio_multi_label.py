"""Any number of labels for a recording: birds that sing, faults of a machine. Columns: a file of sound and a list of labels."""

from luthier.tasks.answers.labels import LABELS_AND_RANKING
from luthier.tasks.readings.audio import AUDIO
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="audio-multi-label", reading=AUDIO, answer=LABELS_AND_RANKING)

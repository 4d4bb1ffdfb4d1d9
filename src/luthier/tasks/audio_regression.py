"""A number for a recording: a pitch, a level, an age. Columns: a file of sound and a number."""

from luthier.tasks.answers.number import NUMBER
from luthier.tasks.readings.audio import AUDIO
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="audio-regression", reading=AUDIO, answer=NUMBER)

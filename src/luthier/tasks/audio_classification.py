"""One label for a recording: words, speakers, sounds, machines. Columns: a file of sound and a label; or a folder with one
sub-folder per label."""

from luthier.tasks.answers.label import LABEL
from luthier.tasks.readings.audio import AUDIO
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="audio-classification", reading=AUDIO, answer=LABEL)

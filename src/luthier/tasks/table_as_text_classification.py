"""One label for a row of a table that is written as a sentence and read by a text model. Columns: any, and a label.

A second way to read a table: pre-trained on language instead of on the table, it knows what `contract` means, and not how far
12 is from 13. Only taken when asked for by name.
"""

from luthier.tasks.answers.label import Label
from luthier.tasks.boosting import boosted_trees
from luthier.tasks.readings.table_as_text import TABLE_AS_TEXT, fit_if_asked
from luthier.tasks.row_task import RowTask
from luthier.tasks.table_classification import MEASURES

TASK = RowTask(
    name="table-as-text-classification",
    reading=TABLE_AS_TEXT,
    answer=Label(measures=MEASURES),
    fit=fit_if_asked,
    classic=boosted_trees,
)

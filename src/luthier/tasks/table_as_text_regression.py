"""A number for a row of a table that is written as a sentence and read by a text model. Columns: any, and a number.

Only taken when asked for by name, as `table-as-text-classification`.
"""

from luthier.tasks.answers.number import NUMBER
from luthier.tasks.boosting import boosted_trees
from luthier.tasks.readings.table_as_text import TABLE_AS_TEXT, fit_if_asked
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="table-as-text-regression", reading=TABLE_AS_TEXT, answer=NUMBER, fit=fit_if_asked, classic=boosted_trees)

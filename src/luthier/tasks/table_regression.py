"""A number for a row of a table: prices, demand, scores. Columns: numbers, categories, dates and texts, and a number."""

from luthier.tasks.answers.number import NUMBER
from luthier.tasks.boosting import boosted_trees
from luthier.tasks.readings.table import TABLE, fit_of_table
from luthier.tasks.row_task import RowTask

TASK = RowTask(name="table-regression", reading=TABLE, answer=NUMBER, fit=fit_of_table, classic=boosted_trees)

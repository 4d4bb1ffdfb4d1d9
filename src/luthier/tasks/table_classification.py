"""One label for a row of a table: churn, fraud, risk. Columns: numbers, categories, dates and texts, and a label."""

from luthier.tasks.answers.label import Label
from luthier.tasks.boosting import boosted_trees
from luthier.tasks.readings.table import TABLE, fit_of_table
from luthier.tasks.row_task import RowTask

MEASURES = ("roc_auc", "average_precision", "accuracy", "macro_f1", "macro_precision", "macro_recall", "log_loss")
TASK = RowTask(
    name="table-classification", reading=TABLE, answer=Label(measures=MEASURES), fit=fit_of_table, classic=boosted_trees
)

"""Kinds of problems, one file each. `TASKS` is the list; a new kind is a new file and a line here."""

from luthier.core.decision import Decision
from luthier.core.family import Family
from luthier.data.schema import Schema
from luthier.errors import DataError
from luthier.tasks.protocol import Task

TASKS: Family[Task] = Family(
    "task",
    {
        "image-classification": "luthier.tasks.image_classification:TASK",
        "text-classification": "luthier.tasks.text_classification:TASK",
    },
)


def choose_task(schema: Schema, *, name: str = "auto") -> tuple[Task, Decision[str]]:
    """The task that fits the columns, or the one named.

    Raises:
        SpecError: no task has that name.
        DataError: no task fits, or the one named does not; says what each of them misses.
    """
    if name != "auto":
        task = TASKS[name]
        if not (match := task.match(schema)).value:
            raise _no_match(schema, {name: match.reason})
        return task, Decision(name="task", value=name, reason="as asked")
    reasons = {}
    for candidate in TASKS:
        task = TASKS[candidate]
        match = task.match(schema)
        if match.value:
            return task, Decision(name="task", value=candidate, reason=match.reason, override="--task NAME")
        reasons[candidate] = match.reason
    raise _no_match(schema, reasons)


def _no_match(schema: Schema, reasons: dict[str, str]) -> DataError:
    columns = ", ".join(f"'{column.name}' ({column.kind})" for column in schema.columns)
    lines = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return DataError(f"No task fits the columns {columns}. {lines}.", remedy="--text COLUMN --target COLUMN")

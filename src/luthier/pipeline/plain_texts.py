"""Data of tasks that tell the texts themselves: there is no answer, so the column with the texts is the target as well."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.data.settings import DataSettings
from luthier.errors import DataError, SpecError
from luthier.spec import TuneSpec
from luthier.tasks import TASKS
from luthier.tasks.language_task import LIKELIHOOD

KEPT = ("text", "group", "time", "id")  # of the roles that columns may play


def tells_texts(task: str) -> bool:
    """Whether a task, by its name, is to tell the texts themselves.

    Example:
        >>> tells_texts("masked-language-modeling"), tells_texts("text-classification"), tells_texts("auto")
        (True, False, False)
    """
    return task != "auto" and TASKS[task].answer_kind == LIKELIHOOD


def refuse_target(spec: TuneSpec) -> None:
    """Raise SpecError if a column is named for answers, where nothing is answered."""
    target, text = spec.data.target, spec.data.text
    if tells_texts(spec.task) and target is not None and text is not None and target != text:
        raise SpecError(
            f"{spec.task} learns from the texts alone; --target names '{target}'.", remedy=f"--text {text}, without --target"
        )


def as_text_settings(settings: DataSettings) -> DataSettings:
    """What a run says of its columns: its one column is the text, however it is named."""
    return settings.model_copy(update={"text": settings.text or settings.target, "target": None})


def as_own_target(schema: Schema, decisions: Sequence[Decision[Any]], *, name: str) -> tuple[Schema, list[Decision[Any]]]:
    """The schema with the texts as the target too, and the decisions that still mean something.

    Raises:
        DataError: no column holds texts.
    """
    if "text" not in schema.roles:
        columns = ", ".join(f"'{column.name}' ({column.kind})" for column in schema.columns)
        raise DataError(f"No column of {name} looks like texts: {columns}.", remedy=f"--text {schema.columns[0].name}")
    roles = {role: column for role, column in schema.roles.items() if role in KEPT}
    kept = [decision for decision in decisions if decision.name in (*KEPT, "documents")]
    return replace(schema, roles={**roles, "target": roles["text"]}, features=()), kept

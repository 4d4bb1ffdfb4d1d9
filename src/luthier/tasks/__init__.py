"""Kinds of problems, one file each. `TASKS` is the list; a new kind is a new file and a line here.

Of tasks that fit a table equally well the first in the list is taken: those that read more of it come first.
"""

from typing import Any

from luthier.core.decision import Decision
from luthier.core.family import Family
from luthier.data.dataset import Dataset
from luthier.data.schema import Schema
from luthier.errors import DataError
from luthier.models.settings import NetworkKind
from luthier.tasks.further import SuitedTask
from luthier.tasks.protocol import FIT, Task

MADE_FOR_IT = 0.3  # how much better a task fits that uses the model as it was made

TASKS: Family[Task] = Family(
    "task",
    {
        "chat": "luthier.tasks.chat:TASK",
        "instruction": "luthier.tasks.instruction:TASK",
        "token-classification": "luthier.tasks.token_classification:TASK",
        "token-tagging": "luthier.tasks.token_tagging:TASK",
        "audio-classification": "luthier.tasks.audio_classification:TASK",
        "audio-multi-label": "luthier.tasks.audio_multi_label:TASK",
        "audio-regression": "luthier.tasks.audio_regression:TASK",
        "speech-to-text": "luthier.tasks.speech_to_text:TASK",
        "speech-recognition": "luthier.tasks.speech_recognition:TASK",
        "sequence-to-sequence": "luthier.tasks.sequence_to_sequence:TASK",
        "summarization": "luthier.tasks.summarization:TASK",
        "object-detection": "luthier.tasks.object_detection:TASK",
        "image-classification": "luthier.tasks.image_classification:TASK",
        "image-multi-label": "luthier.tasks.image_multi_label:TASK",
        "image-regression": "luthier.tasks.image_regression:TASK",
        "question-answering": "luthier.tasks.question_answering:TASK",
        "span-extraction": "luthier.tasks.span_extraction:TASK",
        "text-retrieval": "luthier.tasks.text_retrieval:TASK",
        "text-similarity": "luthier.tasks.text_similarity:TASK",
        "text-pair-classification": "luthier.tasks.text_pair_classification:TASK",
        "text-pair-multi-label": "luthier.tasks.text_pair_multi_label:TASK",
        "text-pair-regression": "luthier.tasks.text_pair_regression:TASK",
        "text-classification": "luthier.tasks.text_classification:TASK",
        "text-multi-label": "luthier.tasks.text_multi_label:TASK",
        "text-regression": "luthier.tasks.text_regression:TASK",
        "table-classification": "luthier.tasks.table_classification:TASK",
        "table-regression": "luthier.tasks.table_regression:TASK",
        "table-as-text-classification": "luthier.tasks.table_as_text_classification:TASK",
        "table-as-text-regression": "luthier.tasks.table_as_text_regression:TASK",
        "masked-language-modeling": "luthier.tasks.masked_language_modeling:TASK",
        "causal-language-modeling": "luthier.tasks.causal_language_modeling:TASK",
    },
)


def choose_task(schema: Schema, *, name: str = "auto", network: NetworkKind | None = None) -> tuple[Task, Decision[str]]:
    """The task that fits the columns, or the one named.

    Args:
        network: What the model was made for, where that is known: of tasks that fit about as well the one that uses it so.

    Raises:
        SpecError: no task has that name.
        DataError: no task fits, or the one named does not; says what each of them misses.
    """
    if name != "auto":
        task = TASKS[name]
        if not (match := task.match(schema)).value:
            raise _no_match(schema, {name: match.reason})
        return task, Decision(name="task", value=name, reason="as asked")
    matches = {candidate: TASKS[candidate].match(schema) for candidate in TASKS}
    fitting = [candidate for candidate, match in matches.items() if match.value]
    if not fitting:
        raise _no_match(schema, {candidate: match.reason for candidate, match in matches.items()})
    suits = {candidate for candidate in fitting if network is not None and TASKS[candidate].network == network}

    def fit(candidate: str) -> float:
        return float(matches[candidate].evidence.get(FIT, 1.0)) + MADE_FOR_IT * (candidate in suits)

    best = max(fitting, key=fit)  # of equals the first
    others = [candidate for candidate in fitting if candidate != best]
    evidence = {"also": others} if others else {}
    reason = matches[best].reason + ("; the model was made for it" if best in suits else "")
    return TASKS[best], Decision(name="task", value=best, reason=reason, evidence=evidence, override="--task NAME")


def suited_task(task: Task, dataset: Dataset) -> tuple[Task, list[Decision[Any]]]:
    """The task as it is for these data, where it says that they decide something about it; else as it is."""
    if not isinstance(task, SuitedTask):
        return task, []
    changed, decision = task.suited(dataset)
    return changed, [decision]


def _no_match(schema: Schema, reasons: dict[str, str]) -> DataError:
    columns = ", ".join(f"'{column.name}' ({column.kind})" for column in schema.columns)
    lines = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return DataError(f"No task fits the columns {columns}. {lines}.", remedy="--text COLUMN --target COLUMN")

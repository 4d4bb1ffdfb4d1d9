"""A short text that says what a long one says. Columns: the text (or its sentences) and its summary (or several right ones)."""

from luthier.tasks.sequence_baselines import CENTRAL, FIRST
from luthier.tasks.sequence_task import SequenceTask

LEAST_WORDS, TIMES_SHORTER = 30, 2.5  # of sources of summaries, on average


def _fit(source_words: float, target_words: float) -> float:
    """Better than writing in general where long sources have targets much shorter than they are."""
    return 0.95 if source_words >= max(LEAST_WORDS, TIMES_SHORTER * target_words) else 0.5


TASK = SequenceTask(
    name="summarization",
    measures=("rouge_l", "rouge_1", "rouge_2", "chrf"),
    baselines=(FIRST, CENTRAL),
    fit=_fit,
    verb="summarises",
    example='"We show that birds fly. Our method is to look up."',
)

"""A text written from another: translation, paraphrase, correction. Columns: the source, and one target or more."""

from luthier.tasks.sequence_baselines import COPY, MEMORY
from luthier.tasks.sequence_task import SequenceTask


def _fit(source_words: float, target_words: float) -> float:
    return 0.9  # prompts with completions are for language models first


TASK = SequenceTask(
    name="sequence-to-sequence",
    measures=("chrf", "bleu", "rouge_l", "same_text"),
    baselines=(COPY, MEMORY),
    fit=_fit,
    verb="is written from",
    example='"Where is my card?"',
)

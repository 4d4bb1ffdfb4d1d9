"""What the choice of a model asks of tasks that have a language model write texts; nothing of all others."""

from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Int

from luthier.core.decision import Decision
from luthier.errors import SpecError
from luthier.models.backbone import Backbone
from luthier.models.chat_template import AUTO, NONE, chosen_template
from luthier.models.processors import Processor, TextProcessor
from luthier.pipeline.found import Found
from luthier.pipeline.packing import choose_packing
from luthier.pipeline.spoken import speak
from luthier.spec import TuneSpec
from luthier.tasks.further import ReplyingTask
from luthier.tasks.inputs import AnsweredInputs
from luthier.tasks.protocol import Task


def with_template(processor: Processor, task: Task, asked: str) -> tuple[Processor, list[Decision[Any]]]:
    """The processor with the chat template that was asked for.

    Raises:
        SpecError: a template was asked for, and the task writes no conversations; or there is no such file.
    """
    if not isinstance(task, ReplyingTask) or not isinstance(processor, TextProcessor):
        if asked != AUTO:
            raise SpecError(
                f"--chat-template is for language models; {task.name} reads none.", remedy="leave --chat-template out"
            )
        return processor, []
    chosen = chosen_template(asked, processor.chat_template)
    reason = f"from {asked}" if asked not in (AUTO, NONE) else "the model's own" if chosen else "as asked"
    if chosen is None and asked == AUTO:
        reason = "the model has none: who speaks and a colon stand before what is said, and prompts stand as they are"
    value = "plain" if chosen is None else "own" if asked == AUTO else asked
    decision = Decision(name="chat_template", value=value, reason=reason, override="--chat-template none|FILE")
    return processor.with_chat_template(chosen), [decision]


def language_decisions(
    spec: TuneSpec,
    task: Task,
    backbone: Backbone,
    found: Found,
    units: Int[np.ndarray, " u"],
    *,
    known: Bool[np.ndarray, " u"],
) -> list[Decision[Any]]:
    """What will be learnt, whether texts share rows, and how long answers may become, where a task has such things.

    Args:
        units: Of train.
        known: Which of them can be learnt from.
    """
    packing = choose_packing(spec.training, backbone, found.inputs, units[known])
    shown = task.preview(found.inputs, units, found.processor) if isinstance(task, ReplyingTask) else []
    return [*shown, *filter(None, [packing]), *_generation_decision(spec, task, backbone, found, units)]


def _generation_decision(
    spec: TuneSpec, task: Task, backbone: Backbone, found: Found, units: Int[np.ndarray, " u"]
) -> list[Decision[Any]]:
    """How long answers may become that the model writes, set down in the network; nothing for other models."""
    if task.generate is None:
        return []
    from luthier.models.generation import choose_max_new_tokens, set_generation

    decision = choose_max_new_tokens(cast("AnsweredInputs", found.inputs).answer_lengths[units], spec.generation)
    known = task.ends(found.processor) if isinstance(task, ReplyingTask) else ()
    set_generation(backbone.network, spec.generation, max_new_tokens=decision.value, ends=known)
    speak(backbone, found.processor)
    return [decision]

"""What is learnt of texts, shown before anything is: how many of the tokens, and an example with these between marks."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Int

from luthier.core.decision import Decision
from luthier.core.names import count_of
from luthier.data.wording import percent
from luthier.models.text_processor import TextProcessor
from luthier.tasks.reply_inputs import ReplyInputs

OPENS, CLOSES = "⟦", "⟧"
SHOWN_CHARACTERS = 600


def preview(inputs: ReplyInputs, units: Int[np.ndarray, " u"], processor: TextProcessor) -> list[Decision[Any]]:
    """The share of the tokens of some units that are learnt, and the first unit with something learnt in it."""
    tokens = [slice(int(inputs.tokens.offsets[unit]), int(inputs.tokens.offsets[unit + 1])) for unit in units.tolist()]
    learnt = [int(inputs.learnt[own].sum()) for own in tokens]
    total, counted = sum(own.stop - own.start for own in tokens), sum(learnt)
    first = next((own for own, number in zip(tokens, learnt, strict=True) if number), None)
    shown = "" if first is None else marked_text(inputs.tokens.ids[first], inputs.learnt[first], processor)
    told = [f"{counted:,} of {total:,} tokens of train are learnt, the others only read"]
    if (cut := int((inputs.cut[units] > 0).sum())) > 0:
        told.append(f"{count_of(cut, 'row')} lost the beginning of the context, or the end of a long answer (--max-length)")
    if lost := int(inputs.lost[units].sum()):
        told.append(f"{count_of(lost, 'answer')} in the middle cannot be found again in the template's text, and is only read")
    return [
        Decision(
            name="learnt_tokens",
            value=percent(counted / max(1, total)),
            reason="; ".join(told),
            evidence={"tokens": total, "learnt": counted, "rows_cut": cut, "answers_lost": lost},
        ),
        Decision(name="example", value=f"{OPENS}learnt{CLOSES}", reason=_one_line(shown) or "nothing is learnt"),
    ]


def marked_text(ids: Sequence[int] | np.ndarray, learnt: Sequence[bool] | np.ndarray, processor: TextProcessor) -> str:
    """A text, special tokens included, what is learnt between marks."""
    pieces = []
    for is_learnt, group in groupby(
        zip(np.asarray(ids).tolist(), np.asarray(learnt).tolist(), strict=True), lambda pair: pair[1]
    ):
        text = processor.decode([number for number, _ in group], special=True)
        pieces.append(f"{OPENS}{text}{CLOSES}" if is_learnt else text)
    return "".join(pieces)


def _one_line(text: str) -> str:
    """Line breaks shown as such; of a long text what stands around the first mark."""
    line = text.replace("\n", "⏎")
    if len(line) <= SHOWN_CHARACTERS:
        return line
    start = max(0, line.find(OPENS) - SHOWN_CHARACTERS // 2)
    kept = line[start : start + SHOWN_CHARACTERS]
    return ("…" if start else "") + kept + ("…" if start + SHOWN_CHARACTERS < len(line) else "")

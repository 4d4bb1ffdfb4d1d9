"""Beam search over what frames can say: the likeliest text, all ways of spreading it over the frames added up. NumPy only.

Use when: a network of frames (CTC) is to be asked as well as it can be; the best path takes the best character of each frame by
itself, and misses texts that many paths share.
Cost: beams times characters for each frame, in Python: about a second for a minute of speech with 10 beams.
Suggested values: 5 to 20 beams; without a language model more change nothing.
Source: Graves & Jaitly 2014, "Towards end-to-end speech recognition with recurrent neural networks"; Hannun et al. 2014,
"First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs".
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from luthier.tasks.inputs import EMPTY
from luthier.tasks.transcripts import BLANK

Prefix = tuple[int, ...]
Scores = tuple[float, float]  # log probabilities of the paths of a prefix that end in a blank, and in its last character
NOTHING = -math.inf


def best_prefixes(logits: Float[np.ndarray, "B T V"], width: int, *, beams: int) -> Float[np.ndarray, "B width"]:
    """The likeliest text of each recording, as places of characters filled up with `EMPTY`.

    Args:
        logits: Of the blank and of each character.
        width: Places of the result.
        beams: Beginnings of texts that are followed side by side, and characters that are tried in a frame.

    Example:
        >>> probs = np.array([[[0.4, 0.6], [0.6, 0.4]]])  # the best path says 1, and so do three paths of four
        >>> best_prefixes(np.log(probs), 3, beams=4).tolist()
        [[1.0, -1.0, -1.0]]
    """
    found = np.full((len(logits), width), EMPTY, dtype=np.float32)
    for row, frames in enumerate(np.asarray(logits, dtype=np.float64)):
        best = _best_prefix(frames - _log_sums(frames)[:, None], beams)[:width]
        found[row, : len(best)] = best
    return found


def _log_sums(frames: Float[np.ndarray, "T V"]) -> Float[np.ndarray, " T"]:
    most = frames.max(axis=1)
    return np.asarray(np.log(np.exp(frames - most[:, None]).sum(axis=1)) + most)


def _best_prefix(log_probs: Float[np.ndarray, "T V"], beams: int) -> Prefix:
    kept: dict[Prefix, Scores] = {(): (0.0, NOTHING)}
    for frame in log_probs:
        order = np.argsort(-frame[1:], kind="stable")[:beams] + 1
        grown = _grown(kept, frame, [int(character) for character in order])
        likeliest = sorted(grown, key=lambda prefix: -_added(*grown[prefix]))[:beams]
        kept = {prefix: grown[prefix] for prefix in likeliest}
    return max(kept, key=lambda prefix: _added(*kept[prefix]))


def _grown(kept: Mapping[Prefix, Scores], frame: Float[np.ndarray, " V"], tried: list[int]) -> dict[Prefix, Scores]:
    """The beginnings after one more frame: as they are, or with one more character."""
    grown: dict[Prefix, Scores] = {}

    def add(prefix: Prefix, *, blank: float = NOTHING, spoken: float = NOTHING) -> None:
        before = grown.get(prefix, (NOTHING, NOTHING))
        grown[prefix] = (_added(before[0], blank), _added(before[1], spoken))

    for prefix, (blank, spoken) in kept.items():
        whole = _added(blank, spoken)
        add(prefix, blank=whole + float(frame[BLANK]))
        if prefix:
            add(prefix, spoken=spoken + float(frame[prefix[-1]]))
        for character in tried:
            before = blank if prefix and prefix[-1] == character else whole  # a repeat needs a blank between
            if before > NOTHING:
                add((*prefix, character), spoken=before + float(frame[character]))
    return grown


def _added(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    high, low = (one, other) if one >= other else (other, one)
    return high if low == NOTHING else high + math.log1p(math.exp(low - high))

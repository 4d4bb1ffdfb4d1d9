"""Probe: only the head, on frozen features; a linear one is fitted to the end instead of trained in steps.

Use when: first, always; alone for a few dozen rows per class or where seconds count.
Cost: one pass over the data, then seconds. Forgets nothing: the backbone is untouched.
Source: Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes".
"""

from dataclasses import replace

from luthier.training.methods.rung import Rung, refuse_argument


def make_rung(argument: str, num_blocks: int) -> Rung:
    """No block trains."""
    refuse_argument("probe", argument)
    return Rung(name="probe", boundary=num_blocks, num_epochs=0, learning_rate=0.0, head_learning_rate=0.0)


def in_steps(probe: Rung, *, is_linear: bool = False) -> Rung:
    """The same rung for a head that nothing can be fitted for at once: it is trained like any other, on stored features.

    A linear head bears a high rate, and needs it: at 1e-3 one on the tokens of RESTAURANTS-8K had found little when early
    stopping lost patience (span F1 0.14 on validation; 0.61 at 1e-2).
    """
    return replace(probe, num_epochs=20, head_learning_rate=1e-2 if is_linear else 1e-3)

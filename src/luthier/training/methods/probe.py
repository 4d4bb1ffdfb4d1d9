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


def in_steps(probe: Rung) -> Rung:
    """The same rung for a head that nothing can be fitted for at once: it is trained like any other, on stored features."""
    return replace(probe, num_epochs=20, head_learning_rate=1e-3)

"""Probe: only a linear head on frozen, pooled features.

Use when: first, always; alone for a few dozen rows per class or where seconds count.
Cost: one pass over the data, then seconds. Forgets nothing: the backbone is untouched.
Source: Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes".
"""

from luthier.training.methods.rung import Rung, refuse_argument


def make_rung(argument: str, num_blocks: int) -> Rung:
    """No block trains."""
    refuse_argument("probe", argument)
    return Rung(name="probe", boundary=num_blocks, num_epochs=0, learning_rate=0.0, head_learning_rate=0.0)

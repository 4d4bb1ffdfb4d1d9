"""Gradual unfreezing: the model while only some of the blocks train that will train in the end.

The optimizer knows every weight that will ever train; those below the present boundary are frozen, have no gradient, and are
left alone by it. So nothing that has begun to train is disturbed when a further block begins.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from luthier.training.data import TrainingRows
from luthier.training.model import TunedModel


@contextmanager
def training_from(
    model: TunedModel, boundary: int, parts: Callable[[int], tuple[TrainingRows, TrainingRows]]
) -> Iterator[tuple[TrainingRows, TrainingRows]]:
    """Inside the block, what lies below `boundary` is frozen, and not even computed where its outputs are stored.

    Yields:
        The rows of train and validation for this boundary.
    """
    train, validation = parts(boundary)
    model.freeze_below(boundary)
    with starting(model, train):
        yield train, validation


def starting(model: TunedModel, train: TrainingRows) -> AbstractContextManager[None]:
    """The context in which the backbone starts at the first block that trains now, if its rows come from the store."""
    return model.backbone.starting_at(model.backbone.start_of(model.boundary)) if train.store is not None else nullcontext()

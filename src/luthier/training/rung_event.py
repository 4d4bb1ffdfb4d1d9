"""What the journal says when a rung begins."""

from typing import Any

from luthier.training.fit_settings import FitSettings
from luthier.training.methods.rung import Rung
from luthier.training.model import TunedModel


def started_event(model: TunedModel, rung: Rung, settings: FitSettings) -> dict[str, Any]:
    """What is going to train, and how fast; where blocks begin one by one: the first boundary, and how many weights in all."""
    with model.tuning(rung.boundary, rung.moves) as trainable:
        count = sum(parameter.numel() for parameter in trainable.values())
    return {
        "event": "rung_started",
        "rung": rung.name,
        "boundary": rung.boundaries[0],
        "num_blocks": model.backbone.num_blocks,
        "trainable_parameters": count,
        "moves": rung.moves,
        "learning_rate": settings.learning_rate,
        "head_learning_rate": settings.head_learning_rate,
        "num_epochs": settings.num_epochs,
        "micro_batch": settings.micro_batch,
    }

"""What the self-test looks at, and the words in which its checks report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int
from torch import Tensor, nn

from luthier.core.seeding import generator_for
from luthier.errors import PreflightError
from luthier.training.data import TrainingRows
from luthier.training.device import autocast
from luthier.training.fit_settings import FitSettings
from luthier.training.methods.rung import Moves
from luthier.training.model import TunedModel
from luthier.training.regularization import NO_PENALTIES
from luthier.training.step import Loss

TRIAL_ROWS = 16
FEW_ROWS = 8
MOST_NAMED = 3
ADAPTER_MARKS = (".lora_", ".ia3_")  # how peft calls what an adapter adds
ALL_THE_SAME = "--no-preflight trains all the same"

StartRange = Callable[[Int[np.ndarray, " B"]], tuple[float, float]]
SaveAndLoad = Callable[[TunedModel], TunedModel]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A check that was passed.

    Attributes:
        name: Of the check.
        found: What it looked at and saw, in a sentence.
    """

    name: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One training, before its first step.

    Attributes:
        model: Inside `tuning`.
        trainable: What trains, by name.
        asked: Names of what should train.
        rows: What is trained on.
        settings: Of the training.
        loss: What is lowered.
        plain_loss: The same without what holds it away from zero (label smoothing).
        rates: Learning rates of backbone and head at which the method is known to learn.
        is_convex: Whether nothing but a linear head trains: it need not be able to learn a batch by heart.
        start: Rows of the part -> range in which their mean plain loss must lie at the start; None if nothing is known.
        save_and_load: Saves a model and reads it again; None where that is not to be tried.
    """

    model: TunedModel
    trainable: Mapping[str, nn.Parameter]
    asked: frozenset[str]
    rows: TrainingRows
    settings: FitSettings
    loss: Loss
    plain_loss: Loss
    rates: tuple[float, float]
    is_convex: bool = False
    start: StartRange | None = None
    save_and_load: SaveAndLoad | None = None

    @property
    def calm(self) -> FitSettings:
        """The settings without penalties."""
        return replace(self.settings, penalties=NO_PENALTIES, weight_decay=0.0, ema_decay=0.0)

    def some_rows(self, number: int, *, purpose: str) -> Int[np.ndarray, " B"]:
        """Some rows with inputs that all differ, shuffled so that labels take turns."""
        _, first = np.unique(self.rows.inputs.keys[self.rows.rows], return_index=True)
        shuffled = generator_for(self.settings.seed, f"preflight/{purpose}").permutation(first)
        if self.rows.targets.ndim != 1:
            return np.asarray(shuffled[:number])
        turns = np.zeros(len(shuffled), dtype=np.int64)
        seen: dict[int, int] = {}
        for place, target in enumerate(self.rows.targets[shuffled].tolist()):
            turns[place] = seen[target] = seen.get(target, -1) + 1
        return np.asarray(shuffled[np.argsort(turns, kind="stable")[:number]])

    def outputs(self, places: Int[np.ndarray, " B"]) -> tuple[Tensor, Tensor]:
        """Outputs without dropout, with their graph, and targets of some rows; in the precision of the training."""
        self.model.eval_mode()
        batch = self.rows.batch(places)
        with autocast(self.settings.device, self.settings.precision):
            return self.model(batch.inputs, batch.stored), batch.targets


def plain_outputs(subject: Subject, places: Int[np.ndarray, " B"]) -> Tensor:
    """Outputs in float32 whatever the training computes in: an influence must stand out from rounding."""
    subject.model.eval_mode()
    batch = subject.rows.batch(places)
    return subject.model(batch.inputs, batch.stored).float()  # type: ignore[no-any-return]


def asked_names(model: TunedModel, boundary: int, moves: Moves) -> frozenset[str]:
    """What should train, by where each tensor stands in the network; and the whole head. To be asked inside `tuning`.

    Args:
        boundary: First block that trains.
        moves: What of the blocks from there on.
    """
    backbone, last = model.backbone, model.backbone.num_blocks - 1 - boundary
    named = [(name, item) for name, item in backbone.network.named_parameters() if name not in backbone.fixed]
    network = [
        name for name, item in named if item.is_floating_point() and (boundary <= 0 or backbone.blocks_above(name) <= last)
    ]
    if moves == "biases":
        network = [name for name in network if name.endswith("bias")]
    elif moves != "all":
        network = [name for name in network if any(mark in name for mark in ADAPTER_MARKS)]
    return frozenset(
        [*(f"backbone.network.{name}" for name in network), *(f"head.{name}" for name, _ in model.head.named_parameters())]
    )


def shown(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def names_of(subject: Subject, places: Int[np.ndarray, " B"]) -> str:
    """What to call some of the part's rows."""
    return ", ".join(subject.rows.names_of(places[:MOST_NAMED]))


def fault(check: str, what: str, remedy: str) -> PreflightError:
    """The error of a check that failed."""
    return PreflightError(f"The self-test before the first step failed at '{check}': {what}.", remedy=remedy)

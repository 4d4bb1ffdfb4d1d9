"""The self-test before the first step: what could make a training silently worthless is looked for while it costs seconds.

Use when: always; `--no-preflight` leaves it out.
Cost: a few dozen small batches, and the model once to disk and back: seconds for each method that trains.
Source: Karpathy 2019, "A recipe for training neural networks" (loss at the start, one batch overfitted); Breck et al. 2017,
"The ML test score".

The checks stand in the files beside this one; here they are run, and everything they moved is put back bit for bit: weights,
buffers, gradients, random generators. The optimizer they use is their own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.names import count_of
from luthier.core.process import Stopwatch
from luthier.models.heads import is_linear
from luthier.training.data import TrainingRows
from luthier.training.fit_settings import FitSettings
from luthier.training.loop import Supervision
from luthier.training.methods.rung import Rung
from luthier.training.model import TunedModel
from luthier.training.preflight.labels import check_labels, check_start_loss
from luthier.training.preflight.movement import check_moved, check_parameters
from luthier.training.preflight.overfitting import check_overfitting
from luthier.training.preflight.saving import check_saved
from luthier.training.preflight.subject import Checked, SaveAndLoad, StartRange, Subject, asked_names
from luthier.training.snapshot import put_back
from luthier.training.step import Loss
from luthier.training.unfreezing import starting

CHECKS = (check_labels, check_start_loss, check_parameters, check_moved, check_overfitting)


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What the self-test of one training has shown.

    Attributes:
        checks: Each with what it found.
        seconds: It took.
    """

    checks: Sequence[Checked]
    seconds: float

    def __str__(self) -> str:
        return f"self-test: {count_of(len(self.checks), 'check')} passed in {self.seconds:.1f} s"


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """What the self-tests of a run need to know beyond the training itself.

    Attributes:
        plain_loss: The loss without what holds it away from zero.
        start: Row numbers -> range in which their mean plain loss must lie before the first step; None if nothing is known.
        save_and_load: Saves a model and reads it again.
    """

    plain_loss: Loss
    start: StartRange | None
    save_and_load: SaveAndLoad | None

    def run(
        self, model: TunedModel, rung: Rung, rows: TrainingRows, settings: FitSettings, *, loss: Loss, supervision: Supervision
    ) -> None:
        """Test one rung before its first step, and tell what was found.

        Args:
            model: With the weights that the training starts from.
            rows: What is trained on.

        Raises:
            PreflightError: a check found a fault.
        """
        start, watch = self.start, Stopwatch()
        with model.tuning(rung.boundary, rung.moves) as trainable:
            subject = Subject(
                model=model,
                trainable=trainable,
                asked=asked_names(model, rung.boundary, rung.moves),
                rows=rows,
                settings=settings,
                loss=loss,
                plain_loss=self.plain_loss,
                is_convex=rung.boundary >= model.backbone.num_blocks and is_linear(model.head),
                rates=(rung.learning_rate, rung.head_learning_rate),
                start=None if start is None else lambda places: start(rows.rows[places]),
                save_and_load=self.save_and_load,
            )
            done = run_preflight(subject)
        supervision.observer.note(str(done))
        supervision.record({"event": "preflight", "checks": done.checks, "cost": watch.read()})


def run_preflight(subject: Subject) -> Preflight:
    """Check one training before its first step; the model is afterwards what it was, to the bit.

    Args:
        subject: Inside `tuning`, and not yet inside `starting`.

    Raises:
        PreflightError: a check found a fault; says which, with what was expected and found.
    """
    begin = time.perf_counter()
    with put_back(subject.model, subject.trainable, device=subject.settings.device):
        with starting(subject.model, subject.rows):
            checks = [check(subject) for check in CHECKS if not (subject.is_convex and check is check_overfitting)]
        # Last, with weights that the other checks have moved: a copy of old weights would be found out.
        if subject.save_and_load is not None:
            checks.append(check_saved(subject, subject.save_and_load))
    return Preflight(checks=checks, seconds=time.perf_counter() - begin)

"""What a model that is adapted to texts still tells of those it knew: general texts, scored before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from luthier.core.names import count_of
from luthier.evaluation.bootstrap import resample
from luthier.evaluation.card import intervals_of
from luthier.evaluation.display import format_score, measure_title
from luthier.evaluation.measures import MEASURES
from luthier.evaluation.records import Interval
from luthier.evaluation.verdict import Change
from luthier.package.model import Model
from luthier.pipeline.general import GeneralTexts
from luthier.spec import TuneSpec
from luthier.tasks.protocol import Task, TaskState

NOT_MEASURED = "What it has forgotten was not measured: no general texts were given (--general FILE)."


@dataclass(frozen=True, kw_only=True)
class Retained:
    """How well general texts are told, before and after.

    Attributes:
        scores: By model (`pretrained`, `tuned`) and measure.
        changes: What the verdict is to know.
        about: In a sentence.
    """

    scores: dict[str, dict[str, Interval]] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    about: str = ""


def measure_retained(
    spec: TuneSpec, task: Task, state: TaskState, general: GeneralTexts | None, *, before: Model, after: Model
) -> Retained:
    """Score general texts with the model as it came and as it is now.

    Args:
        before: The pre-trained model.
        after: The tuned one, as it was saved.
    """
    if general is None:
        return Retained(about=NOT_MEASURED)
    roles = {"text": "text", "target": "text"}
    rows = task.rows(general.scored, roles)
    said = {
        name: task.predictions(general.scored, model.predict_numbers(rows), state, roles)
        for name, model in (("pretrained", before), ("tuned", after))
    }
    measures = [MEASURES[name] for name in task.measures]
    drawn = resample(said, measures, samples=spec.evaluation.bootstrap_samples, seed=spec.training.seed)
    scores = intervals_of(drawn, measures, spec.evaluation.confidence)
    name = task.primary_measure
    old, new = (scores[model][name].value for model in ("pretrained", "tuned"))
    limit = spec.evaluation.general_limit * old
    change = Change(what=f"the {measure_title(name)} of general texts", before=old, after=new, limit=limit, direction="lower")
    about = (
        f"General texts ({count_of(len(rows), 'text')} of {general.name}): {measure_title(name)} {format_score(name, old)} "
        f"before, {format_score(name, new)} after ({100 * (new / old - 1):+.1f} %)."
    )
    return Retained(scores=scores, changes=[change], about=about)

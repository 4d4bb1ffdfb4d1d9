"""What a spec says that cannot both be meant, or would change nothing: told before anything is read."""

from luthier.models.settings import refuse_idle_head
from luthier.spec import TuneSpec
from luthier.training.balance import refuse_double_balance


def refuse_contradictions(spec: TuneSpec) -> None:
    """Look at the settings that depend on each other.

    Raises:
        SpecError: two of them do the same thing twice, or one is for a part that the model does not have.
    """
    refuse_idle_head(spec.model.head)
    refuse_double_balance(spec.training)

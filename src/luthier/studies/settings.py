"""What can be said about a search. These keys belong to `luthier search`; no other verb takes them."""

from pydantic import Field

from luthier.core.settings import Settings

DEFAULT_TRIALS = 30


class SearchSettings(Settings):
    """How many trials, proposed and ended how, kept where."""

    trials: int | None = Field(
        None, ge=1, description=f"Trials in all (default: {DEFAULT_TRIALS}; with --seconds, as many as fit into them)"
    )
    seconds: float | None = Field(
        None, gt=0, description="No further trial is begun once the trials have taken so many seconds, over all processes"
    )
    sampler: str = Field("tpe", description="What proposes the values of the next trial: tpe, random, grid or gp")
    pruner: str = Field("median", description="What ends trials that promise nothing: none, median or hyperband")
    study: str | None = Field(
        None, description="SQLAlchemy URL of a database that several machines share (default: study.db in the search folder)"
    )
    final: bool = Field(
        True, description="Train the best values once more as a whole run, and score test once (off: only work on the study)"
    )

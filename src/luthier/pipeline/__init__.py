"""The story: load, check, split, choose, measure before, train, measure after, package, report.

`story` tells it from beginning to end; `prepare` holds its first half, which needs no torch and is all that `check` runs.
No module here is named like a verb: importing it would put the module in the function's place.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from luthier.core.progress import Observer
from luthier.pipeline.contradictions import refuse_contradictions
from luthier.pipeline.prepare import check
from luthier.pipeline.records import CheckResult, Plan, Run, Search
from luthier.spec import TuneSpec

if TYPE_CHECKING:
    from luthier.models.backbone import Backbone
    from luthier.pipeline.search_spec import SearchSpec

__all__ = ["CheckResult", "Plan", "Run", "Search", "check", "plan", "plan_search", "resume", "search", "tune"]


def tune(spec: TuneSpec, *, observer: Observer | None = None, backbone: "Backbone | None" = None) -> Run:
    """Run the whole story; see `luthier.tune`."""
    from luthier.pipeline.story import tune as run

    refuse_contradictions(spec)
    return run(spec, observer=observer, backbone=backbone)


def resume(folder: Path, *, observer: Observer | None = None, backbone: "Backbone | None" = None) -> Run:
    """Go on with the unfinished run in a folder; see `luthier.resume`."""
    from luthier.pipeline.run_folder import unfinished_spec
    from luthier.pipeline.story import tune as run

    return run(unfinished_spec(folder), observer=observer, backbone=backbone, resumes=True)


def plan(spec: TuneSpec, *, observer: Observer | None = None) -> Plan:
    """Say what `tune` would do and cost; nothing is trained or written."""
    from luthier.pipeline.planning import plan as make

    refuse_contradictions(spec)
    return make(spec, observer=observer)


def search(asked: "SearchSpec", *, observer: Observer | None = None, resumes: bool = False) -> Search:
    """Try many settings and train the best once more; see `luthier.search`."""
    from luthier.pipeline.searching import search as run

    return run(asked, observer=observer, resumes=resumes)


def plan_search(asked: "SearchSpec", *, observer: Observer | None = None) -> Plan:
    """Say what `search` would do and cost; nothing is trained or written."""
    from luthier.pipeline.search_plan import plan_search as make

    return make(asked, observer=observer)

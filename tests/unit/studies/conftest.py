"""Studies of a made-up question, cheap to run: how good a score some values get is a formula."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from luthier.core.process import StopRequest
from luthier.studies.pruners import PRUNERS
from luthier.studies.records import Outcome
from luthier.studies.samplers import Proposals
from luthier.studies.space import Value, parse_space
from luthier.studies.study import Study, open_study
from luthier.studies.work import Report, work

SPACE = parse_space(
    {
        "training.method": {
            "choice": {"probe": {}, "full": {"learning_rate": {"log": [1e-5, 1e-1]}, "num_epochs": {"int": [1, 4]}}}
        },
        "training.l1": {"uniform": [0, 1]},
    }
)


def score_of(values: Mapping[str, Value]) -> float:
    rate = float(str(values.get("training.learning_rate", 1e-5)))
    return 1 - abs(math.log10(rate) + 3) / 4 - 0.1 * float(str(values["training.l1"]))


def run_trial(values: Mapping[str, Value], report: Report) -> Outcome:
    """Rises to its score in three evaluations."""
    score = score_of(values)
    for number in range(1, 4):
        report(number / 3, score * (0.5 + number / 6))
    return Outcome(score=score, stats=np.full((20, 2), max(score, 0)))


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    studies = []

    def make(name: str = "study", **asked: object) -> Study:
        proposing = {key: asked.pop(key) for key in ("sampler", "defaults") if key in asked}
        proposals = Proposals(**{"sampler": "tpe", "seed": 0, **proposing})  # type: ignore[arg-type]
        settings = {"proposals": proposals, "limit": 20, "direction": "higher", "space": SPACE, "name": "toy", **asked}
        studies.append(open_study(f"sqlite:///{tmp_path / name}.db", **settings))  # type: ignore[arg-type]
        return studies[-1]

    yield make
    for study in studies:
        study.close()


def finish(study: Study, run=run_trial, pruner: str = "none", stop: StopRequest | None = None):  # type: ignore[no-untyped-def]
    work(study, run, PRUNERS[pruner], stop=stop or StopRequest(), tell=lambda record: None)
    return study.records()

"""Luthier fine-tunes a pre-trained model on your data, proves whether it helped, and keeps it working.

run = luthier.tune("tickets.csv", target="category")
print(run.card)
model = luthier.load_model(run.model_path)
model.predict(["my card never arrived"])
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.api import adapt, check, load_model, load_openai_job, resume, search, tune
    from luthier.errors import (
        DataError,
        DivergedError,
        LuthierError,
        MissingExtraError,
        ModelError,
        ResourceError,
        SpecError,
        Stopped,
        UsageError,
    )
    from luthier.neighbours.find import find
    from luthier.neighbours.recommend import recommend
    from luthier.neighbours.segment import segment
    from luthier.spec import TuneSpec, load_spec

__version__ = "0.1.0"

# Where each public name lives; it is imported when it is first used, so that `import luthier` costs nothing.
_HOMES = {
    "DataError": "luthier.errors",
    "DivergedError": "luthier.errors",
    "LuthierError": "luthier.errors",
    "MissingExtraError": "luthier.errors",
    "ModelError": "luthier.errors",
    "ResourceError": "luthier.errors",
    "SpecError": "luthier.errors",
    "Stopped": "luthier.errors",
    "TuneSpec": "luthier.spec",
    "UsageError": "luthier.errors",
    "adapt": "luthier.api",
    "check": "luthier.api",
    "find": "luthier.neighbours.find",
    "load_model": "luthier.api",
    "load_openai_job": "luthier.api",
    "load_spec": "luthier.spec",
    "recommend": "luthier.neighbours.recommend",
    "resume": "luthier.api",
    "search": "luthier.api",
    "segment": "luthier.neighbours.segment",
    "tune": "luthier.api",
}

__all__ = [
    "DataError",
    "DivergedError",
    "LuthierError",
    "MissingExtraError",
    "ModelError",
    "ResourceError",
    "SpecError",
    "Stopped",
    "TuneSpec",
    "UsageError",
    "__version__",
    "adapt",
    "check",
    "find",
    "load_model",
    "load_openai_job",
    "load_spec",
    "recommend",
    "resume",
    "search",
    "segment",
    "tune",
]


if not TYPE_CHECKING:  # type checkers see the imports above; with this function they would believe in every name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'luthier' has no attribute '{name}'")
        value: object = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__

"""The first trials of a search: each method with the values that `tune` would use, so that no search ends below them."""

from luthier.core.keys import Key
from luthier.pipeline.choose import Chosen
from luthier.pipeline.train import choose_rungs
from luthier.pipeline.trials import methods_of
from luthier.spec import TuneSpec, all_keys
from luthier.studies.space import Point, Space, Value, point_of
from luthier.training.methods.rung import Rung
from luthier.training.optimizer import build_recipe

OF_THE_METHOD = ("num_epochs", "learning_rate", "head_learning_rate")


def default_points(space: Space, base: TuneSpec, chosen: Chosen, *, penalty: float | None) -> list[Point]:
    """A point for each method of a space, those that cost least first; settings whose default lies outside are left out.

    Args:
        space: What varies.
        base: What holds where nothing varies.
        chosen: The model.
        penalty: What `tune` would choose for the probe; None if that is not known.
    """
    costs: dict[str, float] = {}
    points: dict[str, Point] = {}
    for method in methods_of(space, base):
        spec = base.with_values({"training.method": method})
        rungs = choose_rungs(spec, chosen)
        values = _values(spec, rungs[1:], penalty)
        points[method] = point_of(space, values.get)
        blocks = chosen.backbone.num_blocks
        costs[method] = sum((blocks - rung.boundary) * (spec.training.num_epochs or rung.num_epochs) for rung in rungs)
    return [points[method] for method in sorted(points, key=costs.__getitem__)]


def _values(spec: TuneSpec, rungs: list[Rung], penalty: float | None) -> dict[str, Value]:
    """Path -> what a run of `tune` would use; what several trainings would use differently is left out."""
    values: dict[str, Value] = {key.path: _plain(spec, key) for key in all_keys()}
    factor = build_recipe(spec.training.optimizer).rate_factor
    for name in OF_THE_METHOD:
        own = {getattr(rung, name) for rung in rungs}
        if values[f"training.{name}"] is None and len(own) == 1:
            values[f"training.{name}"] = own.pop() * (1 if name == "num_epochs" else factor)
    if values["training.probe_penalty"] is None:
        values["training.probe_penalty"] = penalty
    return values


def _plain(spec: TuneSpec, key: Key) -> Value:
    value = spec.value_of(key)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

"""What varies where nobody says so: for each method the settings that matter most, around its defaults.

The ranges hold the defaults well inside, and go about as far as trainings still succeed: peak rates four times up and five down
(beyond that MiniLM diverges, or has not learnt when the steps end: docs/lab-notebook.md), weight decay over the decades in
which it is used, smoothing up to the 0.2 at which it begins to cost accuracy. Epochs stay at the method's own number: more of
them are not a better recipe but a dearer one, and early stopping ends those that are too many.
"""

from collections.abc import Collection, Sequence
from typing import Any

_HEAD_RATE = {"log": [6e-4, 1e-2]}
_REGULARIZATION = {"weight_decay": {"log": [1e-3, 0.1]}, "label_smoothing": {"uniform": [0.0, 0.2]}}

# Method -> its own space; what is not listed has none, and is one trial.
SPACES: dict[str, dict[str, Any]] = {
    # The L2 penalty is all that a probe has.
    "probe": {"probe_penalty": {"log": [1e-5, 1.0]}},
    # Around 5e-4 under a head at 3e-3.
    "top-blocks": {"learning_rate": {"log": [1e-4, 2e-3]}, "head_learning_rate": _HEAD_RATE, **_REGULARIZATION},
    # Around 1.5e-4; lower blocks may want less than upper ones.
    "full": {
        "learning_rate": {"log": [3e-5, 6e-4]},
        "head_learning_rate": _HEAD_RATE,
        "block_decay": {"choice": [1.0, 0.9, 0.75]},
        **_REGULARIZATION,
    },
    # Adapters begin at nothing and take rates of about 1e-3.
    "lora": {"learning_rate": {"log": [2e-4, 4e-3]}, "head_learning_rate": _HEAD_RATE, **_REGULARIZATION},
}


def default_space(methods: Sequence[str], *, fixed: Collection[str] = ()) -> dict[str, Any]:
    """The space over some methods, as YAML values by path.

    Args:
        methods: As a user writes them: `probe`, `top-blocks:2`.
        fixed: Paths of settings that the user has given a value: they do not vary.

    Example:
        >>> default_space(["probe"])
        {'training.probe_penalty': {'log': [1e-05, 1.0]}}
        >>> default_space(["probe", "full"])["training.method"]["choice"]["probe"]
        {'probe_penalty': {'log': [1e-05, 1.0]}}
    """
    spaces = {
        method: {key: item for key, item in SPACES.get(method.partition(":")[0], {}).items() if f"training.{key}" not in fixed}
        for method in methods
    }
    if len(methods) == 1:
        return {f"training.{key}": item for key, item in spaces[methods[0]].items()}
    return {"training.method": {"choice": spaces}}

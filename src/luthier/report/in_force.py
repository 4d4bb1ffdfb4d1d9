"""What kept the model from learning its examples by heart: the settings of a run that were in force, in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Say = Callable[[Any], str]

# Key -> (the value at which it does nothing, what it does at another one).
SENTENCES: Mapping[tuple[str, ...], tuple[Any, Say]] = {
    ("model", "keep_blocks"): (None, lambda value: f"Only the first {value} blocks of the pre-trained network were used."),
    ("training", "weight_decay"): (0, lambda value: f"Weight decay {value:g}: matrices shrink a little in every step."),
    ("training", "l1"): (0, lambda value: f"L1 penalty {value:g}: weights of the head that matter little become exactly zero."),
    ("training", "l2"): (0, lambda value: f"L2 penalty {value:g}: large weights cost something."),
    ("training", "towards_pretrained"): (
        0,
        lambda value: f"L2-SP {value:g}: the backbone's weights are pulled back to the pre-trained ones.",
    ),
    ("training", "ewc"): (
        0,
        lambda value: f"EWC {value:g}: weights that the pre-trained model depended on are pulled back the most.",
    ),
    ("training", "block_decay"): (1, lambda value: f"Each block learnt at {value:g} of the rate of the block above it."),
    ("training", "loss"): ("auto", lambda value: f"Loss {value}: rows that the model is sure of count less."),
    ("training", "class_weights"): ("none", lambda value: "Class weights: every class counts alike, however many rows it has."),
    ("training", "sampling"): ("shuffled", lambda value: "Balanced sampling: every epoch saw as many rows of each class."),
    ("training", "label_smoothing"): (
        0,
        lambda value: f"Label smoothing {value:g}: the model is asked to leave a little doubt.",
    ),
    ("training", "mixup"): (0, lambda value: f"Mixup {value:g}: it was trained on means of two examples."),
    ("training", "augment"): ("none", lambda value: f"Augmentation {value}: every step saw other views of the pictures."),
    ("training", "cutmix"): (0, lambda value: f"CutMix {value:g}: it was trained on pictures with a piece of another in them."),
    ("training", "dropout"): (None, lambda value: f"Dropout {value:g} in the blocks that trained."),
    ("model", "head", "dropout"): (0, lambda value: f"Dropout {value:g} in the head."),
    ("training", "ema_decay"): (0, lambda value: f"A moving average of the weights was judged and kept (decay {value:g})."),
    ("training", "soup"): (0, lambda value: f"At the end, means of the best {value} states were tried."),
    ("training", "max_gradient_norm"): (None, lambda value: f"Gradients longer than {value:g} were shortened."),
    ("training", "patience"): (
        None,
        lambda value: f"Training was to end after {value} looks at validation without a gain; the best step is kept.",
    ),
}


def in_force(setting: Callable[..., Any]) -> Sequence[str]:
    """A sentence for each.

    Args:
        setting: Keys -> value in the run's spec; None where it has none.

    Example:
        >>> in_force(lambda *keys: {("training", "l1"): 0.001, ("training", "soup"): 0}.get(keys))
        ['L1 penalty 0.001: weights of the head that matter little become exactly zero.']
    """
    values = ((setting(*keys), off, say) for keys, (off, say) in SENTENCES.items())
    return [say(value) for value, off, say in values if value is not None and value != off]

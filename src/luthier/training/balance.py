"""Classes of unequal size: weights in the loss, and what is said about them.

Use when: rare classes matter as much as frequent ones (macro F1), and the model would rather never name them.
Cost: frequent classes are recognised a little worse, and probabilities no longer follow the true frequencies. Balanced sampling
sees rows of small classes several times an epoch, and some of the large ones not at all.
Suggested values: class weights first; balanced sampling where some class would be missing from most batches. Not both.
Source: King & Zeng 2001, "Logistic regression in rare events data"; weights as scikit-learn's `class_weight="balanced"`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.errors import SpecError
from luthier.training.settings import TrainingSettings

IMBALANCED = 5.0  # times as many rows in the largest class as in the smallest: worth a word


def balanced_weights(targets: Int[np.ndarray, " N"], num_labels: int) -> Float[np.ndarray, " C"]:
    """The weight of each class: the inverse of its share, so that all classes weigh alike and rows 1 on average.

    Args:
        targets: Of the training rows.
        num_labels: C; a class without rows weighs nothing.

    Example:
        >>> balanced_weights(np.array([0, 0, 0, 1]), 2).round(3).tolist()
        [0.667, 2.0]
    """
    counts = np.bincount(targets, minlength=num_labels)
    return np.where(counts > 0, len(targets) / (num_labels * np.maximum(counts, 1)), 0.0)


def refuse_double_balance(settings: TrainingSettings) -> None:
    """Raise SpecError if imbalance was to be undone twice."""
    if settings.class_weights == settings.sampling == "balanced":
        raise SpecError(
            "Class weights and balanced sampling both undo imbalance; with both, small classes would outweigh large ones.",
            remedy="--class-weights balanced, or --sampling balanced",
        )


def describe_balance(settings: TrainingSettings, targets: Int[np.ndarray, " N"], labels: Sequence[str]) -> list[Decision[str]]:
    """What is done about classes of unequal size; nothing where they are alike and nothing was asked for."""
    counts = np.bincount(targets, minlength=len(labels))
    ratio = counts.max() / max(1, counts.min())
    evidence = {"rows": dict(zip(labels, counts.tolist(), strict=True)), "ratio": round(float(ratio), 2)}
    about = f"the largest class has {ratio:.1f} times the rows of the smallest"
    if settings.class_weights == "balanced":
        weights = balanced_weights(targets, len(labels))
        value, reason = "weights", f"as asked: rows weigh {weights[counts > 0].min():.2g} to {weights.max():.2g}; {about}"
    elif settings.sampling == "balanced":
        value, reason = "sampling", f"as asked: each epoch draws as many rows of every class; {about}"
    elif ratio >= IMBALANCED:
        value, reason = "none", f"{about}, and every row counts alike, as accuracy counts them"
    else:
        return []
    override = "--class-weights balanced, --sampling balanced or --loss focal" if value == "none" else ""
    return [Decision(name="balance", value=value, reason=reason, evidence=evidence, override=override)]

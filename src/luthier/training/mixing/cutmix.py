"""CutMix: a piece of another picture is pasted into each, and the labels are shared as the area is.

Use when: whole networks are trained on pictures, and the model looks at one part of the object only.
Cost: none in a step; but nothing of frozen blocks can be stored, since they have never seen the mixed pictures.
Suggested values: 1 for training of all blocks; with `mixup` beside it, one of the two is drawn for each step.
Source: Yun et al. 2019, "CutMix: regularization strategy to train strong classifiers with localizable features".
"""

from torch import Tensor

from luthier.training.mixing.mixture import Mixture


class CutMix:
    """A piece of another."""

    def mix(self, first: Tensor, second: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
        """Of pictures [B, C, H, W]. A piece that stands out over the edge is cut off there, which leaves a larger share."""
        height, width = first.shape[-2:]
        side = (1 - mixture.share) ** 0.5
        rows, columns = (_span(place, side, size) for place, size in zip(mixture.centre, (height, width), strict=True))
        mixed = first.clone()
        mixed[..., rows, columns] = second[..., rows, columns]
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed, 1 - area / (height * width)


def _span(centre: float, side: float, size: int) -> slice:
    half = int(side * size) // 2
    middle = int(centre * size)
    return slice(max(0, middle - half), min(size, middle + half))


MIXING = CutMix()

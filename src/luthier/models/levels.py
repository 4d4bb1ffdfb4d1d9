"""Maps of several sizes from one network: small things are found on large maps, large things on small ones.

Use when: a head needs to know where things are. Of each size of map the last one is taken: it has seen most.
Source: Lin et al. 2017, "Feature pyramid networks for object detection".
"""

from collections.abc import Sequence
from dataclasses import replace

from luthier.errors import ModelError
from luthier.models.backbone import Backbone

MOST_LEVELS = 3
SMALLEST_STRIDE = 7.5  # of 8, 16, 32 pixels; convolutions without padding give a little less


def find_levels(backbone: Backbone, size: tuple[int, int]) -> tuple[int, ...]:
    """The boundaries of a network's blocks at which the last map of each size is: those of 8, 16 and 32 pixels a place.

    Args:
        backbone: After `rehearse` with pictures of this size.
        size: Height and width of the pictures.

    Raises:
        ModelError: the network gives no maps.
    """
    assert backbone.rehearsal is not None
    shapes = [*backbone.rehearsal.shapes, backbone.rehearsal.last_shape]
    if any(len(shape) != 3 for shape in shapes):
        raise ModelError(
            f"The network ({backbone.model_type or type(backbone.network).__name__}) gives no maps, which boxes are found on.",
            remedy="choose a network with maps, such as MobileNetV2, ResNet or ConvNeXt; or a detector: DETR or YOLOS",
        )
    last = {shape[1:]: boundary for boundary, shape in enumerate(shapes) if boundary > 0}
    fitting = [boundary for (height, _), boundary in last.items() if size[0] / height >= SMALLEST_STRIDE]
    return tuple((fitting or list(last.values()))[-MOST_LEVELS:])


def reading_levels(backbone: Backbone, levels: Sequence[int]) -> Backbone:
    """The backbone, told to hand over the maps at some boundaries with what it computes."""
    backbone.layout = replace(backbone.layout, levels=tuple(levels), last_start=min(levels))
    return backbone


def channels_of(backbone: Backbone) -> tuple[int, ...]:
    """Channels of the maps that a backbone hands over."""
    assert backbone.rehearsal is not None
    shapes = [*backbone.rehearsal.shapes, backbone.rehearsal.last_shape]
    return tuple(shapes[boundary][0] for boundary in backbone.layout.levels)

"""Losses of boxes: places of maps learn the box around them, object queries the box they are matched with.

Source: Lin et al. 2017, "Focal loss for dense object detection"; Rezatofighi et al. 2019, "Generalized intersection over
union"; Tian et al. 2019, "FCOS" (which places learn which box); Carion et al. 2020, "End-to-end object detection with
transformers" (sets).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from luthier.models.box_outputs import BOX, CELL, FILL, IGNORED_BOX, LABEL, LOGITS, PLACE, QUALITY, TARGET_BOX

ALPHA, GAMMA = 0.25, 2.0
RADIUS = 1.5  # cells around the middle of a box whose places learn it
MOST_CELLS = 4.0  # the farthest border, in cells, of boxes that a map is for; twice as far, and a map of half the size is
NOTHING_WEIGHT, BORDER_WEIGHT, OVERLAP_WEIGHT = 0.1, 5.0, 2.0  # of sets: DETR's own
NEVER = 1e6


def corners_of(boxes: Float[Tensor, "... 4"]) -> Float[Tensor, "... 4"]:
    """Left, top, right, bottom of left, top, width, height."""
    return torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], dim=-1)


def shared_area(boxes: Float[Tensor, "... 4"], others: Float[Tensor, "... 4"]) -> tuple[Tensor, Tensor]:
    """Intersection over union, and its generalised form (down to -1 for boxes far apart), of boxes given by their corners."""
    sides = (torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2])).clamp(min=0)
    around = torch.maximum(boxes[..., 2:], others[..., 2:]) - torch.minimum(boxes[..., :2], others[..., :2])
    shared, hull = sides.prod(-1), around.clamp(min=0).prod(-1)
    whole = _area(boxes) + _area(others) - shared
    overlap = shared / whole.clamp(min=1e-9)
    return overlap, overlap - (hull - whole) / hull.clamp(min=1e-9)


def _area(boxes: Float[Tensor, "... 4"]) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def loss_of_boxes(outputs: Float[Tensor, "B A K"], targets: Float[Tensor, "B M 6"]) -> tuple[Tensor, float]:
    """The sum of the losses of a batch, and what it is over: places that learn a box (at least one a picture), or pictures.

    Args:
        outputs: Candidates, with the columns of `box_outputs`.
        targets: Boxes, filled up with `FILL`.
    """
    outputs = outputs.float()
    if outputs[0, 0, CELL].sum() > 0:
        return loss_of_places(outputs, targets)
    losses = [
        loss_of_set(candidates, boxes[boxes[:, LABEL] != FILL]) for candidates, boxes in zip(outputs, targets, strict=True)
    ]
    return torch.stack(losses).sum(), float(len(losses))


def loss_of_places(outputs: Float[Tensor, "B A K"], targets: Float[Tensor, "B M 6"]) -> tuple[Tensor, float]:
    """Focal loss of all places; generalised overlap, and the fit of the box, of those that learn one."""
    learns, ignored = assign(outputs[0], targets)
    positive = learns >= 0
    logits = outputs[..., LOGITS:]
    wanted = torch.zeros_like(logits)
    chosen = torch.gather(targets, 1, learns.clamp(min=0)[..., None].expand(-1, -1, targets.shape[-1]))
    labels = chosen[..., LABEL].long().clamp(min=0)
    wanted.scatter_(-1, labels[..., None], positive[..., None].to(wanted.dtype))
    total = (focal_loss(logits, wanted) * (positive | ~ignored)[..., None]).sum()
    overlap, generalised = shared_area(outputs[positive][:, BOX], corners_of(chosen[positive][:, TARGET_BOX]))
    fit = functional.binary_cross_entropy_with_logits(outputs[positive][:, QUALITY], overlap.detach(), reduction="sum")
    total = total + (1 - generalised).sum() + fit
    return total, float(positive.sum(1).clamp(min=1).sum())


def focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy, small where the answer is already right."""
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    probs = logits.sigmoid()
    missed = probs * (1 - wanted) + (1 - probs) * wanted
    return (ALPHA * wanted + (1 - ALPHA) * (1 - wanted)) * missed**GAMMA * plain


@torch.no_grad()
def assign(places: Float[Tensor, "A K"], targets: Float[Tensor, "B M 6"]) -> tuple[Int[Tensor, "B A"], Bool[Tensor, "B A"]]:
    """Which box each place learns (-1: none), and which places lie in boxes that are not to be learnt.

    A place learns a box if it lies in it, near its middle, and on a map for boxes of that size; of several the smallest. The
    place nearest to its middle, on the largest map, learns a box that no other does.

    Args:
        places: Candidates of one picture: their places are the same for all.
        targets: Of all pictures.
    """
    middle, cell = places[:, PLACE], places[:, CELL]
    boxes, counts = corners_of(targets[..., TARGET_BOX]), targets[..., LABEL] >= 0
    inside = (middle[None, :, None] - boxes[:, None, :, :2], boxes[:, None, :, 2:] - middle[None, :, None])
    distances = torch.cat(inside, dim=-1) / torch.cat([cell, cell], dim=-1)[None, :, None]  # [B, A, M, 4], in cells
    is_in, farthest = distances.amin(-1) > 0, distances.amax(-1)
    from_middle = ((boxes[..., :2] + boxes[..., 2:]) / 2)[:, None] - middle[None, :, None]
    from_middle = (from_middle.abs() / cell[None, :, None]).amax(-1)
    is_lowest, is_highest = (cell[:, 0] <= cell[:, 0].min() * 1.01), (cell[:, 0] >= cell[:, 0].max() * 0.99)
    fits = ((farthest <= MOST_CELLS) | is_highest[None, :, None]) & ((farthest > MOST_CELLS / 2) | is_lowest[None, :, None])
    to_learn = counts & (targets[..., IGNORED_BOX] == 0)
    learns = is_in & (from_middle < RADIUS) & fits & to_learn[:, None]
    nearest = from_middle.masked_fill(~is_lowest[None, :, None], NEVER).argmin(1)  # [B, M]
    alone = to_learn & ~learns.any(1)
    learns |= (torch.arange(len(places), device=places.device)[None, :, None] == nearest[:, None]) & alone[:, None]
    area = _area(boxes)[:, None].expand_as(farthest).masked_fill(~learns, NEVER)
    smallest, box = area.min(-1)
    ignored = (is_in & (counts & (targets[..., IGNORED_BOX] > 0))[:, None]).any(-1)
    return torch.where(smallest < NEVER, box, -1), ignored


def loss_of_set(candidates: Float[Tensor, "Q K"], boxes: Float[Tensor, "n 6"]) -> Tensor:
    """DETR's loss of one picture: its queries are matched with its boxes so that the cost is least.

    As transformers computes it for a batch of one picture: cross-entropy with a weight of 0.1 for "nothing", five times the
    distance of middles and sides, and twice the loss of the generalised overlap, per box. Queries matched with boxes that are
    not to be learnt count for nothing.
    """
    logits, found = candidates[:, LOGITS:], candidates[:, BOX]
    labels, wanted = boxes[:, LABEL].long(), corners_of(boxes[:, TARGET_BOX])
    query, box = match_set(logits, found, labels, wanted)
    nothing = logits.shape[-1] - 1
    classes = torch.full((len(logits),), nothing, device=logits.device)
    classes[query] = labels[box]
    weights = torch.where(classes == nothing, NOTHING_WEIGHT, 1.0)
    to_learn = boxes[box, IGNORED_BOX] == 0
    weights[query[~to_learn]] = 0.0
    query, box = query[to_learn], box[to_learn]
    entropy = (functional.cross_entropy(logits, classes, reduction="none") * weights).sum() / weights.sum()
    count = max(1, len(query))
    distance = (_middles(found[query]) - _middles(wanted[box])).abs().sum() / count
    overlap = (1 - shared_area(found[query], wanted[box])[1]).sum() / count
    return entropy + BORDER_WEIGHT * distance + OVERLAP_WEIGHT * overlap


def _middles(corners: Float[Tensor, "... 4"]) -> Tensor:
    """Middle, width and height."""
    return torch.cat([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], dim=-1)


@torch.no_grad()
def match_set(logits: Tensor, found: Tensor, labels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and boxes that belong together, each at most once, so that the sum of costs is least."""
    from scipy.optimize import linear_sum_assignment

    cost = -logits.softmax(-1)[:, labels]
    cost = cost + BORDER_WEIGHT * torch.cdist(_middles(found), _middles(wanted), p=1)
    cost = cost - OVERLAP_WEIGHT * shared_area(found[:, None], wanted[None])[1]
    query, box = linear_sum_assignment(cost.nan_to_num(NEVER).cpu().numpy())
    return torch.as_tensor(query, device=logits.device), torch.as_tensor(box, device=logits.device)

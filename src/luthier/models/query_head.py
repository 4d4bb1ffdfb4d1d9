"""A head on the object queries of transformers' detectors, DETR and YOLOS: a label or nothing, and a box, for each query.

It has the shape of the families' own heads, and starts from the folder's weights where these fit: borders always, labels where
the folder knows a label of the same name.

Source: Carion et al. 2020, "End-to-end object detection with transformers"; Fang et al. 2021, "You only look at one sequence".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from luthier.models.backbone import Backbone, State
from luthier.models.box_outputs import LOGITS

# How many layers the families' own heads have for labels; for boxes all have three.
LABEL_LAYERS: Mapping[str, int] = {"detr": 1, "yolos": 3}
BOX_LAYERS = 3
_LABELS, _BOXES = "class_labels_classifier", "bbox_predictor"


class QueryHead(nn.Module):
    """Labels and boxes of the last states.

    Args:
        width: Size of a state.
        num_labels: Number of labels; one output more is for "nothing".
        num_queries: How many of the states, counted from the last, are queries.
        label_layers: Layers of the part for labels.
        seed: Seed of the fresh weights.

    Example:
        >>> head = QueryHead(8, 3, num_queries=5, label_layers=1, seed=0)
        >>> head(State(hidden=torch.ones(2, 9, 8), mask=None, pooled=None)).shape
        torch.Size([2, 5, 13])
    """

    reads_states = True

    def __init__(self, width: int, num_labels: int, *, num_queries: int, label_layers: int, seed: int) -> None:
        super().__init__()
        self._settings = {
            "kind": "queries",
            "width": width,
            "num_labels": num_labels,
            "num_queries": num_queries,
            "label_layers": label_layers,
        }
        self.num_queries = num_queries
        self.labels = _layers(width, num_labels + 1, label_layers)
        self.boxes = _layers(width, 4, BOX_LAYERS)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in (*self.labels, *self.boxes):
                assert isinstance(layer, nn.Linear)
                layer.weight.normal_(std=0.02, generator=generator)
                layer.bias.zero_()

    def forward(self, state: State) -> Float[Tensor, "B Q K"]:
        """Candidates; their columns are those of `box_outputs`."""
        queries = state.hidden[:, -self.num_queries :].float()
        places = _through(self.boxes, queries).sigmoid()
        middle, side = places[..., :2], places[..., 2:]
        nowhere = queries.new_zeros(*queries.shape[:2], LOGITS - 4)
        return torch.cat([middle - side / 2, middle + side / 2, nowhere, _through(self.labels, queries)], dim=-1)

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return dict(self._settings)


def _layers(width: int, num_outputs: int, layers: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(width, width if place < layers - 1 else num_outputs) for place in range(layers))


def _through(layers: nn.ModuleList, states: Tensor) -> Tensor:
    for place, layer in enumerate(layers):
        states = layer(states) if place == len(layers) - 1 else layer(states).relu()
    return states


def build_query_head(backbone: Backbone, labels: Sequence[str], *, seed: int, folder: Path | None = None) -> QueryHead:
    """A head for a detector of transformers; what fits of the folder's own head is taken over.

    Args:
        backbone: A DETR or YOLOS.
        labels: The task's.
        seed: Of whatever starts fresh.
        folder: Of the pre-trained model.
    """
    config = backbone.network.config
    queries = int(config.num_queries if backbone.model_type == "detr" else config.num_detection_tokens)  # type: ignore[union-attr, arg-type]
    layers = LABEL_LAYERS[backbone.model_type]
    head = QueryHead(backbone.width, len(labels), num_queries=queries, label_layers=layers, seed=seed)
    if folder is not None:
        known = {str(name).strip().lower(): int(place) for place, name in dict(config.id2label).items()}  # type: ignore[union-attr, arg-type]
        take_over(head, _saved_head(folder), [known.get(label.strip().lower()) for label in labels])
    return head


def _saved_head(folder: Path) -> dict[str, Tensor]:
    """The weights of the folder's own head, by name; none if it has none."""
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith((_LABELS, _BOXES))]  # noqa: SIM118  # no mapping
            found |= {name: file.get_tensor(name).float() for name in names}
    return found


def take_over(head: QueryHead, saved: Mapping[str, Tensor], rows: Sequence[int | None]) -> None:
    """Put a saved head's weights into one: hidden layers whole, outputs for labels row by row.

    Args:
        head: Changed in place.
        saved: Weights by the names that transformers gives them.
        rows: For each label, the row of the saved outputs that is for it; None where there is none.
    """
    with torch.no_grad():
        for place, layer in enumerate(head.boxes):
            _copy(layer, saved, f"{_BOXES}.layers.{place}")
        for place, layer in enumerate(head.labels[:-1]):
            _copy(layer, saved, f"{_LABELS}.layers.{place}")
        name = _LABELS if len(head.labels) == 1 else f"{_LABELS}.layers.{len(head.labels) - 1}"
        if f"{name}.weight" not in saved:
            return
        weight, bias, last = saved[f"{name}.weight"], saved[f"{name}.bias"], head.labels[-1]
        assert isinstance(last, nn.Linear)
        if weight.shape[1] != last.in_features:
            return
        for place, row in enumerate([*rows, len(weight) - 1]):  # the last stands for "nothing" on both sides
            if row is not None and row < len(weight):
                last.weight[place] = weight[row]
                last.bias[place] = bias[row]


def _copy(layer: nn.Module, saved: Mapping[str, Tensor], name: str) -> None:
    for part, value in layer.named_parameters():
        given = saved.get(f"{name}.{part}")
        if given is not None and given.shape == value.shape:
            value.copy_(given)

"""Where things are on a picture, and what they are. Columns: a picture and its boxes, each with a label.

On networks that give maps (MobileNet, ResNet, ConvNeXt) stands a head that looks at maps of several sizes; on the detectors
that transformers has (DETR, YOLOS) their own kind of head. All pictures are stretched to one size that has the usual shape of
those in train. Boxes are in pixels of the picture as it is.

Source: Tian et al. 2019, "FCOS"; Carion et al. 2020, "End-to-end object detection with transformers"; Lin et al. 2014,
"Microsoft COCO" (measures).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.pictures import picture_size
from luthier.data.schema import Kind, Schema
from luthier.evaluation.boxes import ANSWER_TYPE, best_score, box_predictions
from luthier.evaluation.records import Predictions
from luthier.models.box_outputs import LABEL, UNKNOWN
from luthier.models.image_processor import ImageProcessor
from luthier.models.settings import HeadSettings, ModelSettings, NetworkKind
from luthier.tasks.answers.label import groups_of, shown_labels
from luthier.tasks.box_answers import answered_boxes, decode_boxes
from luthier.tasks.box_baselines import usual_boxes
from luthier.tasks.box_checks import check_boxes
from luthier.tasks.box_inputs import DEFAULT_SIDE, BoxInputs, box_targets, boxes_of_rows, fitting_size
from luthier.tasks.box_views import BoxViews, Strength
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import (
    LINEAR,
    PLAIN,
    Baseline,
    Generate,
    HeadOrigin,
    LossRecipe,
    LossSum,
    Modality,
    ProbeLoss,
    TaskState,
)
from luthier.tasks.readings.image import IMAGE
from luthier.tasks.row_task import NO_SCRATCH

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

    from luthier.models.backbone import Backbone

TOWER_WIDTH, TOWER_LAYERS = 64, 2
DETECTORS = ("detr", "yolos")
SHOWN, SHOWN_SCORE = "shown_score", 0.3  # before validation has decided


@dataclass(frozen=True, kw_only=True)
class ObjectDetection:
    """Boxes with labels.

    Attributes:
        absent: By model of the card: why there is none.
    """

    name: str = "object-detection"
    modality: Modality = "image"
    roles: tuple[str, ...] = ("image", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = False
    measures: Sequence[str] = ("box_map", "box_map50", "box_map75")
    primary_measure: str = "box_map"
    probe: ProbeLoss | None = None
    answer_kind: str = "boxes"
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None
    has_classes: bool = False
    example: str = IMAGE.example
    unknown_means: str = "their boxes cannot be read, or have a label that train does not have"
    absent: Mapping[str, str] = field(
        default_factory=lambda: {
            "classic": "no model without a neural network finds boxes here",
            "pretrained": "the pre-trained network knows nothing of these labels and boxes",
            "scratch": NO_SCRATCH,
        }
    )

    @property
    def baselines(self) -> Sequence[Baseline]:
        """The boxes that fit most pictures of train."""
        about = "Answers every picture with the boxes that overlap one of the same label in most training pictures."
        return [Baseline(name="majority", needs_features=False, fit_predict=usual_boxes, title="Usual boxes", about=about)]

    def match(self, schema: Schema) -> Decision[bool]:
        """A picture beside boxes."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        image, target = schema.roles["image"], schema.roles["target"]
        if schema.kind_of(target) is not Kind.BOXES:
            return Decision(name="task", value=False, reason=f"'{target}' does not hold boxes")
        reason = f"'{image}' holds pictures and '{target}' boxes on them"
        return Decision(name="task", value=True, reason=reason, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Boxes without area, outside of their picture, without a label, repeated; cells that hold none; other sizes."""
        return check_boxes(dataset)

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """The labels of train's boxes; how many boxes are answered follows with the settings."""
        rows = [row for row in boxes_of_rows(table, schema.roles) if row is not None]
        labels = {label for row in rows for label in row.take(row.counted).labels}
        return self.settle(TaskState(task=self.name, labels=tuple(sorted(labels))), ModelSettings())

    def settle(self, state: TaskState, settings: ModelSettings) -> TaskState:
        """The state with what the settings say of the boxes that are answered."""
        boxes = settings.boxes
        shown = SHOWN_SCORE if boxes.shown_score is None else boxes.shown_score
        return replace(state, values={**state.values, "limit": boxes.limit, "overlap": boxes.overlap, SHOWN: shown})

    def settle_answers(
        self, state: TaskState, validation: Predictions, settings: ModelSettings
    ) -> tuple[TaskState, list[Decision[Any]]]:
        """From which score on boxes are shown: as asked, or what gives the best F1 on validation."""
        if settings.boxes.shown_score is not None:
            return state, []
        score, f1 = best_score(validation)
        decision = Decision(
            name=SHOWN,
            value=score,
            reason=f"boxes with this score or more have the best F1 on validation ({100 * f1:.1f} %; half an overlap is right)",
            evidence={"f1": f1},
            override="--boxes-shown-score 0.3",
        )
        return replace(state, values={**state.values, SHOWN: score}), [decision]

    def fit_processor(
        self, rows: Sequence[str], processor: ImageProcessor, settings: ModelSettings
    ) -> tuple[ImageProcessor, list[Decision[Any]]]:
        """Every picture is stretched to one size, which has the usual shape of train's pictures."""
        sizes = [size for row in rows if (size := picture_size(row))]
        asked = settings.boxes.picture_side
        side = asked or max(DEFAULT_SIDE, *processor.size)
        height, width = fitting_size(sizes, side)
        said = "as asked" if asked else "what the model was made for, or 320 pixels if that is less"
        decision = Decision(
            name="picture_size",
            value=f"{width} x {height}",
            reason=f"the longer side: {said}; the shape is the usual one of train's pictures, and all are stretched to it",
            evidence={"height": height, "width": width, "pictures": len(sizes)},
            override="--boxes-picture-side 512",
        )
        return processor.with_size((height, width)), [decision]

    def describe(self, state: TaskState) -> str:
        """What is found."""
        return (
            f"boxes around things of {len(state.labels)} kinds: {shown_labels(state.labels)}. Each has a label, a score from "
            "0 to 1, and x and y of its upper left corner, width and height, in pixels of the picture as it is"
        )

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The paths."""
        return IMAGE.rows(table, roles)

    def count_tokens(self, rows: Sequence[str], processor: ImageProcessor) -> Int[np.ndarray, " N"]:
        """Pictures all have one size."""
        return IMAGE.count_tokens(rows, processor)

    def encode(self, rows: Sequence[str], processor: ImageProcessor, state: TaskState) -> BoxInputs:
        """Files, to be decoded batch by batch."""

        limit, overlap = int(state.values["limit"]), float(state.values["overlap"])
        return BoxInputs.build(rows, processor, limit=limit, overlap=overlap)

    def views(self, inputs: Inputs, strength: Strength) -> BoxViews:
        """Other views of the pictures, with the boxes where they are in them."""
        assert isinstance(inputs, BoxInputs)
        return BoxViews(paths=list(inputs.pictures.paths), read=inputs.read_view, strength=strength)

    def targets(
        self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs
    ) -> Float[np.ndarray, "U M 6"]:
        """Label, left, top, width, height (shares of the picture) of each box, and whether it is only not to be learnt."""
        assert isinstance(inputs, BoxInputs)
        return box_targets(boxes_of_rows(table, roles), state.labels, inputs.sizes)

    def known(self, targets: Float[np.ndarray, "U M 6"]) -> Bool[np.ndarray, " U"]:
        """Those that can be read and whose labels train has; a picture without boxes teaches that there is nothing."""
        return np.asarray(targets[:, 0, LABEL] != UNKNOWN)

    def prepare_backbone(self, backbone: "Backbone", inputs: Inputs) -> "Backbone":
        """The backbone, told to hand over maps of several sizes, where it is no detector itself.

        Raises:
            ModelError: it is none, and has no maps.
        """
        if backbone.model_type in DETECTORS:
            return backbone
        import torch

        from luthier.models.levels import find_levels, reading_levels

        pixels = torch.from_numpy(inputs.batch(np.arange(min(2, len(inputs.lengths))))["pixel_values"])
        backbone.rehearse({"pixel_values": pixels})
        return reading_levels(backbone, find_levels(backbone, (pixels.shape[2], pixels.shape[3])))

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """There is no head on one vector: `build_head_on` is what makes one."""
        raise NotImplementedError("a head of boxes stands on maps or queries of a backbone: build_head_on")

    def build_head_on(
        self,
        backbone: "Backbone",
        state: TaskState,
        *,
        settings: HeadSettings = LINEAR,
        seed: int,
        folder: Path | None = None,
    ) -> "nn.Module":
        """A fresh head on maps; on a detector one of its kind, with what fits of the folder's own weights."""
        if backbone.model_type in DETECTORS:
            from luthier.models.query_head import build_query_head

            return build_query_head(backbone, state.labels, seed=seed, folder=folder)
        from luthier.models.box_head import BoxHead
        from luthier.models.levels import channels_of

        return BoxHead(
            channels_of(backbone),
            backbone.layout.levels,
            len(state.labels),
            width=settings.width or TOWER_WIDTH,
            layers=max(TOWER_LAYERS, settings.layers),
            activation=settings.activation,
            dropout=settings.dropout,
            seed=seed,
        )

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """Of places of maps: focal, overlap, and fit, over the places that learn a box. Of queries: of sets, over pictures."""
        from luthier.models.box_losses import loss_of_boxes

        total, weight = loss_of_boxes(outputs, targets)
        return LossSum(sum=total, weight=weight)

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """It depends on how many pictures have boxes at all, and on what a detector already knows: nothing is said."""
        return None

    def decode(
        self, outputs: Float[np.ndarray, "B A K"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B L6"]:
        """The best boxes, without doubles, in pixels."""
        assert isinstance(inputs, BoxInputs)
        return decode_boxes(outputs, inputs.sizes[units], limit=inputs.limit, overlap=inputs.overlap)

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """Every picture is one unit."""
        return decoded

    def columns(
        self, decoded: Float[np.ndarray, "N L6"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`boxes`: those with a score worth showing; with `probs` all that were kept."""
        import pyarrow as pa

        least = 0.0 if probs else float(state.values[SHOWN])
        return {"boxes": pa.array([answered_boxes(row, state.labels, least=least) for row in decoded], ANSWER_TYPE)}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The paths: what a report shows of pictures is drawn from their files."""
        return [str(row) for row in rows]

    def answers(self, decoded: Float[np.ndarray, "N L6"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """The boxes of each picture, the surest first."""
        return [answered_boxes(row, state.labels, least=float(state.values[SHOWN])) for row in decoded]

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N L6"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """All boxes that were kept beside those to be found."""
        return box_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[_records(row) for row in boxes_of_rows(table, roles)],
            answers=[answered_boxes(row, state.labels) for row in decoded],
            sizes=[picture_size(path or "") for path in table.column(roles["image"]).to_pylist()],
            shown_score=float(state.values[SHOWN]),
            labels=state.labels,
            groups=groups_of(table, roles),
        )


def _records(boxes: Any) -> list[dict[str, Any]]:
    if boxes is None:
        return []
    flags = zip(boxes.crowd.tolist(), boxes.difficult.tolist(), strict=True)
    return [
        {"label": label, **dict(zip(("x", "y", "width", "height"), place, strict=True)), "crowd": crowd, "difficult": difficult}
        for label, place, (crowd, difficult) in zip(boxes.labels, boxes.places.tolist(), flags, strict=True)
    ]


TASK = ObjectDetection()

"""What the model folder of a run says of its model."""

from luthier.models.processors import TableProcessor
from luthier.package.folder import ModelDescription
from luthier.pipeline.choose import OWN, Chosen
from luthier.pipeline.prepare import Prepared
from luthier.training.model import TunedModel


def describe_model(prepared: Prepared, chosen: Chosen, model: TunedModel) -> ModelDescription:
    """What `luthier.json` says of the model."""
    return ModelDescription(
        modality=prepared.task.modality,
        state=chosen.state,
        head=model.head.settings(),  # type: ignore[operator]
        pooling=chosen.backbone.layout.pooling,
        width=chosen.backbone.width,
        precision=chosen.precision,
        base=_origin(chosen),
        columns=dict(prepared.dataset.schema.roles),
    )


def _origin(chosen: Chosen) -> dict[str, str | int | None]:
    """Where the pre-trained weights come from; of a backbone of one's own nothing is known but its class."""
    source = chosen.source
    if chosen.weights_key.startswith(OWN):
        return {"name": type(chosen.backbone.network).__name__}
    if isinstance(chosen.processor, TableProcessor):
        texts, images = chosen.processor.content.text_model, chosen.processor.content.image_model
        return {
            "name": source.name,
            "origin": source.origin,
            "weights_sha256": source.weights_sha256,
            "text_model": texts.name if texts else None,
            "licence": texts.licence if texts else None,
            "image_model": images.name if images else None,
            "image_model_sha256": images.weights_sha256 if images else None,
            "image_model_licence": images.licence if images else None,
        }
    shortened = next((made.value for made in chosen.decisions if made.name == "keep_blocks"), None)
    return {
        **({"keep_blocks": shortened} if shortened else {}),
        "name": source.name,
        "hub_id": source.entry.hub_id if source.entry else None,
        "revision": source.revision,
        "weights_sha256": source.weights_sha256,
        "licence": source.licence,
    }

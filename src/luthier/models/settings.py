"""What can be said about the model of a run: the pre-trained network, how much of it is kept, and the head on it."""

from typing import Literal

from pydantic import Field

from luthier.core.settings import Settings
from luthier.errors import SpecError

NetworkKind = Literal["encoder", "causal-lm", "masked-lm", "seq2seq-lm", "speech-seq2seq"]  # what of a folder a task takes


class HeadSettings(Settings):
    """What stands on the backbone and gives the task's outputs.

    Example:
        >>> HeadSettings(layers=2, width=256).is_linear, HeadSettings().is_linear
        (False, True)
    """

    layers: int = Field(1, ge=1, description="Layers of the head: 1 is linear, more make a small network (MLP)")
    width: int | None = Field(
        None, ge=1, description="Width of the head's hidden layers (default: as wide as what they stand on)"
    )
    activation: Literal["gelu", "relu", "silu", "tanh"] = Field("gelu", description="What stands between the head's layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="Drop rate in front of each of the head's layers while it trains")
    pooling: Literal["auto", "mean", "first", "last", "max", "attention"] = Field(
        "auto",
        description="How one vector is made of many: the model's own way, a fixed one, or attention that the head learns",
    )

    @property
    def is_linear(self) -> bool:
        """Whether it is one linear layer on a vector that nothing learns to pool: what a probe can be fitted for."""
        return self.layers == 1 and self.pooling != "attention"


def refuse_idle_head(head: HeadSettings) -> None:
    """Raise SpecError if something was said of hidden layers that the head does not have."""
    said = [f"--head-width {head.width}"] if head.width is not None else []
    said += [f"--head-activation {head.activation}"] if head.activation != HeadSettings().activation else []
    if head.layers == 1 and said:
        raise SpecError(
            f"{' and '.join(said)} would change nothing: a head of one layer has no hidden layers.",
            remedy=f"--head-layers 2 {' '.join(said)}",
        )


class GenerationSettings(Settings):
    """How a model that writes its answers token by token does so."""

    max_new_tokens: int | None = Field(
        None, ge=1, description="Most tokens that an answer may have (default: fits the answers of train)"
    )
    num_beams: int = Field(
        1, ge=1, description="Answers that are followed side by side: 1 takes the likeliest token each time (greedy)"
    )
    length_penalty: float = Field(
        1.0, description="Above 0 beams favour long answers, below 0 short ones; only with more than one beam"
    )
    stop_strings: tuple[str, ...] = Field((), description="Texts at which an answer ends, which do not belong to it")
    spoken_language: str | None = Field(
        None, description="Language that is spoken (en, es, ...), for a model that writes down several, such as Whisper"
    )


def refuse_idle_generation(generation: GenerationSettings, *, generates: bool, task: str, searches: bool = False) -> None:
    """Raise SpecError for words about answers that nothing writes, or about beams where there is one.

    Args:
        searches: Whether answers that are not written are looked for with beams all the same.

    Example:
        >>> refuse_idle_generation(GenerationSettings(num_beams=4), generates=True, task="sequence-to-sequence")
    """
    default = GenerationSettings()
    said = [name for name in GenerationSettings.model_fields if getattr(generation, name) != getattr(default, name)]
    said = [name for name in said if not (searches and name == "num_beams")]
    if said and not generates:
        flag = f"--{said[0].replace('_', '-')}"
        raise SpecError(f"{flag} is for models that write answers; {task} does not.", remedy=f"leave {flag} out")
    if generation.length_penalty != default.length_penalty and generation.num_beams == 1:
        raise SpecError(
            "--length-penalty would change nothing: there is one beam only.",
            remedy=f"--num-beams 4 --length-penalty {generation.length_penalty:g}",
        )


class TableSettings(Settings):
    """The network that is made for a table, and how its columns are read."""

    scaling: Literal["standard", "min-max", "robust", "quantile"] = Field(
        "quantile", description="How numbers of a table are scaled: by rank (quantile), or by what train's mean and spread say"
    )
    hidden_width: int = Field(64, ge=4, description="Width of the hidden states of a table's network")
    blocks: int = Field(3, ge=1, description="Blocks of a table's network")
    pretraining_epochs: int | None = Field(
        None, ge=0, description="Most passes over train to pre-train a table's network (0: none; default: by number of rows)"
    )
    text_model: str | None = Field(
        None, description="Frozen model that reads a table's columns of texts (off: leave them out; default: the text default)"
    )
    image_model: str | None = Field(
        None, description="Frozen model that reads the pictures a table names (off: leave them out; default: the image default)"
    )


class BoxSettings(Settings):
    """How pictures are read that boxes are found on, and which boxes are answered."""

    picture_side: int | None = Field(
        None,
        ge=32,
        description="Longer side of pictures that boxes are found on, in pixels (default: the model's, at least 320)",
    )
    limit: int = Field(100, ge=1, description="Most boxes that are answered for one picture")
    overlap: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Of two boxes with one label that overlap more (intersection over union), the surer one stays",
    )
    shown_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Lowest score of boxes that predict shows, --probs apart (default: what gives the best F1 on validation)",
    )


class ModelSettings(Settings):
    """Which pre-trained model, and what becomes of it."""

    name: str | None = Field(
        None, description="Catalogue name, local folder, or hub name (org/name, which allows its download)"
    )
    revision: str | None = Field(None, description="Commit of a hub model; pinned automatically")
    download: bool = Field(False, description="Allow the catalogue's default model to be downloaded")
    keep_blocks: int | None = Field(
        None, ge=1, description="Cut the network down to its first blocks, so many of them (default: all)"
    )
    max_length: int | None = Field(
        None, ge=4, description="Longest input in tokens; longer texts are cut (default: fits the data)"
    )
    max_seconds: float | None = Field(
        None,
        ge=0.1,
        le=600,
        description="Longest stretch of sound that is heard at once; longer recordings become several (default: fits the data)",
    )
    chat_template: str = Field(
        "auto", description="How a language model writes conversations: auto (its own template), none, or a file with Jinja"
    )
    head: HeadSettings = HeadSettings()
    table: TableSettings = TableSettings()
    boxes: BoxSettings = BoxSettings()

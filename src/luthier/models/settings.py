"""What can be said about the model of a run."""

from pydantic import Field

from luthier.core.settings import Settings


class ModelSettings(Settings):
    """Which pre-trained model, and what becomes of it."""

    name: str | None = Field(
        None, description="Catalogue name, local folder, or hub name (org/name, which allows its download)"
    )
    revision: str | None = Field(None, description="Commit of a hub model; pinned automatically")
    download: bool = Field(False, description="Allow the catalogue's default model to be downloaded")
    pooling: str | None = Field(
        None, description="How one vector is made of many: mean, first, last (default: the model's own)"
    )
    max_length: int | None = Field(
        None, ge=4, description="Longest input in tokens; longer texts are cut (default: fits the data)"
    )

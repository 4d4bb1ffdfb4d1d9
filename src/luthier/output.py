"""What can be said about what a run leaves behind."""

from typing import Literal

from pydantic import Field

from luthier.core.settings import Settings


class OutputSettings(Settings):
    """Where results go, and how much of the users' own texts they show."""

    out: str | None = Field(None, description="Run folder (default: runs/NAME-TIME)")
    overwrite: bool = Field(False, description="Replace the run folder if there is one already")
    examples: Literal["auto", "full", "masked", "none"] = Field(
        "auto", description="Texts of the data in reports and logs (auto: masked where personal data was found, else full)"
    )

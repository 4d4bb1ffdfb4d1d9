"""The base of every settings record: frozen, no unknown keys. A field's description is its flag's help and its YAML comment."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """One section of a spec. Field names are flags, YAML keys and keywords; each name is used in one section only."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

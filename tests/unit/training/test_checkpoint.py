"""States on disk: whole or absent, whatever fails while they are written; damage of any kind is noticed and named."""

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.core.manifest import verify_manifest
from luthier.errors import ResourceError
from luthier.training import checkpoint
from luthier.training.checkpoint import KEPT, Checkpoints, write_state

from .interrupting import Notes

Tensors = dict[str, dict[str, torch.Tensor]]


def tensors(seed: int, *, size: int = 300) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    names = ("weights", "optimizer", "best", "generators")
    return {name: {"a": torch.randn(size, generator=generator)} for name in names} | {"average": {}}


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def states(tmp_path: Path, notes: Notes) -> Checkpoints:
    return Checkpoints(tmp_path / "full", seconds=None, observer=notes)


def save(states: Checkpoints, step: int) -> None:
    states.save(f"step-{step:08}", tensors(step), {"step": step, "losses": [0.5] * step})


def test_what_is_read_is_what_was_written(states: Checkpoints) -> None:
    save(states, 3)
    saved = states.newest()
    assert saved is not None
    assert saved.state["step"] == 3
    for name, values in tensors(3).items():
        assert saved.tensors[name].keys() == values.keys()
        assert all(torch.equal(saved.tensors[name][key], value) for key, value in values.items())


def test_two_states_are_kept_and_the_newest_is_read(states: Checkpoints) -> None:
    for step in (9, 10, 99, 100):
        save(states, step)
    assert sorted(path.name for path in states.folder.iterdir()) == ["step-00000099", "step-00000100"]
    assert len(list(states.folder.iterdir())) == KEPT
    newest = states.newest()
    assert newest is not None and newest.state["step"] == 100


def test_nothing_in_a_state_needs_pickle(states: Checkpoints) -> None:
    save(states, 1)
    kinds = {path.suffix for path in states.folder.rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json"}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two states, steps 4 and 5, to be damaged in copies."""
    folder = tmp_path_factory.mktemp("pristine") / "full"
    states = Checkpoints(folder, seconds=None, observer=Notes())
    for step in (4, 5):
        save(states, step)
    return folder


def flip(path: Path, generator: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
    path.write_bytes(content)


def truncate(path: Path, generator: np.random.Generator) -> None:
    os.truncate(path, int(generator.integers(path.stat().st_size)))


def remove(path: Path, generator: np.random.Generator) -> None:
    path.unlink()


def swap(path: Path, generator: np.random.Generator) -> None:
    """With the same file of the state before, which is as whole as this one."""
    path.write_bytes((path.parent.with_name("step-00000004") / path.name).read_bytes())


def lengthen(path: Path, generator: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes() + generator.bytes(int(generator.integers(1, 100))))


@pytest.mark.parametrize(("harm", "times"), [(flip, 120), (truncate, 40), (remove, 10), (swap, 10), (lengthen, 20)])
def test_damage_is_noticed_named_and_passed_over(
    harm: Callable[[Path, np.random.Generator], None], times: int, pristine: Path, tmp_path: Path
) -> None:
    """200 in all, over every file of a state: 200 noticed, and the state before is used."""
    generator = np.random.default_rng(sum(map(ord, harm.__name__)))
    for number in range(times):
        folder = tmp_path / str(number) / "full"
        shutil.copytree(pristine, folder)
        files = sorted((folder / "step-00000005").iterdir())
        assert len(files) == 6
        victim = files[number % len(files)]
        harm(victim, generator)
        notes = Notes()
        saved = Checkpoints(folder, seconds=None, observer=notes).newest()
        assert saved is not None and saved.state["step"] == 4, (victim.name, number)
        assert len(notes.said) == 1
        assert re.search(r"step-00000005 is damaged and is passed over \(", notes.said[0])
        if victim.name != "manifest.json" or harm is remove:
            assert victim.name in notes.said[0]
        assert (folder / "passed-over-step-00000005").is_dir()
        shutil.rmtree(folder.parent)


def test_a_whole_state_in_the_place_of_another_is_noticed(pristine: Path, tmp_path: Path) -> None:
    for source, target in ((4, "full/step-00000006"), (5, "top-blocks-1/step-00000005")):
        shutil.copytree(pristine / f"step-{source:08}", tmp_path / target)
        notes = Notes()
        assert Checkpoints((tmp_path / target).parent, seconds=None, observer=notes).newest() is None
        assert f"it was written as full/step-{source:08}" in notes.said[0]


def test_a_newer_format_is_passed_over_with_its_number(states: Checkpoints, notes: Notes, monkeypatch: Any) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 9)
    save(states, 1)
    monkeypatch.undo()
    assert states.newest() is None
    assert "format 9 instead of 1" in notes.said[0]


class Failing:
    """Lets the K-th of all calls that write, sync or rename fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        self.code, self.at, self.calls = code, -1, 0
        for owner, name in (
            (os, "fsync"),
            (os, "mkdir"),
            (Path, "replace"),
            (Path, "write_text"),
            (Path, "chmod"),
            (checkpoint, "save_file"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                raise OSError(self.code, os.strerror(self.code))
            return original(*args, **kwargs)

        return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_whatever_call_fails_the_last_state_is_intact(
    code: int, states: Checkpoints, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(states, 1)
    save(states, 2)
    failing = Failing(monkeypatch, code)
    save(states, 3)
    number, failed = failing.calls, 0
    assert number > 20
    for at in range(1, number + 1):
        failing.calls, failing.at = 0, at
        try:
            save(states, 3 + at)
        except ResourceError as error:
            failed += 1
            assert f"step-{3 + at:08}" in error.problem
            assert os.strerror(code) in error.problem
            assert "free there)" in error.problem
            assert "--out" in error.remedy
        failing.at = -1
        assert not [path for path in states.folder.iterdir() if path.name.startswith(".")]
        saved = states.newest()
        assert saved is not None and saved.state["step"] >= 3
        assert notes.said == []
    # Four may fail without harm: making three folders that are there, and putting the oldest state away at the end.
    assert failed >= number - 4


def test_a_disk_that_is_full_costs_no_training(states: Checkpoints, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    save(states, 1)
    failing = Failing(monkeypatch, errno.ENOSPC)
    failing.at = 5
    states.try_to_save("step-00000002", tensors(2), {"step": 2})
    assert re.match(r"step-00000002 is not saved: Cannot write .*: No space left on device \(.* free there\)\.", notes.said[0])
    assert not states.is_due(lambda: 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 512 KiB; skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no command to mount a file system")
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, notes: Notes) -> None:
    states = Checkpoints(small_disk / "full", seconds=None, observer=notes)
    states.save("step-00000001", tensors(1, size=9_000), {"step": 1})
    states.save("step-00000002", tensors(2, size=9_000), {"step": 2})
    (small_disk / "other").write_bytes(bytes(100_000))
    with pytest.raises(ResourceError, match=r"No space left on device .*\(.* free there\)"):
        states.save("step-00000003", tensors(3, size=9_000), {"step": 3})
    assert sorted(path.name for path in states.folder.iterdir()) == ["step-00000001", "step-00000002"]
    newest = states.newest()
    assert newest is not None and newest.state["step"] == 2
    (small_disk / "other").unlink()
    states.save("step-00000003", tensors(3, size=9_000), {"step": 3})
    assert verify_manifest(states.folder / "step-00000003") == []


def test_a_state_takes_the_place_of_a_damaged_one(states: Checkpoints) -> None:
    save(states, 5)
    (states.folder / "step-00000005" / "state.json").write_text("{}")
    save(states, 5)
    assert verify_manifest(states.folder / "step-00000005") == []
    assert [path.name for path in states.folder.iterdir()] == ["step-00000005"]


def test_how_often_is_chosen_from_what_it_costs(states: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    states = Checkpoints(states.folder, seconds=None, observer=Notes())
    megabytes = 400 * 10**6  # two seconds on a slow disk: the first state after a hundred
    now[0] += 99
    assert not states.is_due(lambda: megabytes)
    now[0] += 2
    assert states.is_due(lambda: megabytes)
    original = write_state

    def slow(*args: Any) -> None:
        original(*args)
        now[0] += 0.5

    monkeypatch.setattr(checkpoint, "write_state", slow)
    save(states, 1)  # half a second: the next after 25
    now[0] += 24.9
    assert not states.is_due(lambda: megabytes)
    now[0] += 0.2
    assert states.is_due(lambda: megabytes)


def test_as_often_as_asked(states: Checkpoints) -> None:
    assert Checkpoints(states.folder, seconds=0.0, observer=Notes()).is_due(lambda: 10**12)
    assert not Checkpoints(states.folder, seconds=3600.0, observer=Notes()).is_due(lambda: 0)

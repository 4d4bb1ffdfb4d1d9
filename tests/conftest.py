"""Fixtures for all tests: where the real data lies, and no network."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

# Two test processes with two threads each on two cores wait for each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

SHARED = Path(os.environ.get("LUTHIER_SHARED", Path(__file__).parents[1].parent / "shared"))
REQUIRED = set(filter(None, os.environ.get("LUTHIER_REQUIRE", "").split(",")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights; skips where it is absent, unless LUTHIER_REQUIRE names `shared`."""
    if not (SHARED / "data").is_dir():
        message = f"no shared data at {SHARED}: set LUTHIER_SHARED to a folder with data/ and weights/"
        if "shared" in REQUIRED:
            pytest.fail(message)
        pytest.skip(message)
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep stored activations out of the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            host = str(address[0])
            if host not in ("127.0.0.1", "::1", "localhost"):
                raise OSError(f"tests have no network, but something connects to {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)

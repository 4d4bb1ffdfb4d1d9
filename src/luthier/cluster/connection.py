"""The Ray cluster that work is sent to: one of our own, reachable from this machine alone, or one that somebody has started."""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from luthier.errors import MissingExtraError, ResourceError, UsageError

AUTO = "auto"

# Read by Ray when it is imported. Without the last one it listens on every interface of a Linux machine, and whoever reaches
# its ports can have it run code (CVE-2023-48022); it is named after the systems on which Ray does not do that by default.
OURS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # prints tables of its own
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextmanager
def connected(address: str) -> Iterator[bool]:
    """A connection to a Ray cluster for the length of the block; yields whether it cannot be reached from other machines.

    Args:
        address: `auto` starts a cluster on this machine that ends with the block; HOST:PORT joins one that is running.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: nobody answers at the address, or Ray would listen to other machines.
        ResourceError: Ray does not start.
    """
    is_local = address == AUTO or is_loopback(address.rpartition(":")[0])
    for name, value in {**OURS, **(LOOPBACK if is_local else {})}.items():
        os.environ.setdefault(name, value)
    ray = import_ray()
    was_connected = ray.is_initialized()
    if not was_connected:
        _connect(address)
    try:
        host = ray.util.get_node_ip_address()
        if is_local and not is_loopback(host):
            raise UsageError(
                f"Ray listens at {host}, where other machines can reach it and have it run code.",
                remedy="import luthier before ray, or start a cluster yourself and name it: --cluster HOST:PORT",
            )
        yield is_local
    finally:
        if not was_connected:
            ray.shutdown()


def import_ray() -> Any:
    """Ray, or an error that says how to get it."""
    try:
        import ray
        import ray.train
        import ray.tune
    except ImportError as error:
        raise MissingExtraError("cluster", needed_for="--cluster") from error
    return ray


def _connect(address: str) -> None:
    import ray

    quiet = {"log_to_driver": False, "configure_logging": False}
    try:
        if address == AUTO:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise UsageError(
            f"No Ray cluster answers at '{address}': {str(error).splitlines()[0][:200]}",
            remedy="--cluster auto, or the HOST:PORT that `ray start --head` has told",
        ) from error
    except (RuntimeError, TimeoutError) as error:
        raise ResourceError(f"Ray does not start: {str(error).splitlines()[0][:200]}", remedy="ray stop, and again") from error


def is_loopback(host: str) -> bool:
    """Whether a host is this machine as no other can reach it.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("10.0.0.7"), is_loopback("head-node")
        (True, True, False, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

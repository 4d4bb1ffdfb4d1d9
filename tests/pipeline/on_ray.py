"""A run and a search on a real Ray cluster of two nodes, one of which is killed in the middle of each.

`python on_ray.py OUT TABLE MODEL`.

A process of its own, because Ray keeps state in the process it is imported in. Prints what was seen, as JSON.
"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

from luthier.cluster.connection import LOOPBACK, OURS, connected
from luthier.cluster.searching import search_on_cluster
from luthier.pipeline.search_spec import SearchSpec, search_of
from luthier.spec import Given

KILL_AFTER_STEPS = 20
TRIALS = 6


def listeners() -> list[str]:
    """Addresses at which this process and all that it has started wait for connections."""
    import psutil

    own = os.environ["LUTHIER_TEST_RUN"]
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get("LUTHIER_TEST_RUN") == own:
                found |= {item.laddr.ip for item in process.net_connections("inet") if item.status == psutil.CONN_LISTEN}
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return sorted(found)


def steps_done(folder: Path) -> int:
    journal = folder / "journal.jsonl"
    return journal.read_text().count('"event": "step"') if journal.is_file() else 0


def searched(table: str, out: Path, settings: Mapping[str, Any]) -> SearchSpec:
    """A few trials whose values depend on nothing but their number."""
    own = {"sources": [table], "out": str(out), "trials": TRIALS, "sampler": "random", "pruner": "none", "final": False}
    kept = {name: value for name, value in settings.items() if name not in ("learning_rate", "checkpoint_seconds")}
    values = {**kept, "num_epochs": 1, "preflight": False, **own}
    return search_of([Given(written=name, value=value, style="keyword") for name, value in values.items()])


def trials_over(folder: Path) -> int:
    """How many trials of a search have come to an end."""
    database = folder / "study.db"
    if not database.is_file():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as study:
        try:
            return int(study.execute("select count(*) from trials where state in ('COMPLETE', 'PRUNED', 'FAIL')").fetchone()[0])
        except sqlite3.OperationalError:  # its tables are being made
            return 0


def main(out: Path, settings: dict[str, Any], table: str) -> None:
    os.environ.update({**OURS, **LOOPBACK})
    from ray.cluster_utils import Cluster

    import luthier

    # Ray's own patience with a silent node is half a minute.
    health = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 2}
    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": {"health_check_initial_delay_ms": 0, **health}}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=1)
    seen: dict[str, Any] = {}

    def kill() -> None:
        while not steps_done(out):
            time.sleep(0.02)
        seen["listeners"] = listeners()
        while steps_done(out) < KILL_AFTER_STEPS:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        seen["killed_after"] = steps_done(out)

    Thread(target=kill, daemon=True).start()
    run = luthier.tune(table, cluster=cluster.address, workers=2, out=str(out), **settings)
    seen["verdict"] = run.verdict

    node, searching = cluster.add_node(num_cpus=1), out.with_name("search")

    def kill_again() -> None:
        while not trials_over(searching):
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        seen["trials_before_the_loss"] = trials_over(searching)

    Thread(target=kill_again, daemon=True).start()
    found = search_on_cluster(searched(table, searching, settings), cluster.address, workers=2)
    seen["trials"] = [[record.number, record.state, record.score, record.repeats] for record in found.record.trials]
    seen["workers_of_trials"] = sum(record.attempts for record in found.record.trials)
    cluster.shutdown()
    with connected("auto") as is_local:
        seen["auto"] = {"is_local": is_local, "listeners": listeners()}
    print("SEEN " + json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[3]), sys.argv[2])

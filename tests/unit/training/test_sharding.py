"""FSDP2 under Luthier's own steps, in two processes over gloo: the training of one process in half of its memory.

Users are not offered it (docs/decisions/0009-several-processes.md); this keeps what is said there of it true.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .several_processes import CASES
from .test_processes import torchrun

pytestmark = pytest.mark.cluster
SCRIPT = Path(__file__).with_name("sharded_processes.py")
FITTING = [name for name in CASES if name != "penalties"]
Results = Mapping[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results, Results]:
    """What one process found, whose weights are whole, and what each of two found that hold half of them."""
    alone, together = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    commands = [[sys.executable, str(SCRIPT), str(alone)], torchrun([str(SCRIPT), str(together)])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    paths = (alone / "rank-0.json", together / "rank-0.json", together / "rank-1.json")
    one, main, other = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    return one, main, other


@pytest.mark.parametrize("case", FITTING)
def test_sharded_weights_have_the_losses_of_whole_ones(trained: tuple[Results, Results, Results], case: str) -> None:
    alone, main, _ = (found[case] for found in trained)
    np.testing.assert_allclose(main["losses"], alone["losses"], atol=1e-5)
    np.testing.assert_allclose(main["outputs"], alone["outputs"], atol=1e-5)
    np.testing.assert_allclose(list(main["weights"].values()), list(alone["weights"].values()), atol=1e-5)


@pytest.mark.parametrize("case", FITTING)
def test_the_norm_of_sharded_gradients_is_that_of_whole_ones(trained: tuple[Results, Results, Results], case: str) -> None:
    alone, main, other = (found[case]["norms"] for found in trained)
    np.testing.assert_allclose(main, alone, rtol=1e-5)
    assert main == other


@pytest.mark.parametrize("case", FITTING)
def test_each_process_holds_half_of_weights_gradients_and_states(trained: tuple[Results, Results, Results], case: str) -> None:
    alone, *halves = (found[case]["held_bytes"] for found in trained)
    assert sum(halves) == pytest.approx(alone, rel=0.01)
    assert max(halves) <= 0.51 * alone


def test_all_processes_gather_the_same_bits(trained: tuple[Results, Results, Results]) -> None:
    _, main, other = trained
    for case in FITTING:
        assert main[case]["outputs"] == other[case]["outputs"]
        assert main[case]["weights"] == other[case]["weights"]


def test_a_gathered_state_is_gone_on_with_to_the_bit(trained: tuple[Results, Results, Results]) -> None:
    for found in trained:
        unbroken, again = found["gone on with"]
        assert len(unbroken) == 4
        assert again == unbroken
    np.testing.assert_allclose(trained[1]["gone on with"][0], trained[0]["gone on with"][0], atol=1e-5)

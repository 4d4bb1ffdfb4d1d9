"""The ladder's rungs, and methods as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import SpecError
from luthier.training.methods import build_rung, ladder_rungs


@given(num_blocks=st.integers(2, 48))
def test_the_ladder_goes_from_the_cheapest_to_everything(num_blocks: int) -> None:
    rungs = ladder_rungs(num_blocks)
    boundaries = [rung.boundary for rung in rungs]
    assert [rung.name.split(":")[0] for rung in rungs] == ["probe", "top-blocks", "full"]
    assert boundaries[0] == num_blocks
    assert boundaries[-1] == 0
    assert boundaries == sorted(boundaries, reverse=True)
    assert len(set(boundaries)) == len(boundaries)


def test_a_network_of_one_block_has_no_top() -> None:
    assert [rung.name for rung in ladder_rungs(1)] == ["probe", "full"]


def test_a_misspelt_method_shows_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"Unknown method 'top-block'\. Did you mean 'top-blocks'\?"):
        build_rung("top-block:2", num_blocks=6)


def test_too_many_blocks_say_how_many_there_are() -> None:
    with pytest.raises(SpecError, match="K must be from 1 to 5") as caught:
        build_rung("top-blocks:6", num_blocks=6)
    assert caught.value.remedy == "--method top-blocks:2, or --method full"

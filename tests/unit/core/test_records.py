"""Records become JSON and come back; families, names and seeds keep their promises."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from luthier.core.decision import Decision
from luthier.core.family import Family
from luthier.core.names import count_of, describe_unknown, nearest_name
from luthier.core.process import Cost
from luthier.core.records import from_plain, to_json, to_plain
from luthier.core.seeding import generator_for, seed_for
from luthier.errors import DataError, LuthierError, MissingExtraError, SpecError, UsageError, raise_together


def test_a_record_survives_the_way_to_json_and_back() -> None:
    cost = Cost(cpu_seconds=1.5, wall_seconds=2.0, peak_memory_bytes=7)
    assert from_plain(Cost, to_plain(cost)) == cost


def test_wrong_types_are_refused_on_the_way_back() -> None:
    with pytest.raises(ValidationError):
        from_plain(Cost, {"cpu_seconds": "soon", "wall_seconds": 1, "peak_memory_bytes": 1})


def test_arrays_paths_sets_and_odd_numbers_become_plain() -> None:
    value = {"a": np.arange(2), "b": Path("x/y"), "c": {2, 1}, "d": float("nan"), "e": np.float32(0.5), "é": ()}
    assert to_json(value) == '{"a": [0, 1], "b": "x/y", "c": [1, 2], "d": null, "e": 0.5, "é": []}'


def test_a_decision_holds_its_reason() -> None:
    decision = Decision(name="seed", value=1, reason="the default", override="--seed")
    assert to_plain(decision) == {
        "name": "seed",
        "value": 1,
        "reason": "the default",
        "evidence": {},
        "override": "--seed",
        "schema_version": 1,
    }


def test_members_of_a_family_are_imported_on_use_and_unknown_ones_named() -> None:
    family: Family[object] = Family("thing", {"path": "pathlib:Path", "broken": "no.such.module:x"})
    assert family["path"] is Path
    assert list(family) == ["path", "broken"]
    with pytest.raises(SpecError, match=r"Unknown thing 'pth'\. Did you mean 'path'"):
        family["pth"]


def test_a_family_takes_a_new_member_but_no_second_meaning() -> None:
    family: Family[object] = Family("thing", {})
    family.add("path", "pathlib:Path")
    family.add("path", "pathlib:Path")
    assert family["path"] is Path
    with pytest.raises(SpecError, match="already pathlib:Path"):
        family.add("path", "pathlib:PurePath")


def test_names_far_from_everything_get_no_guess() -> None:
    assert nearest_name("zzz", ["probe", "full"]) is None
    assert "Did you mean" not in describe_unknown("method", "zzz", ["probe"])
    assert count_of(0, "row") == "0 rows"


def test_seeds_differ_by_purpose_and_agree_by_name() -> None:
    assert seed_for(3, "split") == seed_for(3, "split") != seed_for(3, "shuffle")
    assert seed_for(4, "split") != seed_for(3, "split")
    assert generator_for(0, "x").random() == generator_for(0, "x").random()


def test_an_error_holds_problem_and_remedy() -> None:
    error = SpecError("It is wrong.", remedy="mend it")
    assert (str(error), error.exit_code) == ("It is wrong.\n  Try: mend it", 2)
    assert LuthierError("x", remedy="y").exit_code == 1


def test_a_missing_extra_names_the_command() -> None:
    assert MissingExtraError("image", needed_for="reading pictures").remedy == "pip install 'luthier[image]'"


def test_problems_are_raised_together_under_their_common_type() -> None:
    with pytest.raises(UsageError) as caught:
        raise_together([DataError("a", remedy="1"), SpecError("b", remedy="2")])
    assert type(caught.value) is UsageError
    assert "1. a" in str(caught.value) and "2. b" in str(caught.value)
    with pytest.raises(DataError):
        raise_together([DataError("a", remedy="1"), DataError("b", remedy="2")])
    raise_together([])

"""Settings as keys: what a key accepts in words, and which key a user meant."""

from typing import Literal

import pytest
from pydantic import Field

from luthier.core.keys import Key, key_of, nearest_key
from luthier.core.settings import Settings


class Sample(Settings):
    """One field of each kind."""

    name: str | None = Field(None, description="A name")
    rate: float = Field(0.5, gt=0, lt=1, description="A rate")
    count: int | None = Field(None, ge=1, description="A count")
    mode: Literal["fast", "slow", "off"] = Field("fast", description="A mode")
    verbose: bool = Field(False, description="A switch")
    columns: tuple[str, ...] = Field((), description="Columns")


KEYS: dict[str, Key] = {name: key_of("sample", name, info) for name, info in Sample.model_fields.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rate", "a number above 0 and below 1"),
        ("count", "a whole number of at least 1"),
        ("mode", "fast, slow or off"),
        ("verbose", "true or false"),
        ("columns", "a list of texts"),
    ],
)
def test_what_a_key_accepts_is_put_into_words(name: str, expected: str) -> None:
    assert KEYS[name].expected == expected


def test_a_key_has_one_word_in_three_spellings() -> None:
    key = key_of("training", "num_epochs", Sample.model_fields["count"])
    assert (key.path, key.keyword, key.flag) == ("training.num_epochs", "num_epochs", "--num-epochs")


def test_the_name_of_a_section_is_called_like_the_section() -> None:
    assert (KEYS["name"].keyword, KEYS["name"].flag) == ("sample", "--sample")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("sample.raet", "rate"), ("--cuont", "count"), ("other.mode", "mode"), ("verbos", "verbose"), ("sampel.rate", "rate")],
)
def test_the_nearest_key_is_found(written: str, meant: str) -> None:
    found = nearest_key(written, list(KEYS.values()))
    assert found is not None
    assert found.name == meant


def test_nothing_near_is_nothing() -> None:
    assert nearest_key("zzzzzz", list(KEYS.values())) is None

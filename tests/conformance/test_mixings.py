"""Every member of the family of mixings."""

from dataclasses import fields

from luthier.testing.conformance import MixingConformance
from luthier.training.mixing import MIXINGS
from luthier.training.mixing.mixture import MixingSettings


class TestMixup(MixingConformance):
    name = "mixup"


class TestCutMix(MixingConformance):
    name = "cutmix"


def test_every_mixing_has_its_class_and_its_setting() -> None:
    assert {kind.name for kind in MixingConformance.__subclasses__()} >= set(MIXINGS)
    assert {field.name for field in fields(MixingSettings)} == set(MIXINGS)

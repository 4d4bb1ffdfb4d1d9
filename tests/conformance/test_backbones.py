"""Every family of networks whose layout is known."""

from luthier.testing.backbones import FAMILIES
from luthier.testing.conformance import BackboneConformance


class TestBert(BackboneConformance):
    family = "bert"


class TestDistilbert(BackboneConformance):
    family = "distilbert"


class TestRoberta(BackboneConformance):
    family = "roberta"


class TestDebertaV2(BackboneConformance):
    family = "deberta-v2"


class TestModernbert(BackboneConformance):
    family = "modernbert"


class TestT5(BackboneConformance):
    family = "t5"


class TestGpt2(BackboneConformance):
    family = "gpt2"


class TestLlama(BackboneConformance):
    family = "llama"


class TestQwen2(BackboneConformance):
    family = "qwen2"


class TestBart(BackboneConformance):
    family = "bart"


class TestVit(BackboneConformance):
    family = "vit"


class TestSwin(BackboneConformance):
    family = "swin"


class TestResnet(BackboneConformance):
    family = "resnet"


class TestMobilenetV2(BackboneConformance):
    family = "mobilenet_v2"


class TestConvnext(BackboneConformance):
    family = "convnext"


class TestWav2vec2(BackboneConformance):
    family = "wav2vec2"


class TestWav2vec2Base(BackboneConformance):
    family = "wav2vec2-base"


class TestWhisper(BackboneConformance):
    family = "whisper"


def test_every_family_has_its_class() -> None:
    assert {kind.family for kind in BackboneConformance.__subclasses__()} >= set(FAMILIES)

"""Every family of networks with their own head."""

from luthier.testing.conformance.language_models import LanguageModelConformance
from luthier.testing.language_models import LANGUAGE_FAMILIES


class TestGpt2(LanguageModelConformance):
    family = "gpt2"


class TestLlama(LanguageModelConformance):
    family = "llama"


class TestQwen2(LanguageModelConformance):
    family = "qwen2"


class TestBert(LanguageModelConformance):
    family = "bert"


class TestDistilbert(LanguageModelConformance):
    family = "distilbert"


class TestModernbert(LanguageModelConformance):
    family = "modernbert"


class TestT5(LanguageModelConformance):
    family = "t5"


class TestBart(LanguageModelConformance):
    family = "bart"


class TestMarian(LanguageModelConformance):
    family = "marian"


class TestWhisper(LanguageModelConformance):
    family = "whisper"


def test_every_family_has_its_class() -> None:
    assert {kind.family for kind in LanguageModelConformance.__subclasses__()} == set(LANGUAGE_FAMILIES)

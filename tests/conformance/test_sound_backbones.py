"""Networks for sound: those of the families that need their own preprocessing at hand, and those of the examples."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import transformers

from luthier.models.backbone import Backbone, wrap_backbone
from luthier.testing.conformance import BackboneConformance
from luthier.testing.folders import AUDIO_FAMILIES

EXAMPLES = str(Path(__file__).parents[2] / "examples")


class SoundBackbone(BackboneConformance):
    """A family of `AUDIO_FAMILIES`."""

    __test__ = False
    shape: ClassVar[tuple[int, ...]]
    lengths: ClassVar[tuple[int, ...]] = ()

    def backbone(self) -> Backbone:
        prefix, settings, _ = AUDIO_FAMILIES[self.family]
        config = getattr(transformers, f"{prefix}Config")(**settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = getattr(transformers, f"{prefix}Model")(config)
            for parameter in network.parameters():
                if parameter.ndim == 1:
                    parameter.data += 0.1 * torch.randn_like(parameter)
        return wrap_backbone(network.eval(), width=config.hidden_size, model_type=config.model_type)

    def inputs(self) -> Mapping[str, torch.Tensor]:
        values = torch.randn(3, *self.shape, generator=torch.Generator().manual_seed(0))
        if not self.lengths:
            return {"input_values": values}
        mask = (torch.arange(self.shape[0])[None, :] < torch.tensor(self.lengths)[:, None]).long()
        return {"input_values": values * mask.reshape(3, -1, *[1] * (values.ndim - 2)), "attention_mask": mask}


class TestHubert(SoundBackbone):
    __test__ = True
    family = "hubert"
    shape, lengths = (2_000,), (2_000, 1_200, 700)


class TestAst(SoundBackbone):
    __test__ = True
    family = "ast"
    shape = (60, 16)


class OwnBackbone(SoundBackbone):
    __test__ = False
    module: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _examples(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(EXAMPLES)
        self.found = importlib.import_module(f"sound_networks.{self.module}")


class TestFrameNet(OwnBackbone):
    __test__ = True
    module = "frames"
    shape, lengths = (90, 64), (90, 61, 33)

    def backbone(self) -> Backbone:
        return self.found.frame_backbone(tiny=True)


class TestYAMNet(OwnBackbone):
    __test__ = True
    module = "yamnet"
    shape = (96, 64)

    def backbone(self) -> Backbone:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.found.build_yamnet()
        return wrap_backbone(network.eval(), width=self.found.WIDTHS[-1])


@pytest.mark.shared_data
def test_yamnet_hears_what_it_was_trained_on(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its classes are sensible: a tone is a sine wave or a beep, speech is speech."""
    import csv

    import soundfile
    from safetensors.torch import load_file

    from luthier.core.sound import resample

    monkeypatch.syspath_prepend(EXAMPLES)
    folder = shared / "weights" / "yamnet_audioset"
    backbone = importlib.import_module("sound_networks.yamnet").load_yamnet(folder / "model.safetensors")
    weights = load_file(folder / "model.safetensors")
    with (folder / "yamnet_class_map.csv").open(newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    samples, rate = soundfile.read(shared / "data" / "ljspeech_mini" / "wavs" / "LJ001-0001.wav", dtype="float32")
    patch = resample(samples, rate, 16_000)[16_000:][: backbone.processor.audio_settings.samples]
    batch = {"input_values": torch.from_numpy(backbone.processor.prepare(patch))[None]}
    with torch.no_grad():
        features = backbone.pool(backbone(batch))
        scores = torch.sigmoid(features @ weights["classifier.weight"].T + weights["classifier.bias"])[0]
    assert names[int(scores.argmax())] == "Speech"
    assert float(scores.max()) > 0.8

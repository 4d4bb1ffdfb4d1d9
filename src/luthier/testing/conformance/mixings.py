"""What every way to mix examples must be."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from luthier.training.mixing import MIXINGS, draw_mixture
from luthier.training.mixing.mixture import MixingSettings, Mixture


class MixingConformance:
    """A member of `MIXINGS` mixes examples of one shape and says truly how much of the first is left.

    Attributes:
        name: Its name in `MIXINGS`, and in `MixingSettings`.
        shape: Of the tensors it is tried on.
    """

    name: ClassVar[str]
    shape: ClassVar[tuple[int, ...]] = (4, 3, 10, 6)

    def _mixtures(self) -> Iterator[Mixture]:
        settings = MixingSettings(**{self.name: 1.0})
        for step in range(20):
            mixture = draw_mixture(settings, seed=0, step=step, size=self.shape[0])
            assert mixture is not None
            yield mixture

    def test_the_share_is_what_is_left_of_the_first(self) -> None:
        """Ones mixed with zeros have the share as their mean."""
        for mixture in self._mixtures():
            mixed, share = MIXINGS[self.name].mix(torch.ones(self.shape), torch.zeros(self.shape), mixture)
            assert 0 <= share <= 1
            torch.testing.assert_close(mixed.mean(), torch.tensor(share), rtol=1e-5, atol=1e-6)

    def test_an_example_mixed_with_itself_is_itself(self) -> None:
        """And nothing that is given is changed."""
        first = torch.randn(self.shape)
        before = first.clone()
        for mixture in self._mixtures():
            torch.testing.assert_close(MIXINGS[self.name].mix(first, first, mixture)[0], before)
        torch.testing.assert_close(first, before)

    def test_the_whole_share_leaves_the_first_alone(self) -> None:
        """With share 1 nothing is mixed in."""
        first, second = torch.randn(self.shape), torch.randn(self.shape)
        for mixture in self._mixtures():
            mixed, share = MIXINGS[self.name].mix(first, second, replace(mixture, share=1.0))
            assert share == 1
            assert torch.equal(mixed, first)

    def test_rows_are_mixed_one_by_one(self) -> None:
        """A micro-batch is mixed as the whole batch is: what a row becomes does not depend on the others."""
        first, second = torch.randn(self.shape), torch.randn(self.shape)
        for mixture in self._mixtures():
            whole, _ = MIXINGS[self.name].mix(first, second, mixture)
            parts: list[Tensor] = [
                MIXINGS[self.name].mix(first[part], second[part], mixture)[0] for part in (slice(0, 1), slice(1, None))
            ]
            assert torch.equal(torch.cat(parts), whole)

    def test_seed_and_step_decide(self) -> None:
        """The same step is mixed in the same way again, another one in another."""
        settings = MixingSettings(**{self.name: 1.0})
        shares = [[self._share(settings, seed, step) for step in range(5)] for seed in (0, 0, 1)]
        assert shares[0] == shares[1] != shares[2]
        assert len(set(shares[0])) == 5

    @staticmethod
    def _share(settings: MixingSettings, seed: int, step: int) -> float:
        mixture = draw_mixture(settings, seed=seed, step=step, size=4)
        assert mixture is not None
        return mixture.share

    def test_its_card_says_when_to_use_it(self) -> None:
        """The module's docstring is its card."""
        card = sys.modules[type(MIXINGS[self.name]).__module__].__doc__ or ""
        assert all(f"{word}:" in card for word in ("Use when", "Cost", "Suggested values", "Source"))

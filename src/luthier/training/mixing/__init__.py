"""Mixtures: training on pairs of examples with pairs of labels. `MIXINGS` is the list of ways to mix.

What is mixed: pictures as pixels, or as what enters the first block that trains where that is stored; texts as pooled vectors,
for the words of two texts have no mean. Partners are drawn over the whole batch, however it is cut.
"""

from luthier.core.family import Family
from luthier.core.seeding import generator_for
from luthier.errors import SpecError
from luthier.training.mixing.mixture import Mixing, MixingSettings, Mixture

MIXINGS: Family[Mixing] = Family(
    "mixing",
    {
        "mixup": "luthier.training.mixing.mixup:MIXING",
        "cutmix": "luthier.training.mixing.cutmix:MIXING",
    },
)


def draw_mixture(settings: MixingSettings, *, seed: int, step: int, size: int) -> Mixture | None:
    """Partners and share of one step; both follow from seed and step alone, so that a step done again is the same step.

    Args:
        settings: Which ways to mix; of several, one is drawn for each step.
        size: Of the whole batch.

    Returns:
        None where nothing is mixed.

    Example:
        >>> one, again = (draw_mixture(MixingSettings(mixup=0.2), seed=0, step=7, size=4) for _ in range(2))
        >>> one.share == again.share, sorted(one.partners.tolist())
        (True, [0, 1, 2, 3])
    """
    strengths = {name: alpha for name, alpha in vars(settings).items() if alpha}
    if not strengths:
        return None
    generator = generator_for(seed, f"mixing/{step}")
    name = list(strengths)[generator.integers(len(strengths))]
    share = float(generator.beta(strengths[name], strengths[name]))
    centre = (float(generator.random()), float(generator.random()))
    return Mixture(name=name, partners=generator.permutation(size), share=share, centre=centre)


def refuse_unfit_mixing(settings: MixingSettings, modality: str) -> None:
    """Raise SpecError if there is nothing to cut: only pictures have places."""
    if settings.cutmix and modality != "image":
        raise SpecError(
            f"CutMix pastes a piece of one picture into another, and the data are {modality}.",
            remedy=f"--mixup {settings.cutmix:g}, which mixes any kind of data",
        )

"""Parameter groups, and the optimizers by name: each is made from its argument and says how its rates compare with AdamW's.

An optimizer is written as `name` or `name:argument` (`sgd:0.9`). The learning rates of the methods were chosen under AdamW;
where the user fixes none, they are multiplied by the optimizer's `rate_factor` (measured: docs/lab-notebook.md).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.core.family import Family
from luthier.errors import SpecError

if TYPE_CHECKING:  # imported where used: a spec is read without torch
    import torch
    from torch import nn

NamedParameters = Iterable[tuple[str, "nn.Parameter"]]
Groups = Sequence[dict[str, Any]]

BETAS, EPSILON = (0.9, 0.999), 1e-8
MOMENTUM = 0.9
FACTOR_OF_SGD = 10.0
FACTOR_OF_ADAFACTOR = 30.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An optimizer with its argument.

    Attributes:
        name: As a user writes it, with its argument.
        rate_factor: Its learning rates are this many times those of AdamW.
        decay: What `weight_decay` does under it, for people.
        build: (parameter groups, device) -> the optimizer.
        state_size: Shape of a weight -> numbers of state that it keeps for it.
    """

    name: str
    rate_factor: float
    decay: str
    build: Callable[[Groups, str], "torch.optim.Optimizer"]
    state_size: Callable[[tuple[int, ...]], int]


MakeRecipe = Callable[[str], Recipe]


def make_adamw(argument: str) -> Recipe:
    """`adamw`: steps of about the learning rate for each weight, whatever the size of its gradient.

    Use when: always; the default of fine-tuning. Cost: two numbers of state for each weight that trains. Weight decay:
    decoupled, each matrix shrinks by rate times decay a step. Source: Loshchilov & Hutter 2019, "Decoupled weight decay
    regularization".

    Example:
        >>> make_adamw("").rate_factor
        1.0
    """
    _refuse(argument, name="adamw")

    def build(groups: Groups, device: str) -> "torch.optim.Optimizer":
        import torch

        return torch.optim.AdamW(list(groups), betas=BETAS, eps=EPSILON, fused=_is_fused(device))

    decay = "decoupled: matrices shrink by rate times decay a step"
    return Recipe(name="adamw", rate_factor=1.0, decay=decay, build=build, state_size=_two_moments)


def make_adam(argument: str) -> Recipe:
    """`adam`: as `adamw`, with the weight decay as a part of the gradient.

    Use when: a recipe that was published with it is to be repeated. Cost: as `adamw`. Weight decay: it is added to the
    gradient (L2) and then divided by the gradient's own size like the rest, so that weights with large gradients hardly decay;
    `--weight-decay 0` is Adam as it was published. Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization".

    Example:
        >>> make_adam("").rate_factor
        1.0
    """
    _refuse(argument, name="adam")

    def build(groups: Groups, device: str) -> "torch.optim.Optimizer":
        import torch

        return torch.optim.Adam(list(groups), betas=BETAS, eps=EPSILON, fused=_is_fused(device))

    return Recipe(name="adam", rate_factor=1.0, decay="a part of the gradient (L2)", build=build, state_size=_two_moments)


def make_sgd(argument: str) -> Recipe:
    """`sgd:MOMENTUM` (0.9): steps along the gradient itself, with a memory of earlier ones.

    Use when: memory is short, or for convolution networks, most of which were pre-trained with it. Cost: one number of state
    for each weight that trains, none with `sgd:0`. Weight decay: a part of the gradient (L2), as in PyTorch; without adaptive
    steps that is the same as decoupled decay. Its rates are some ten times those of `adamw`, for gradients are small.
    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".

    Example:
        >>> make_sgd("").name, make_sgd("0").name
        ('sgd:0.9', 'sgd:0')
    """
    momentum = _momentum(argument)

    def build(groups: Groups, device: str) -> "torch.optim.Optimizer":
        import torch

        return torch.optim.SGD(list(groups), lr=0.0, momentum=momentum, fused=_is_fused(device))

    decay = "a part of the gradient (L2)"

    def state_size(shape: tuple[int, ...]) -> int:
        return math.prod(shape) if momentum else 0

    return Recipe(name=f"sgd:{momentum:g}", rate_factor=FACTOR_OF_SGD, decay=decay, build=build, state_size=state_size)


def make_adafactor(argument: str) -> Recipe:
    """`adafactor`: steps of the learning rate times the size of the weights themselves, from row and column means of gradients.

    Use when: a large model trains as a whole and the states of `adamw` do not fit. Cost: for a matrix one number of state for
    each row and each column instead of two for each weight; several passes over the weights a step. Weight decay: decoupled,
    as in `adamw`. Its rates are shares of a weight's own size, and so some ten times those of `adamw` or more; a weight that
    is still zero is moved as if its size were 0.001. Source: Shazeer & Stern 2018, "Adafactor: adaptive learning rates with
    sublinear memory cost".

    Example:
        >>> make_adafactor("").rate_factor > 1
        True
    """
    _refuse(argument, name="adafactor")

    def build(groups: Groups, device: str) -> "torch.optim.Optimizer":
        import torch

        return torch.optim.Adafactor(list(groups))

    def state_size(shape: tuple[int, ...]) -> int:
        size = math.prod(shape)
        return size if len(shape) < 2 else size // shape[-1] + size // shape[-2]

    decay = "decoupled: matrices shrink by rate times decay a step"
    return Recipe(name="adafactor", rate_factor=FACTOR_OF_ADAFACTOR, decay=decay, build=build, state_size=state_size)


OPTIMIZERS: Family[MakeRecipe] = Family(
    "optimizer",
    {name: f"luthier.training.optimizer:make_{name}" for name in ("adafactor", "adam", "adamw", "sgd")},
)


def build_recipe(name: str) -> Recipe:
    """An optimizer as a user writes it: `adamw`, `sgd:0.9`.

    Raises:
        SpecError: it is unknown, or its argument makes no sense.

    Example:
        >>> build_recipe("sgd:0.5").name
        'sgd:0.5'
    """
    bare, _, argument = name.partition(":")
    return OPTIMIZERS[bare](argument)


def build_optimizer(groups: Groups, *, device: str, name: str = "adamw") -> "torch.optim.Optimizer":
    """The optimizer of that name over parameter groups; it remembers each group's rate as its peak."""
    optimizer = build_recipe(name).build(groups, device)
    for group in optimizer.param_groups:
        group["peak_learning_rate"] = group["lr"]
    return optimizer


def build_groups(named: NamedParameters, *, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups at one rate: matrices with weight decay; biases, norms and other vectors without.

    Source: the habit of BERT (Devlin et al. 2019) and of every later fine-tuning recipe.
    """
    moving = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    matrices = [item for name, item in moving if is_matrix(name, item)]
    vectors = [item for name, item in moving if not is_matrix(name, item)]
    groups = [
        {"params": matrices, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": vectors, "lr": learning_rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def is_matrix(name: str, parameter: "torch.Tensor") -> bool:
    """Whether a weight may be pulled towards zero: biases and norms may not, nor the factors of IA3, which begin at one."""
    return parameter.ndim >= 2 and ".ia3_l." not in name


def set_learning_rate(optimizer: "torch.optim.Optimizer", factor: float) -> None:
    """Set every group to `factor` times its peak rate."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group["peak_learning_rate"]


def _two_moments(shape: tuple[int, ...]) -> int:
    return 2 * math.prod(shape)


def _is_fused(device: str) -> bool:
    """The fused form updates all parameters in one pass over memory."""
    return device.startswith(("cpu", "cuda"))


def _refuse(argument: str, *, name: str) -> None:
    if argument:
        raise SpecError(
            f"Optimizer '{name}' takes no argument, but '{name}:{argument}' was asked for.", remedy=f"--optimizer {name}"
        )


def _momentum(argument: str) -> float:
    try:
        momentum = float(argument) if argument else MOMENTUM
    except ValueError:
        momentum = -1.0
    if not 0 <= momentum < 1:
        raise SpecError(
            f"'sgd:{argument}' is no optimizer: its momentum must be a number from 0 to below 1.",
            remedy=f"--optimizer sgd:{MOMENTUM:g}",
        )
    return momentum

"""What stands on a backbone and gives logits: a linear layer or a small network, which may pool what it stands on by attention.

Use when: a linear head always first (it can start from the probe). More layers where the probe is poor although the classes can
be told apart, and there are some thousand rows; attention pooling where a few words or patches decide.
Cost: little beside a block. A head that is not linear starts fresh, so that the first steps of tuning move blocks under a
head that knows nothing.
Suggested values: 2 layers, as wide as the pooled vector, dropout 0.1 to 0.3.
Source: Devlin et al. 2019 (a linear head on a pooled vector); Chen et al. 2020, "A simple framework for contrastive learning"
(a head of two layers); Yang et al. 2016, "Hierarchical attention networks for document classification" (a learned query).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from luthier.core.seeding import seed_for
from luthier.errors import ModelError
from luthier.models.backbone import Backbone, State
from luthier.models.pooling import AttentionPooling, pool_states
from luthier.models.settings import HeadSettings

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}

NO_PLACE = -1e4  # the score of padding: nothing beside any real one, and finite in half precision


class LinearHead(nn.Module):
    """Dropout and one linear layer.

    Args:
        width: Size of the pooled vector.
        num_outputs: Number of logits.
        dropout: Drop rate on the pooled vector.
        seed: Seed of the fresh weights (normal, standard deviation 0.02, bias zero), so that the first loss is near ln C.
        normalize: Whether the vector is scaled to length one first, as sentence encoders are used.

    Example:
        >>> LinearHead(4, 3, dropout=0.0, seed=0)(torch.ones(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(self, width: int, num_outputs: int, *, dropout: float, seed: int, normalize: bool = False) -> None:
        super().__init__()
        self.normalize = normalize
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, num_outputs)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.normal_(std=0.02, generator=generator)
            self.linear.bias.zero_()

    def forward(self, pooled: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Logits."""
        pooled = pooled.float()
        if self.normalize:
            pooled = nn.functional.normalize(pooled, dim=-1)
        return self.linear(self.dropout(pooled))  # type: ignore[no-any-return]

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {
            "kind": "linear",
            "width": self.linear.in_features,
            "num_outputs": self.linear.out_features,
            "dropout": self.dropout.p,
            "normalize": self.normalize,
        }


class DeepHead(nn.Module):
    """Layers with an activation and dropout between them; with attention also how their vector is pooled.

    Args:
        width: Size of the pooled vector.
        num_outputs: Number of logits.
        hidden_width: Size of what is between two layers.
        layers: How many, the last included.
        attention: Whether the head pools the hidden states itself.
        seed: Seed of the fresh weights: He's for hidden layers; the last as in `LinearHead`.

    Example:
        >>> head = DeepHead(4, 3, hidden_width=8, layers=2, activation="relu", dropout=0.0, attention=False, seed=0)
        >>> head(torch.ones(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        width: int,
        num_outputs: int,
        *,
        hidden_width: int,
        layers: int,
        activation: str,
        dropout: float,
        attention: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self._settings = {
            "kind": "deep",
            "width": width,
            "num_outputs": num_outputs,
            "hidden_width": hidden_width,
            "layers": layers,
            "activation": activation,
            "dropout": dropout,
            "attention": attention,
        }
        self.pooling = AttentionPooling(width) if attention else None
        sizes = [width, *[hidden_width] * (layers - 1)]
        self.hidden = nn.ModuleList(nn.Linear(before, hidden_width) for before in sizes[:-1])
        self.linear = nn.Linear(sizes[-1], num_outputs)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer, deviation in self._fresh():
                layer.weight.normal_(std=deviation, generator=generator)
                layer.bias.zero_()

    def _fresh(self) -> Iterator[tuple[nn.Linear, float]]:
        for layer in self.hidden:
            assert isinstance(layer, nn.Linear)
            yield layer, (2 / layer.in_features) ** 0.5
        yield self.linear, 0.02

    def forward(self, pooled: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Logits."""
        vector = pooled.float()
        for layer in self.hidden:
            vector = self.activation(layer(self.dropout(vector)))
        return self.linear(self.dropout(vector))  # type: ignore[no-any-return]

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return dict(self._settings)


class TokenHead(nn.Module):
    """A head on every hidden state: logits for each token.

    Args:
        inner: What gives the logits of one vector.

    Example:
        >>> head = TokenHead(LinearHead(4, 3, dropout=0.0, seed=0))
        >>> head(State(hidden=torch.ones(2, 5, 4), mask=None, pooled=None)).shape
        torch.Size([2, 5, 3])
    """

    reads_states = True

    def __init__(self, inner: LinearHead | DeepHead) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: State) -> Float[Tensor, "B T C"]:
        """Logits of all tokens; those of padding mean nothing."""
        return self.inner(state.hidden)  # type: ignore[no-any-return]

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {"kind": "tokens", "inner": self.inner.settings()}


class OwnHead(nn.Module):
    """Stands for the head that a network has itself, as language models do: it hands on the network's logits.

    Example:
        >>> head = OwnHead()
        >>> head(State(hidden=torch.ones(2, 5, 9), mask=None, pooled=None)).shape, list(head.parameters())
        (torch.Size([2, 5, 9]), [])
    """

    reads_states = True

    def forward(self, state: State) -> Float[Tensor, "B T V"]:
        """The network's logits."""
        return state.hidden

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {"kind": "own"}


class SpanHead(nn.Module):
    """A head that points at pieces of a text: where each begins and ends, or that it is nowhere.

    Place 0 of its scores is "nowhere", place t + 1 is token t. BERT's heads let the first token stand for "nowhere"; not every
    family has such a token, so it is the mean of all states here.

    Args:
        tokens: Gives the two scores of each label, start and end, of one token.
        nowhere: Gives them of the mean of all tokens.

    Example:
        >>> head = SpanHead(*(LinearHead(4, 2, dropout=0.0, seed=seed) for seed in (0, 1)))
        >>> mask = torch.tensor([[True, True, True], [True, False, False]])
        >>> scores = head(State(hidden=torch.ones(2, 3, 4), mask=mask, pooled=None))
        >>> tuple(scores.shape), scores[1, 2:].unique().tolist()
        ((2, 4, 2), [-10000.0])
    """

    reads_states = True

    def __init__(self, tokens: LinearHead | DeepHead, nowhere: LinearHead | DeepHead) -> None:
        super().__init__()
        self.tokens, self.nowhere = tokens, nowhere

    def forward(self, state: State) -> Float[Tensor, "B T1 L2"]:
        """Scores [B, T + 1, 2 labels]; padding scores `NO_PLACE`."""
        hidden, mask = state.hidden.float(), state.mask
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        scores = self.tokens(hidden).masked_fill(~mask[..., None], NO_PLACE)
        return torch.cat([self.nowhere(pool_states(hidden, mask, "mean"))[:, None], scores], dim=1)

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {"kind": "spans", "tokens": self.tokens.settings(), "nowhere": self.nowhere.settings()}


def build_span_head(settings: HeadSettings, width: int, num_labels: int, *, seed: int) -> SpanHead:
    """A fresh head that looks for one piece of each label; of one label for the answer to a question.

    Source: Devlin et al. 2019, "BERT" (start and end scores); Rajpurkar et al. 2018, "Know what you don't know" (no answer).
    """
    tokens, nowhere = (build_head(settings, width, 2 * num_labels, seed=seed_for(seed, part)) for part in ("tokens", "nowhere"))
    return SpanHead(tokens, nowhere)


def build_head(settings: HeadSettings, width: int, num_outputs: int, *, seed: int) -> LinearHead | DeepHead:
    """A fresh head.

    Args:
        settings: Its shape.
        width: Size of the pooled vector.
        num_outputs: Number of logits.
        seed: Of its weights.

    Example:
        >>> head = build_head(HeadSettings(layers=2, pooling="attention"), 4, 3, seed=0)
        >>> sorted(name for name, _ in head.named_parameters())
        ['hidden.0.bias', 'hidden.0.weight', 'linear.bias', 'linear.weight', 'pooling.query']
    """
    if settings.is_linear:
        return LinearHead(width, num_outputs, dropout=settings.dropout, seed=seed)
    return DeepHead(
        width,
        num_outputs,
        hidden_width=settings.width or width,
        layers=settings.layers,
        activation=settings.activation,
        dropout=settings.dropout,
        attention=settings.pooling == "attention",
        seed=seed,
    )


def head_from(saved: Mapping[str, Any]) -> nn.Module:
    """The head that `settings()` of a head describes, with weights that are to be loaded.

    Raises:
        ModelError: no head is described, or none that this version knows.
    """
    if saved.get("kind") == "frames":
        from luthier.models.frame_head import FrameHead

        return FrameHead(head_from(saved.get("inner", {})))
    arguments = {name: value for name, value in saved.items() if name != "kind"}
    if saved.get("kind") == "own":
        return OwnHead()
    known: dict[object, Any] = {"linear": LinearHead, "deep": DeepHead, "projection": _built_projection}
    kinds: Mapping[object, Any] = known | _heads_of_boxes(saved.get("kind"))
    try:
        if saved.get("kind") == "spans":
            return SpanHead(head_from(saved["tokens"]), head_from(saved["nowhere"]))  # type: ignore[arg-type]
        if saved.get("kind") == "tokens":
            return TokenHead(head_from(saved["inner"]))  # type: ignore[arg-type]  # what it holds was saved by its own `settings`
        head: nn.Module = kinds[saved.get("kind")](**arguments, seed=0)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"This Luthier cannot build the model's head, {dict(saved)} ({type(error).__name__}: {error}).",
            remedy="pip install --upgrade luthier, or copy the model folder again",
        ) from error
    return head


def _built_projection(*, width: int, seed: int) -> nn.Module:
    from luthier.models.projection_head import ProjectionHead

    return ProjectionHead(width)


def _heads_of_boxes(kind: object) -> dict[object, Any]:
    """Heads that find boxes, which stand in files of their own."""
    if kind not in ("boxes", "queries"):
        return {}
    from luthier.models.box_head import BoxHead
    from luthier.models.query_head import QueryHead

    return {"boxes": BoxHead, "queries": QueryHead}


def is_linear(head: nn.Module) -> bool:
    """Whether a head is linear in what it stands on, or made of such heads only.

    Example:
        >>> linear = LinearHead(4, 3, dropout=0.0, seed=0)
        >>> is_linear(linear), is_linear(TokenHead(linear)), is_linear(nn.Linear(4, 3))
        (True, True, False)
    """
    parts = list(head.children())
    return isinstance(head, LinearHead) or (bool(parts) and all(isinstance(part, LinearHead) for part in parts))


def pool_for(head: nn.Module, backbone: Backbone, state: State) -> Float[Tensor, "B D"] | State:
    """What a head stands on: a vector, pooled by the head itself if it learns to, else as the backbone does; or all states."""
    if getattr(head, "reads_states", False):
        return state
    pooling = getattr(head, "pooling", None)
    return backbone.pool(state) if pooling is None else pooling(state.hidden, state.mask)

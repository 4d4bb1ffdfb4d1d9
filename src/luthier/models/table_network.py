"""A small transformer over the cells of a row: every number, category and text is a token.

Use when: rows of a table. It is pre-trained in the run, on the table's own rows (`training/masked_columns.py`).
Cost: some 100,000 weights; a few seconds for each pass over ten thousand rows of twenty cells on one core.
Source: Gorishniy et al. 2021, "Revisiting deep learning models for tabular data" (FT-Transformer); numbers are embedded as in
Gorishniy et al. 2022, "On embeddings for numerical features in tabular deep learning".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from luthier.core.records import from_plain, to_plain
from luthier.models.backbone import Backbone, wrap_backbone
from luthier.models.layout import Layout, Pooling

BUILDER = "luthier.models.table_network:build_table_network"
MODEL_TYPE = "table-transformer"


@dataclass(frozen=True, kw_only=True)
class TableShape:
    """The cells of a row, and the size of the network.

    Attributes:
        numbers: How many numbers a row has.
        number_width: What each number is given as: itself and its bins.
        categories: Number of codes of each category.
        texts: How many texts a row has, each as a vector of `text_width`.
        images: How many pictures a row has, each as a vector of `image_width`.
        width: Size of the hidden states; a multiple of `heads`.
        blocks: Transformer blocks.
        dropout: Drop rate inside the blocks while they train.
    """

    numbers: int = 0
    number_width: int = 17
    categories: tuple[int, ...] = field(default=())
    texts: int = 0
    text_width: int = 0
    images: int = 0
    image_width: int = 0
    width: int = 64
    blocks: int = 3
    heads: int = 4
    dropout: float = 0.1

    @property
    def num_tokens(self) -> int:
        """Tokens of a row."""
        return self.numbers + len(self.categories) + self.texts + self.images

    @property
    def pooled_width(self) -> int:
        """What a head stands on: the mean of the tokens, and beside it the vectors of texts and pictures as they are."""
        return self.width + self.texts * self.text_width + self.images * self.image_width


@dataclass(frozen=True, kw_only=True)
class TableOutput:
    """Hidden states of all cells, and one vector for the row."""

    last_hidden_state: Float[Tensor, "B T D"]
    pooler_output: Float[Tensor, "B P"]


class CellTokens(nn.Module):
    """Each cell as a vector.

    A number: a linear map of itself and its bins; a category: an embedding; a text or a picture: a projection.
    """

    def __init__(self, shape: TableShape) -> None:
        super().__init__()
        self.shape = shape
        if shape.numbers:
            self.number_weight = nn.Parameter(torch.empty(shape.numbers, shape.number_width, shape.width))
            self.number_bias = nn.Parameter(torch.empty(shape.numbers, shape.width))
            self.number_state = nn.Parameter(torch.empty(shape.numbers, 3, shape.width))
        if shape.categories:
            self.codes = nn.Embedding(sum(shape.categories), shape.width)
            starts = torch.tensor((0, *shape.categories[:-1])).cumsum(0)
            self.register_buffer("starts", starts, persistent=False)
            self.starts: Tensor
        if shape.texts:
            self.text_weight = nn.Parameter(torch.empty(shape.texts, shape.text_width, shape.width))
            self.text_bias = nn.Parameter(torch.empty(shape.texts, shape.width))
            self.text_state = nn.Parameter(torch.empty(shape.texts, 3, shape.width))
        if shape.images:
            self.image_weight = nn.Parameter(torch.empty(shape.images, shape.image_width, shape.width))
            self.image_bias = nn.Parameter(torch.empty(shape.images, shape.width))
            self.image_state = nn.Parameter(torch.empty(shape.images, 3, shape.width))
        self.dropout = nn.Dropout(shape.dropout)

    def forward(
        self,
        numbers: Float[Tensor, "B n K"] | None,
        number_states: Int[Tensor, "B n"] | None,
        categories: Int[Tensor, "B c"] | None,
        texts: Float[Tensor, "B t E"] | None,
        text_states: Int[Tensor, "B t"] | None,
        images: Float[Tensor, "B i F"] | None,
        image_states: Int[Tensor, "B i"] | None,
    ) -> Float[Tensor, "B T D"]:
        """Tokens of all cells: numbers, categories, texts, pictures. What is missing or masked is a token of its own."""
        tokens = []
        if numbers is not None and number_states is not None:
            values = torch.einsum("bnk,nkd->bnd", numbers, self.number_weight)
            tokens.append(self._with_states(values, number_states, self.number_state) + self.number_bias)
        if categories is not None:
            tokens.append(self.codes(categories + self.starts))
        if texts is not None and text_states is not None:
            values = torch.einsum("bte,ted->btd", texts, self.text_weight)
            tokens.append(self._with_states(values, text_states, self.text_state) + self.text_bias)
        if images is not None and image_states is not None:
            values = torch.einsum("bie,ied->bid", images, self.image_weight)
            tokens.append(self._with_states(values, image_states, self.image_state) + self.image_bias)
        return self.dropout(torch.cat(tokens, dim=1))  # type: ignore[no-any-return]

    @staticmethod
    def _with_states(values: Tensor, states: Tensor, of_state: Tensor) -> Tensor:
        """The value where there is one, else the column's vector for its state (missing, masked)."""
        columns = torch.arange(values.shape[1], device=values.device)
        return torch.where((states == 0)[..., None], values, of_state[columns, states])


class TableBlock(nn.Module):
    """Attention between the cells of a row, then a small network for each cell; both add to what they read."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 2 * width)
        self.mlp_out = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The cells, each after it has looked at all others."""
        batch, tokens, width = hidden_states.shape
        read = self.attention_norm(hidden_states)
        query, key, value = (
            layer(read).view(batch, tokens, self.heads, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, tokens, width)
        hidden_states = hidden_states + self.dropout(self.attention_out(mixed))
        inner = functional.gelu(self.mlp_in(self.mlp_norm(hidden_states)))
        return hidden_states + self.dropout(self.mlp_out(self.dropout(inner)))  # type: ignore[no-any-return]


class TableNetwork(nn.Module):
    """Cells to tokens, blocks, one vector for the row.

    Example:
        >>> network = TableNetwork(TableShape(numbers=1, number_width=2, categories=(5,), width=8, heads=2))
        >>> row = {"numbers": torch.zeros(1, 1, 2), "number_states": torch.zeros(1, 1, dtype=torch.long)}
        >>> network(**row, categories=torch.tensor([[4]])).pooler_output.shape
        torch.Size([1, 8])
    """

    rate_factor = 10.0  # it is small and new: the methods' rates, made for large networks, would hardly move it

    def __init__(self, shape: TableShape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = CellTokens(shape)
        self.blocks = nn.ModuleList(TableBlock(shape.width, shape.heads, shape.dropout) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width)

    def forward(
        self,
        numbers: Float[Tensor, "B n K"] | None = None,
        number_states: Int[Tensor, "B n"] | None = None,
        categories: Int[Tensor, "B c"] | None = None,
        texts: Float[Tensor, "B t E"] | None = None,
        text_states: Int[Tensor, "B t"] | None = None,
        images: Float[Tensor, "B i F"] | None = None,
        image_states: Int[Tensor, "B i"] | None = None,
    ) -> TableOutput:
        """Hidden states of all cells and the row's vector: the mean of the cells, then the texts' and pictures' own vectors."""
        hidden = self.tokens(numbers, number_states, categories, texts, text_states, images, image_states)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = self.norm(hidden)
        pooled = hidden.mean(1)
        if own := [vectors.flatten(1).to(pooled.dtype) for vectors in (texts, images) if vectors is not None]:
            pooled = torch.cat([pooled, *own], dim=1)
        return TableOutput(last_hidden_state=hidden, pooler_output=pooled)


def build_table_network(*, shape: Mapping[str, Any]) -> TableNetwork:
    """A network from its `TableShape` in plain form, with torch's own first weights: for weights that are to be loaded."""
    return _built(from_plain(TableShape, shape))


def _built(shape: TableShape) -> TableNetwork:
    """A network whose first weights nobody will use: torch's global generator stays where it is."""
    with torch.random.fork_rng(devices=[]):
        return TableNetwork(shape)


def fresh_table_network(shape: TableShape, *, seed: int) -> TableNetwork:
    """A network with first weights from a seed.

    Example:
        >>> shape = TableShape(numbers=2, number_width=3, width=8, heads=2)
        >>> one, two = (fresh_table_network(shape, seed=3) for _ in range(2))
        >>> torch.equal(one.tokens.number_weight, two.tokens.number_weight)
        True
    """
    generator = torch.Generator().manual_seed(seed)
    network = _built(shape)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            _first_weights(name, parameter, generator)
    return network.eval()


def _first_weights(name: str, parameter: Tensor, generator: torch.Generator) -> None:
    """Matrices by what they read (so that tokens keep their size), norms one, biases of linear layers zero."""
    if name.endswith("norm.weight"):
        parameter.fill_(1.0)
    elif name.startswith("tokens."):
        reads = parameter.shape[-2] if name.endswith("_weight") else parameter.shape[-1]
        parameter.normal_(std=reads**-0.5, generator=generator)
    elif parameter.ndim == 1:
        parameter.zero_()
    else:
        parameter.normal_(std=parameter.shape[1] ** -0.5, generator=generator)


def wrap_table_network(network: TableNetwork) -> Backbone:
    """The network as a backbone: its blocks can be frozen, stored, adapted."""
    names: Sequence[str] = [f"blocks.{place}" for place in range(network.shape.blocks)]
    pooling: Pooling = "model" if network.shape.texts or network.shape.images else "mean"
    layout = Layout(stem=("tokens",), blocks=tuple(names), tail=("norm",), pooling=pooling)
    width = network.shape.pooled_width
    backbone = wrap_backbone(network, layout=layout, width=width, model_type=MODEL_TYPE, builder=BUILDER)
    backbone.builder_settings = {"shape": to_plain(network.shape)}
    return backbone

"""What can be said about training. `auto` values are resolved before the run and written to its spec."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from luthier.core.settings import Settings


class TrainingSettings(Settings):
    """Method, steps, rates, precision."""

    method: str = Field(
        "auto",
        description="auto (the ladder), probe, top-blocks:K, gradual[:EPOCHS], full, lora:RANK[:K], dora:RANK[:K], ia3[:K], or "
        "bitfit[:K]",
    )
    packing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Let short texts of a language model share a row of a batch, each as if it stood alone (auto: where that "
        "saves a fifth of the tokens; the steps stay the same)",
    )
    num_epochs: float | None = Field(None, gt=0, description="Passes over the training part, at most (default: by method)")
    batch_size: int = Field(32, ge=1, description="Examples per optimizer step")
    micro_batch: Annotated[int, Ge(1)] | Literal["auto"] | None = Field(
        None, description="Examples per forward pass; auto: the fastest that fits (not repeatable; default: the whole batch)"
    )
    learning_rate: Annotated[float, Gt(0)] | Literal["auto"] | None = Field(
        None, description="Peak learning rate of the backbone; auto: found by a range test (default: by method)"
    )
    learning_rate_multiplier: float = Field(
        1.0, gt=0, description="Factor of the methods' own learning rates, where none is given"
    )
    head_learning_rate: float | None = Field(None, gt=0, description="Peak learning rate of the head (default: by method)")
    adapter_alpha: float | None = Field(
        None,
        gt=0,
        description="Strength of a low-rank adapter: its output is multiplied by alpha / rank (default: twice the rank, so "
        "that the same learning rate serves every rank)",
    )
    adapter_dropout: float = Field(0.0, ge=0, lt=1, description="Drop rate of what enters a low-rank adapter")
    optimizer: str = Field("adamw", description="What makes steps of gradients: adamw, adam, sgd:MOMENTUM, or adafactor")
    block_decay: float = Field(
        1.0, gt=0, le=1, description="Learning rate of each block as a share of that of the block above it (layer-wise decay)"
    )
    schedule: str = Field(
        "linear",
        description="How the rate goes on after the warm-up: linear, cosine, constant, one-cycle, plateau, ...",
    )
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="Share of the steps over which the rate rises from zero")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of matrices; biases and norms have none")
    l1: float = Field(0.0, ge=0, description="L1 penalty on the head: small weights become exactly zero")
    l2: float = Field(0.0, ge=0, description="L2 penalty on every matrix that trains, as a part of the loss")
    probe_penalty: float | None = Field(
        None, gt=0, description="L2 penalty of the probe's weights (default: the best of six on validation)"
    )
    towards_pretrained: float = Field(
        0.0, ge=0, description="Pull of the backbone's weights back to the pre-trained ones (L2-SP)"
    )
    ewc: float = Field(
        0.0, ge=0, description="The same pull, on each weight as strong as the pre-trained model's answers depend on it (EWC)"
    )
    loss: str = Field(
        "auto",
        description="What training lowers: auto (the task's own), cross-entropy, or focal:GAMMA, which counts easy rows less",
    )
    hard_negatives: str = Field(
        "none",
        description="Documents that look relevant to a query and are not, to learn from: none, or model:N or bm25:N for each "
        "query, from the ranking of the frozen model or of BM25",
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="Weights of classes in the loss: balanced lets every class weigh alike, however many rows it has"
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="What an epoch sees: every row once, or as many rows of every class (small ones repeated)"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Probability mass spread over the other labels")
    mixup: float = Field(0.0, ge=0, description="Train on means of two examples and their labels, with this strength (0: off)")
    cutmix: float = Field(
        0.0, ge=0, description="Train on pictures with a piece of another pasted in, with this strength (0: off)"
    )
    augment: Literal["none", "light", "strong"] = Field(
        "none",
        description="Train on other views of pictures, boxes moved along: light mirrors and recolours, strong also cuts",
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Drop rate in the backbone's blocks that train; not the head's (default: the model's own)"
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Keep a moving average of the weights over the steps, with this decay (0: the weights themselves)",
    )
    soup: int = Field(
        0, ge=0, description="At the end, try means of the best states, so many of them at most (each a copy in memory; 0: off)"
    )
    max_gradient_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm")
    on_divergence: Literal["stop", "skip"] = Field(
        "stop", description="What a step does whose loss or gradient is no number: end the training, or change no weight"
    )
    gradient_checkpointing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compute blocks twice to save memory: a third slower (auto: where a single example does not fit otherwise)",
    )
    checkpoint_seconds: float | None = Field(
        None,
        ge=0,
        description="Seconds between two states from which the training can go on (default: so that saving takes under 2 %)",
    )
    preflight: bool = Field(True, description="Test the training itself before its first step; takes seconds")
    patience: int = Field(3, ge=1, description="Evaluations without a gain on validation before training stops")
    evaluations_per_epoch: int = Field(2, ge=1, description="How often validation is scored in an epoch")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="bfloat16 where the hardware has it")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N, mps")
    seed: int = Field(0, ge=0, description="Seed of the split, of shuffling and of dropout")
    budget: float | None = Field(
        None, gt=0, description="Seconds after which no further rung of the ladder is begun (not repeatable)"
    )
    store: Literal["auto", "off", "float32", "bfloat16", "int8"] = Field(
        "auto", description="Precision in which what frozen blocks compute is kept on disk; off computes it again in each epoch"
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads, shared by all processes on a machine (default: its cores)"
    )
    refit: bool = Field(False, description="After choosing, train the winner on train and validation together")

    @property
    def first_micro_batch(self) -> int:
        """Examples per forward pass that a training begins with: as given, or the whole batch (before `auto` has measured)."""
        given = None if self.micro_batch == "auto" else self.micro_batch
        return min(given or self.batch_size, self.batch_size)

"""Settings of a short training, for tests of networks, stores and methods; change them with `dataclasses.replace`."""

from luthier.training.fit_settings import FitSettings

SHORT_FIT = FitSettings(
    boundary=0,
    num_epochs=2,
    batch_size=16,
    micro_batch=16,
    learning_rate=2e-4,
    head_learning_rate=1e-3,
    schedule="linear",
    warmup_fraction=0.1,
    weight_decay=0.01,
    max_gradient_norm=1.0,
    patience=99,
    evaluations_per_epoch=1,
    precision="float32",
    device="cpu",
    seed=0,
)

"""The peer of two benchmarks: Hugging Face Trainer on MiniLM, mean pooling and a linear head, as its users write it.

Float32, `DataCollatorWithPadding`, no grouping by length, no evaluation and no checkpoint while it trains; everything that is
not named here is the Trainer's own default.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from banking77 import accuracy, load_parts, minilm_folder, right_answers
from measuring import Phases, scratch_folder


def run_trainer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Train on banking77 and answer its validation and test rows.

    Args:
        settings: rows, epochs, learning_rate, batch_size, frozen_blocks (with the embeddings; 0: everything trains),
            warmup_fraction, weight_decay, seed; adapter_rank, where the blocks above get a LoRA adapter by peft instead.
    """
    phases = Phases()
    import torch
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, set_seed

    if settings.get("adapter_rank"):
        import peft  # noqa: F401  so that it counts as an import

    phases.end("imports")
    set_seed(settings["seed"])
    parts, num_labels = load_parts(settings["rows"])
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    encoded = {name: encode_rows(tokenizer, rows.texts, rows.targets) for name, rows in parts.items()}
    model = build_classifier(num_labels, frozen_blocks=settings["frozen_blocks"])
    if settings.get("adapter_rank"):
        _add_adapter(model, first=settings["frozen_blocks"], rank=settings["adapter_rank"])
    trainer = Trainer(
        model=model,
        args=training_arguments(settings),
        train_dataset=encoded["train"],
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    phases.end("load")
    trainer.train()
    phases.end("train")
    right = {
        name: right_answers(torch.from_numpy(trainer.predict(encoded[name]).predictions), parts[name].targets)
        for name in ("validation", "test")
    }
    phases.end("test")
    return {
        "validation_accuracy": accuracy(right["validation"]),
        "test_accuracy": accuracy(right["test"]),
        "test_right": right["test"],
        **phases.found(),
    }


def training_arguments(settings: Mapping[str, Any]) -> Any:
    """Trainer's arguments for a recipe: nothing is saved, reported or scored while it trains."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(scratch_folder() / "trainer"),
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        warmup_steps=settings["warmup_fraction"],
        weight_decay=settings["weight_decay"],
        seed=settings["seed"],
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )


def _add_adapter(model: Any, *, first: int, rank: int) -> None:
    """LoRA on every linear layer of the blocks from `first` on, as peft does it; alpha twice the rank, as ours."""
    from peft import LoraConfig, get_peft_model

    layers = list(range(first, len(model.backbone.encoder.layer)))
    names = ["query", "key", "value", "dense"]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names, layers_to_transform=layers, layers_pattern="layer")
    model.backbone = get_peft_model(model.backbone, config)


def encode_rows(tokenizer: Any, texts: Sequence[str], targets: Sequence[int]) -> list[dict[str, Any]]:
    """Rows as Trainer takes them."""
    ids = tokenizer(list(texts), truncation=True, max_length=128)["input_ids"]
    return [{"input_ids": row, "labels": target} for row, target in zip(ids, targets, strict=True)]


def build_classifier(num_labels: int, *, frozen_blocks: int) -> Any:
    """MiniLM with mean pooling and a linear head, returning loss and logits as Trainer wants them."""
    import torch
    from torch import nn
    from transformers import AutoModel

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = AutoModel.from_pretrained(minilm_folder(), dtype=torch.float32, add_pooling_layer=False)
            self.head = nn.Linear(self.backbone.config.hidden_size, num_labels)

        def forward(self, input_ids: Any, attention_mask: Any, labels: Any = None) -> dict[str, Any]:
            hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            logits = self.head((hidden * mask).sum(1) / mask.sum(1))
            loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)}
            return {**loss, "logits": logits}

    model = Classifier()
    if frozen_blocks:
        model.backbone.embeddings.requires_grad_(False)
        model.backbone.encoder.layer[:frozen_blocks].requires_grad_(False)
    return model

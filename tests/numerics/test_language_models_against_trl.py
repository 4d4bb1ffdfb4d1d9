"""What is learnt of conversations and prompts, and its loss: as TRL's trainer for supervised fine-tuning has it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.core.storage import write_text
from luthier.models.load import load_network
from luthier.models.text_processor import TextProcessor
from luthier.tasks import TASKS
from luthier.tasks.chat import as_conversation
from luthier.tasks.instruction import Exchange
from luthier.tasks.protocol import TaskState
from luthier.testing.language_folders import tiny_language_folder

pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's and datasets' own

MARKED = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ '<s>bot\n' }}{% generation %}{{ m['content'] + '</s>' }}"
    "{% endgeneration %}{{ '\n' }}{% else %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>bot\n' }}{% endif %}"
)
UNMARKED = MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", "")
PAIRS = [("Say hello.\n", "Hello!"), ("Count to three:\n", "one two three"), ("And back:\n", "three two")]
CHATS = [
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
    [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "Three."},
    ],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_language_folder(tmp_path / "model", "llama", texts=["Hello one two three"] * 3)


def trained_by_trl(
    folder: Path, rows: list[Mapping[str, Any]], out: Path, **settings: Any
) -> tuple[list[Any], list[Any], float]:
    """Ids, labels and the mean loss of all rows in one batch, as TRL's trainer makes them."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(output_dir=str(out), report_to=[], max_length=None, use_cpu=True, bf16=False, **settings)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype="float32"),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    trainer.model.eval()
    batch = trainer.data_collator([trainer.train_dataset[place] for place in range(len(rows))])
    with torch.no_grad():
        loss = float(trainer.compute_loss(trainer.model, dict(batch)))
    lengths = batch["attention_mask"].sum(1).tolist()
    ids, labels = (
        [row[:length].tolist() for row, length in zip(batch[name], lengths, strict=True)] for name in ("input_ids", "labels")
    )
    return ids, labels, loss


def trained_by_us(folder: Path, name: str, rows: list[Any], values: Mapping[str, Any]) -> tuple[list[Any], list[Any], float]:
    """The same by the task."""
    task, processor = TASKS[name], TextProcessor.load(folder)
    inputs = task.encode(rows, processor, TaskState(task=name, values=values))
    units = np.arange(len(rows))
    batch = {name: torch.from_numpy(array) for name, array in inputs.batch(units).items()}
    targets = torch.from_numpy(inputs.targets())
    with torch.no_grad():
        loss = task.loss(load_network(folder, "llama", kind="causal-lm")(**batch).logits, targets)
    ids = [batch["input_ids"][unit, : inputs.lengths[unit]].tolist() for unit in units]
    labels = [[-100, *targets[unit, : inputs.lengths[unit] - 1].tolist()] for unit in units]
    return ids, labels, float(loss.sum) / loss.weight


def assert_equal(ours: tuple[list[Any], list[Any], float], theirs: tuple[list[Any], list[Any], float]) -> None:
    for own_ids, own_labels, ids, labels in zip(*ours[:2], *theirs[:2], strict=True):
        assert own_ids == ids[: len(own_ids)]  # what stands behind the last token that is learnt is not read here
        assert own_labels == labels[: len(own_ids)]
        assert set(labels[len(own_ids) :]) <= {-100}
    assert ours[2] == pytest.approx(theirs[2], abs=1e-5)


def test_prompts_and_completions_are_learnt_as_by_trl(folder: Path, tmp_path: Path) -> None:
    rows = [{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS]
    theirs = trained_by_trl(folder, rows, tmp_path, completion_only_loss=True)
    assert_equal(trained_by_us(folder, "instruction", [Exchange(prompt=a, completion=b) for a, b in PAIRS], {}), theirs)


def test_answers_between_marks_are_learnt_as_by_trl(folder: Path, tmp_path: Path) -> None:
    write_text(folder / "chat_template.jinja", MARKED)
    theirs = trained_by_trl(folder, [{"messages": chat} for chat in CHATS], tmp_path, assistant_only_loss=True)
    assert_equal(trained_by_us(folder, "chat", [as_conversation(chat) for chat in CHATS], {}), theirs)


def test_prompts_in_a_template_are_learnt_as_by_trl(folder: Path, tmp_path: Path) -> None:
    write_text(folder / "chat_template.jinja", UNMARKED)
    rows = [{"prompt": [{"role": "user", "content": a}], "completion": [{"role": "assistant", "content": b}]} for a, b in PAIRS]
    theirs = trained_by_trl(folder, rows, tmp_path, completion_only_loss=True)
    assert_equal(trained_by_us(folder, "instruction", [Exchange(prompt=a, completion=b) for a, b in PAIRS], {}), theirs)

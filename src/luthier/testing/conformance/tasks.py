"""What every task must be."""

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from luthier.core.decision import Decision
from luthier.core.records import from_plain, to_json, to_plain
from luthier.data.dataset import Dataset
from luthier.data.schema import Schema
from luthier.evaluation.measures import MEASURES
from luthier.models.processors import load_processor
from luthier.models.settings import HeadSettings
from luthier.tasks import TASKS
from luthier.tasks.protocol import Task, TaskState
from luthier.testing.folders import tiny_image_model, tiny_text_model
from luthier.testing.tables import make_dataset, write_pictures
from luthier.training.ladder import scores_of

LABELS = ("lost", "broken", "lost", "praise", "lost", "broken", "lost", "praise")
TEXTS = (
    "my parcel never came",
    "the screen is cracked",
    "where is it",
    "",
    "still nothing after a week",
    "it arrived broken, again",
    "lost!",
    "you are wonderful",
)


class TaskConformance:
    """A member of `TASKS` keeps the promises of the `Task` protocol.

    Attributes:
        name: Its name in `TASKS`.
        width: Of the pooled features its head is tried on.
    """

    name: ClassVar[str]
    width: ClassVar[int] = 12

    @property
    def task(self) -> Task:
        """The member."""
        return TASKS[self.name]

    def example(self, folder: Path) -> Dataset:
        """A small table of this kind, by modality; override it for tasks with other columns."""
        if self.task.modality == "text":
            return make_dataset({"input": TEXTS, "label": LABELS}, roles={"text": "input", "target": "label"})
        pictures = write_pictures(folder, len(LABELS), seed=0)
        return make_dataset({"input": pictures, "label": LABELS}, roles={"image": "input", "target": "label"})

    def state(self, dataset: Dataset) -> TaskState:
        """The state of the example."""
        return self.task.fit_state(dataset.table, dataset.schema)

    def targets(self, dataset: Dataset) -> np.ndarray:
        """The targets of the example."""
        return self.task.targets(dataset.table, self.state(dataset), dataset.schema.roles)

    def test_it_says_what_it_is(self) -> None:
        """The family's name is the task's own; its measures are known, and the primary one is among them."""
        assert self.task.name == self.name
        assert self.task.modality in ("text", "image")
        assert "target" in self.task.roles
        assert self.task.primary_measure in self.task.measures
        assert all(measure in MEASURES for measure in self.task.measures)
        assert type(self.task).__doc__

    def test_it_matches_its_own_columns_and_no_others(self, tmp_path: Path) -> None:
        """`match` says yes to the example and, with a reason, no to a table that lacks a role."""
        dataset = self.example(tmp_path)
        match = self.task.match(dataset.schema)
        assert isinstance(match, Decision)
        assert match.value
        assert match.reason
        for role in self.task.roles:
            roles = {other: column for other, column in dataset.schema.roles.items() if other != role}
            refused = self.task.match(Schema(columns=dataset.schema.columns, roles=roles, num_rows=len(LABELS)))
            assert not refused.value
            assert role in refused.reason

    def test_its_state_survives_json(self, tmp_path: Path) -> None:
        """What goes into the model folder comes out the same."""
        state = self.state(self.example(tmp_path))
        assert from_plain(TaskState, to_plain(state)) == state
        assert state.task == self.name
        assert to_json(state)

    def test_it_encodes_every_row(self, tmp_path: Path) -> None:
        """One row in, one row of inputs out; equal rows have equal keys; the light batch has the names of the whole one."""
        dataset = self.example(tmp_path)
        make = tiny_text_model if self.task.modality == "text" else tiny_image_model
        processor = load_processor(make(tmp_path / "model"), self.task.modality)
        rows = self.task.rows(dataset.table, dataset.schema.roles)
        inputs = self.task.encode([*rows, rows[0]], processor)
        assert len(rows) == len(LABELS)
        assert len(inputs.lengths) == len(inputs.keys) == len(LABELS) + 1
        assert inputs.keys[0] == inputs.keys[-1]
        assert len(set(inputs.keys.tolist())) == len(set(rows))
        places = np.array([2, 0])
        whole, light = inputs.batch(places), inputs.light_batch(places)
        assert {name: array.shape for name, array in whole.items()} == {name: array.shape for name, array in light.items()}
        assert all(len(array) == len(places) for array in whole.values())

    def test_targets_are_numbers_and_unknown_ones_minus_one(self, tmp_path: Path) -> None:
        """One number per row, in the range of the outputs; -1 where the state knows no such target."""
        dataset = self.example(tmp_path)
        targets = self.targets(dataset)
        assert targets.shape == (len(LABELS),)
        assert targets.dtype == np.int64
        assert targets.min() >= 0
        place = dataset.table.column_names.index(dataset.schema.roles["target"])
        strange = dataset.table.set_column(place, dataset.schema.roles["target"], [["never seen"] * len(LABELS)])
        assert (self.task.targets(strange, self.state(dataset), dataset.schema.roles) == -1).all()

    def test_the_first_loss_of_a_fresh_head_lies_where_it_says(self, tmp_path: Path) -> None:
        """`start_loss` covers what a fresh head really gives, and the loss of two halves adds up to that of the whole."""
        dataset = self.example(tmp_path)
        state, targets = self.state(dataset), torch.from_numpy(self.targets(dataset))
        head = self.task.build_head(self.width, state, settings=HeadSettings(dropout=0.1), seed=3).eval()
        pooled = torch.randn(len(targets), self.width, generator=torch.Generator().manual_seed(0))
        outputs = head(pooled)
        assert outputs.shape[0] == len(targets)
        whole = self.task.loss(outputs, targets)
        halves = [self.task.loss(outputs[part], targets[part]) for part in (slice(0, 3), slice(3, None))]
        assert sum(float(half.sum.detach()) for half in halves) == pytest.approx(float(whole.sum.detach()), rel=1e-5)
        assert sum(half.weight for half in halves) == whole.weight
        assert whole.sum.requires_grad
        expected = self.task.start_loss(state, "fresh")
        if expected is not None:
            assert expected[0] <= float(whole.sum.detach()) / whole.weight <= expected[1]

    def test_equal_seeds_give_equal_heads(self, tmp_path: Path) -> None:
        """A fresh head depends on its seed only, not on torch's global generator."""
        state = self.state(self.example(tmp_path))
        weights = []
        for disturbance in (1, 2):
            torch.manual_seed(disturbance)
            head = self.task.build_head(self.width, state, seed=5)
            weights.append([parameter.detach().clone() for parameter in head.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))

    def test_what_it_decodes_can_be_scored_and_shown(self, tmp_path: Path) -> None:
        """Decoded outputs give predictions that every measure takes, and columns as long as the table."""
        dataset = self.example(tmp_path)
        state = self.state(dataset)
        head = self.task.build_head(self.width, state, seed=0).eval()
        outputs = head(torch.randn(len(LABELS), self.width)).detach().numpy()
        decoded = self.task.decode(outputs)
        assert decoded.shape == outputs.shape
        predictions = self.task.predictions(dataset.table, decoded, state, dataset.schema.roles)
        assert predictions.table.num_rows == len(LABELS)
        assert all(map(math.isfinite, scores_of(predictions, self.task.measures).values()))
        for probs in (False, True):
            columns = self.task.columns(decoded, state, probs=probs)
            assert columns
            assert all(len(values) == len(LABELS) for values in columns.values())

    def test_majority_is_the_most_frequent_target(self, tmp_path: Path) -> None:
        """The baseline `majority` looks at targets only."""
        dataset = self.example(tmp_path)
        targets = self.targets(dataset)
        baseline = next(baseline for baseline in self.task.baselines if baseline.name == "majority")
        rows = self.task.rows(dataset.table, dataset.schema.roles)
        decoded = baseline.fit_predict(rows, targets, rows[:3], 0)
        most_frequent = np.bincount(targets).argmax()
        assert (decoded.argmax(axis=1) == most_frequent).all()
        assert decoded[0, most_frequent] == pytest.approx((targets == most_frequent).mean())

    def test_absent_models_have_reasons(self) -> None:
        """What the card does not show is explained."""
        names = {baseline.name for baseline in self.task.baselines}
        assert not names & set(self.task.absent)
        assert all(self.task.absent.values())

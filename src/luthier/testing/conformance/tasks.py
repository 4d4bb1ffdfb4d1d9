"""What every task must be."""

import ast
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from luthier.core.decision import Decision
from luthier.core.records import from_plain, to_json, to_plain
from luthier.data.dataset import Dataset
from luthier.data.schema import FEATURES, Kind, Schema
from luthier.evaluation.measures import MEASURES
from luthier.features.passes import to_device
from luthier.models.backbone import Backbone
from luthier.models.heads import head_from
from luthier.models.load import load_backbone
from luthier.models.own import load_own
from luthier.models.processors import Processor, load_processor
from luthier.models.settings import HeadSettings, ModelSettings
from luthier.models.source import resolve_model
from luthier.tasks import TASKS
from luthier.tasks.inputs import Inputs, units_of
from luthier.tasks.language_task import LIKELIHOOD
from luthier.tasks.protocol import Contrastive, Sample, Searching, Task, TaskState, has_own_head
from luthier.tasks.shaping import ShapesModel, build_head_for, prepare_backbone_for
from luthier.testing.folders import tiny_audio_model, tiny_image_model, tiny_text_model
from luthier.testing.language_folders import tiny_language_folder
from luthier.testing.tables import make_dataset, table_dataset, tiny_table_model, write_pictures, write_sounds
from luthier.training.ladder import scores_of
from luthier.training.model import TunedModel

LABELS = ("lost", "broken", "lost", "praise", "lost", "broken", "lost", "praise")
PAIRED = tuple(f"{text} and so on" for text in ("a", "b", "c", "d", "e", "f", "g", "h"))
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
        values: Answers of the example's eight rows, as they stand in a table.
        unknown: An answer that the training part never gave; None if there is no such thing.
        family: Of a task whose network brings its own head: a name in `LANGUAGE_FAMILIES`.
    """

    name: ClassVar[str]
    values: ClassVar[Sequence[object]] = LABELS
    unknown: ClassVar[object] = "never seen"
    family: ClassVar[str] = ""

    @property
    def task(self) -> Task:
        """The member."""
        return TASKS[self.name]

    def example(self, folder: Path) -> Dataset:
        """A small table of this kind, by its roles; override it for tasks with other columns."""
        columns: dict[str, Sequence[object]] = {"text": TEXTS, "text_pair": PAIRED}
        if "image" in self.task.roles:
            columns["image"] = write_pictures(folder, len(self.values), seed=0)
        if "audio" in self.task.roles:
            columns["audio"] = write_sounds(folder, len(self.values), seed=0)
        if FEATURES in self.task.roles:
            return table_dataset(self.values, kinds=self.kinds())
        chosen = {role: columns[role] for role in self.task.roles if role != "target"}
        roles = {role: role for role in chosen} | {"target": "answer"}
        return make_dataset({**chosen, "answer": self.values}, roles=roles, kinds=self.kinds())

    def kinds(self) -> dict[str, Kind]:
        """Kinds of columns that are not what their role says."""
        return {}

    def state(self, dataset: Dataset) -> TaskState:
        """The state of the example."""
        return self.task.fit_state(dataset.table, dataset.schema)

    def model_folder(self, folder: Path) -> Path:
        """A tiny pre-trained model for the task's modality."""
        if self.task.modality == "table":
            return tiny_table_model(folder / "model", self.example(folder))
        if self.family:
            return tiny_language_folder(folder / "model", self.family)
        make = {"text": tiny_text_model, "image": tiny_image_model, "audio": tiny_audio_model}[self.task.modality]
        return make(folder / "model")

    def processor(self, folder: Path) -> Processor:
        """Its processor."""
        return load_processor(self.model_folder(folder), self.task.modality, kind=self.task.network)

    def backbone(self, folder: Path) -> Backbone:
        """Its network, after `processor`."""
        if self.task.modality == "table":
            return load_own(folder / "model")
        source = resolve_model(ModelSettings(name=str(folder / "model")), modality=self.task.modality)
        return load_backbone(source, kind=self.task.network)

    def encoded(self, dataset: Dataset, folder: Path) -> Inputs:
        """The inputs of the example."""
        rows = self.task.rows(dataset.table, dataset.schema.roles)
        return self.task.encode(rows, self.processor(folder), self.state(dataset))

    def targets(self, dataset: Dataset, inputs: Inputs) -> np.ndarray:
        """The targets of the example."""
        return self.task.targets(dataset.table, self.state(dataset), dataset.schema.roles, inputs)

    def prepared(self, inputs: Inputs, folder: Path) -> Backbone:
        """The network as the task needs it, after `encoded`."""
        return prepare_backbone_for(self.task, self.backbone(folder), inputs)

    def fresh_head(self, folder: Path, *, seed: int) -> torch.nn.Module:
        """A head for the example, on a vector of 12 numbers or on whatever the task puts it."""
        dataset = self.example(folder)
        if not isinstance(self.task, ShapesModel):
            return self.task.build_head(12, self.state(dataset), seed=seed)
        backbone = self.prepared(self.encoded(dataset, folder), folder)
        return build_head_for(self.task, backbone, self.state(dataset), seed=seed)

    def outputs(self, dataset: Dataset, inputs: Inputs, folder: Path) -> torch.Tensor:
        """What a tiny backbone under a fresh head says of all units at once, with its gradient."""
        backbone = self.prepared(inputs, folder)
        head = build_head_for(self.task, backbone, self.state(dataset), settings=HeadSettings(dropout=0.1), seed=3)
        batch = to_device(inputs.batch(np.arange(len(inputs.lengths))), dtype=torch.float32, device="cpu")
        outputs: torch.Tensor = TunedModel(backbone, head)(batch)
        return outputs

    def test_it_says_what_it_is(self) -> None:
        """The family's name is the task's own; its measures are known, and the primary one is among them."""
        assert self.task.name == self.name
        assert self.task.roles[-1] == "target"
        assert self.task.primary_measure == self.task.measures[0]
        assert all(measure in MEASURES for measure in self.task.measures)
        assert ast.literal_eval(self.task.example)
        assert import_module(TASKS.target(self.name).partition(":")[0]).__doc__

    def test_it_matches_its_own_columns_and_no_others(self, tmp_path: Path) -> None:
        """`match` says yes to the example and, with a reason, no to a table that lacks a role."""
        dataset = self.example(tmp_path)
        match = self.task.match(dataset.schema)
        assert isinstance(match, Decision)
        assert match.value
        assert match.reason
        for role in self.task.roles:
            roles = {other: column for other, column in dataset.schema.roles.items() if other != role}
            features = () if role == FEATURES else dataset.schema.features
            schema = Schema(columns=dataset.schema.columns, roles=roles, num_rows=len(LABELS), features=features)
            refused = self.task.match(schema)
            assert not refused.value
            assert role in refused.reason

    def test_its_state_survives_json(self, tmp_path: Path) -> None:
        """What goes into the model folder comes out the same, and can be described."""
        state = self.state(self.example(tmp_path))
        assert from_plain(TaskState, to_plain(state)) == state
        assert state.task == self.name
        assert to_json(state)
        assert self.task.describe(state)

    def test_it_encodes_every_row(self, tmp_path: Path) -> None:
        """Every row has units, those of one row together; equal units have equal keys; light batches have the same names."""
        dataset = self.example(tmp_path)
        rows = list(self.task.rows(dataset.table, dataset.schema.roles))
        inputs = self.task.encode([*rows, rows[0]], self.processor(tmp_path), self.state(dataset))
        assert len(rows) == dataset.table.num_rows
        assert len(inputs.lengths) == len(inputs.keys) == len(inputs.row_of)
        assert np.unique(inputs.row_of).tolist() == list(range(len(rows) + 1))
        assert (np.diff(inputs.row_of) >= 0).all()
        first, last = (units_of(inputs, np.array([row])) for row in (0, len(rows)))
        assert inputs.keys[first].tolist() == inputs.keys[last].tolist()
        assert inputs.keys[first[0]] != inputs.keys[units_of(inputs, np.array([1]))[0]]
        places = np.array([2, 0])
        whole, light = inputs.batch(places), inputs.light_batch(places)
        assert {name: array.shape for name, array in whole.items()} == {name: array.shape for name, array in light.items()}
        assert all(len(array) == len(places) for array in whole.values())

    def test_targets_are_numbers_and_those_it_does_not_know_are_told(self, tmp_path: Path) -> None:
        """One row of numbers per unit, all known in train; a value that train never gave is not."""
        dataset = self.example(tmp_path)
        inputs = self.encoded(dataset, tmp_path)
        targets = self.targets(dataset, inputs)
        assert len(targets) == len(inputs.lengths)
        assert targets.dtype in (np.int64, np.float32)
        assert self.task.known(targets).shape == (len(targets),)
        assert self.task.known(targets).any()
        if self.task.has_classes:
            assert targets.ndim == 1
            assert targets.dtype == np.int64
        if self.unknown is not None:
            name = dataset.schema.roles["target"]
            place = dataset.table.column_names.index(name)
            strange = dataset.table.set_column(place, name, [[self.unknown] * dataset.table.num_rows])
            found = self.task.targets(strange, self.state(dataset), dataset.schema.roles, inputs)
            assert not self.task.known(found).any()

    def test_the_first_loss_of_a_fresh_head_lies_where_it_says(self, tmp_path: Path) -> None:
        """`start_loss` covers what a fresh head really gives, and the loss of two halves adds up to that of the whole."""
        dataset = self.example(tmp_path)
        inputs = self.encoded(dataset, tmp_path)
        targets = torch.from_numpy(self.targets(dataset, inputs))
        outputs = self.outputs(dataset, inputs, tmp_path)
        assert outputs.shape[0] == len(targets)
        if isinstance(self.task, Contrastive):
            self.compare_batches(dataset, inputs, outputs)
            return
        whole = self.task.loss(outputs, targets)
        halves = [self.task.loss(outputs[part], targets[part]) for part in (slice(0, 3), slice(3, None))]
        assert sum(float(half.sum.detach()) for half in halves) == pytest.approx(float(whole.sum.detach()), rel=1e-5)
        assert sum(half.weight for half in halves) == whole.weight
        assert whole.sum.requires_grad
        expected = self.task.start_loss(self.state(dataset), "fresh")
        if expected is not None:
            assert expected[0] <= float(whole.sum.detach()) / whole.weight <= expected[1]

    def compare_batches(self, dataset: Dataset, inputs: Inputs, outputs: torch.Tensor) -> None:
        """Of a loss over whole batches: companions come behind their anchors, the same ones for the same seed, and count."""
        assert isinstance(self.task, Contrastive)
        state, roles = self.state(dataset), dataset.schema.roles
        companions = self.task.companions(dataset.table, state, roles, inputs, corpus=dataset.corpus)
        units = units_of(inputs, dataset.parts["all"])
        anchors = companions.among(units[self.task.known(self.targets(dataset, inputs)[units])]).anchors
        assert len(anchors)
        members, wanted = companions.around(anchors, seed=1)
        again, same = companions.around(anchors, seed=1)
        assert members.tolist() == again.tolist()
        assert np.array_equal(wanted, same, equal_nan=wanted.dtype.kind == "f")
        assert members[: len(anchors)].tolist() == anchors.tolist()
        assert len(wanted) == len(members) > len(anchors)
        assert (companions.lengths(anchors, inputs.lengths) >= inputs.lengths[anchors]).all()
        part = self.task.loss(outputs[members], torch.from_numpy(wanted))
        (gradient,) = torch.autograd.grad(part.sum, outputs)
        assert math.isfinite(float(part.sum.detach()))
        assert part.weight > 0
        assert gradient.any()

    def test_equal_seeds_give_equal_heads(self, tmp_path: Path) -> None:
        """A fresh head depends on its seed only, not on torch's global generator."""
        weights = []
        for disturbance in (1, 2):
            torch.manual_seed(disturbance)
            head = self.fresh_head(tmp_path, seed=5)
            weights.append([parameter.detach().clone() for parameter in head.parameters()])
        assert bool(weights[0]) is not has_own_head(self.task)
        assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))

    def test_a_head_is_built_again_from_its_settings(self, tmp_path: Path) -> None:
        """What `head.settings()` says makes a head of the same shape."""
        head = self.fresh_head(tmp_path, seed=0)
        again = head_from(head.settings())  # type: ignore[operator]
        again.load_state_dict(head.state_dict())
        assert type(again) is type(head)

    def test_what_it_decodes_can_be_scored_and_shown(self, tmp_path: Path) -> None:
        """Decoded outputs give predictions that every measure takes, and columns as long as the table."""
        dataset = self.example(tmp_path)
        state, inputs = self.state(dataset), self.encoded(dataset, tmp_path)
        outputs = self.outputs(dataset, inputs, tmp_path).detach().numpy()
        units = np.arange(len(inputs.lengths))
        decoded = self.task.decode(outputs, inputs, units)
        assert decoded.ndim == 2
        assert len(decoded) == len(units)
        assert self.task.decode(outputs[:2], inputs, units[:2]).shape == (2, decoded.shape[1])
        merged = self.task.merge(decoded, inputs.row_of)
        assert len(merged) == dataset.table.num_rows
        asked, said_of_it = dataset.table, merged
        if isinstance(self.task, Searching):
            asked = dataset.table.take(np.concatenate([dataset.parts["all"], dataset.corpus]))
            said_of_it = self.task.rank(merged[dataset.parts["all"]], merged[dataset.corpus])
        predictions = self.task.predictions(asked, said_of_it, state, dataset.schema.roles)
        assert predictions.table.num_rows == len(said_of_it)
        told = {"loss", "tokens"} if self.task.answer_kind == LIKELIHOOD else {"target", "prediction"}
        assert {"example_id", "group"} | told <= set(predictions.table.column_names)
        assert all(map(math.isfinite, scores_of(predictions, self.task.measures).values()))
        rows = self.task.rows(dataset.table, dataset.schema.roles)
        for probs in (False, True):
            columns = self.task.columns(merged, rows, state, probs=probs)
            assert columns
            assert all(len(values) == dataset.table.num_rows for values in columns.values())
        assert len(self.task.answers(merged, rows, state)) == dataset.table.num_rows
        said = predictions.table.to_pylist()
        assert all(isinstance(text, str) for text in self.task.show(rows, [None, *said[1:]]))
        assert not set(self.task.optional_roles) & set(self.task.roles)
        assert isinstance(self.task.reads_windows, bool)

    def test_its_baselines_can_be_scored(self, tmp_path: Path) -> None:
        """Each baseline learns from train what predictions can be made of; `majority` looks at answers only."""
        dataset = self.example(tmp_path)
        inputs, state, roles = self.encoded(dataset, tmp_path), self.state(dataset), dataset.schema.roles
        features = np.random.default_rng(0).standard_normal((len(inputs.lengths), 6), dtype=np.float32)
        rows, targets = self.task.rows(dataset.table, roles), self.targets(dataset, inputs)

        def sample(chosen: np.ndarray, corpus: Sample | None = None) -> Sample:
            units = units_of(inputs, chosen)
            return Sample(
                table=dataset.table.take(chosen),
                roles=roles,
                rows=[rows[row] for row in chosen],
                targets=targets[units],
                features=features[units],
                corpus=corpus,
                inputs=inputs,
                units=units,
            )

        train = sample(dataset.parts["all"], sample(dataset.corpus) if len(dataset.corpus) else None)
        asked = dataset.table.take(np.concatenate([dataset.parts["all"], dataset.corpus]))
        for baseline in self.task.baselines:
            decoded = baseline.fit_predict(train, train, state, 0)
            predictions = self.task.predictions(asked, decoded, state, roles)
            assert predictions.table.num_rows == len(dataset.parts["all"])
            assert all(map(math.isfinite, scores_of(predictions, self.task.measures).values()))
            if baseline.name == "majority" and self.task.answer_kind not in ("answer", "text", LIKELIHOOD):
                said = predictions.table["prediction"].to_pylist()
                items = {str(value) for row in said for value in (row if isinstance(row, list) else [row])}
                assert 1 in (len({str(row) for row in said}), len(items))  # of tags the same for every word

    def test_absent_models_have_reasons(self) -> None:
        """What the card does not show is explained."""
        names = {baseline.name for baseline in self.task.baselines}
        assert not names & set(self.task.absent)
        assert all(self.task.absent.values())

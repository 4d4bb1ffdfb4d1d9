"""The store against the plain truth: what a slow loop computes without any store, and itself, filled again."""

from pathlib import Path

import numpy as np
import pytest
import torch

from luthier.core.progress import Quiet
from luthier.core.storage import sha256_of
from luthier.features.passes import Features, PassSettings, compute_activations, compute_features, plan_boundary, to_device
from luthier.features.store import StoreType
from luthier.models.backbone import Backbone, ModelInputs, State
from luthier.tasks.inputs import TokenInputs
from luthier.testing.backbones import tiny_backbone
from luthier.testing.inputs import family_inputs

NUM_ROWS = 30
ALL = np.arange(NUM_ROWS)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def inputs_with_duplicates() -> TokenInputs:
    """Thirty rows, of which the last five occur before."""
    rows = family_inputs("bert", num_rows=NUM_ROWS - 5, seed=0)
    assert isinstance(rows, TokenInputs)
    pieces = [rows.ids[rows.offsets[row] : rows.offsets[row + 1]] for row in [*range(NUM_ROWS - 5), 3, 3, 0, 7, 24]]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    return TokenInputs.build(np.concatenate(pieces), offsets, pad_id=0)


def rehearsed(family: str = "bert") -> Backbone:
    backbone = tiny_backbone(family, seed=0)
    rows = family_inputs(family, num_rows=2, seed=1)
    backbone.rehearse(to_device(rows.batch(np.arange(2)), dtype=torch.float32, device="cpu"))
    return backbone


def settings(root: Path, *, precision: str = "float32", kind: StoreType = "float32") -> PassSettings:
    return PassSettings(identity={"weights": "seeded"}, root=root, precision=precision, store_type=kind)


def run(root: Path, boundaries: tuple[int, ...], *, rows: np.ndarray = ALL, precision: str = "float32") -> Features:
    return compute_features(
        rehearsed(),
        inputs_with_duplicates(),
        settings(root, precision=precision),
        boundary_rows=dict.fromkeys(boundaries, rows),
        observer=Quiet(),
    )


def digests(root: Path) -> dict[str, str]:
    """Of everything but the record of what the pass has cost."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "cost.json"]
    return {str(path.relative_to(root)): sha256_of(path) for path in paths}


def test_what_is_found_on_disk_costs_what_it_has_cost(tmp_path: Path) -> None:
    first, again = run(tmp_path, (1, 2)), run(tmp_path, (1, 2))
    assert again.reused and not first.reused
    assert first.cost.wall_seconds > 0
    assert again.cost == first.cost == first.boundaries[1].cost == first.boundaries[2].cost
    more = run(tmp_path, (1, 2), rows=ALL[:9])
    assert not more.reused
    assert more.cost.wall_seconds == pytest.approx(first.cost.wall_seconds + more.boundaries[1].cost.wall_seconds)


def test_activations_alone_are_those_of_the_whole_pass_to_the_byte(tmp_path: Path) -> None:
    run(tmp_path / "with features", (1, 2))
    stores = compute_activations(
        rehearsed(),
        inputs_with_duplicates(),
        settings(tmp_path / "alone"),
        boundary_rows=dict.fromkeys((1, 2), ALL),
        observer=Quiet(),
    )
    assert set(stores) == {1, 2}
    whole, alone = digests(tmp_path / "with features"), digests(tmp_path / "alone")
    assert {name: value for name, value in whole.items() if not name.startswith("pooled")} == alone


def test_features_and_activations_are_those_of_single_rows(tmp_path: Path) -> None:
    features, backbone, inputs = run(tmp_path, (1, 2)), rehearsed(), inputs_with_duplicates()
    for row in range(NUM_ROWS):
        alone = to_device(inputs.batch(np.array([row])), dtype=torch.float32, device="cpu")
        with torch.no_grad(), backbone.capturing([1, 2]) as captured:
            pooled = backbone.pool(backbone(alone))
        np.testing.assert_allclose(features.pooled[row], pooled[0].numpy(), atol=1e-5)
        for boundary, store in features.boundaries.items():
            read = store.read(store.rows_of(inputs.keys[[row]]), padded=True)
            torch.testing.assert_close(read, captured[boundary], rtol=1e-5, atol=1e-5)


def test_equal_inputs_are_computed_and_kept_once(tmp_path: Path) -> None:
    features, inputs = run(tmp_path, (2,)), inputs_with_duplicates()
    store = features.boundaries[2]
    assert len(store.lengths) == NUM_ROWS - 5
    assert store.rows_of(inputs.keys[[3, 25, 26]]).tolist() == [3, 3, 3]
    assert np.array_equal(features.pooled[3], features.pooled[25])
    assert len(features.pooled) == NUM_ROWS


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_filled_again_it_is_the_same_to_the_byte(precision: str, tmp_path: Path) -> None:
    for root in ("first", "second"):
        run(tmp_path / root, (1, 2), precision=precision)
    first, second = digests(tmp_path / "first"), digests(tmp_path / "second")
    assert any(name.endswith("data.bin") for name in first)
    assert first == second


def run_on_pictures(root: Path, boundaries: tuple[int, ...], *, rows: np.ndarray) -> Features:
    """Twenty pictures in batches of sixteen and four: convolutions round differently in batches of different size."""
    inputs = family_inputs("mobilenet_v2", num_rows=20, seed=0)
    wanted = dict.fromkeys(boundaries, rows)
    backbone = rehearsed("mobilenet_v2")
    return compute_features(backbone, inputs, settings(root), boundary_rows=wanted, observer=Quiet())


def test_filled_bit_by_bit_it_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """A store that is added later holds what it would have held in the first pass."""
    rows = np.arange(20)
    run_on_pictures(tmp_path / "at once", (2, 9), rows=rows)
    for boundaries in ((), (9,), (2, 9)):
        run_on_pictures(tmp_path / "bit by bit", boundaries, rows=rows)
    assert digests(tmp_path / "at once") == digests(tmp_path / "bit by bit")


def test_some_rows_have_the_bytes_they_have_among_all_rows(tmp_path: Path) -> None:
    """Batches do not depend on which rows are wanted."""
    some, inputs = np.array([2, 9, 17]), family_inputs("mobilenet_v2", num_rows=20, seed=0)
    run_on_pictures(tmp_path, (), rows=some)  # the pooled features of all; what is left to do is for some rows only
    part = run_on_pictures(tmp_path, (9,), rows=some).boundaries[9]
    whole = run_on_pictures(tmp_path, (9,), rows=np.arange(20)).boundaries[9]
    keys = inputs.keys[some]
    assert len(part.lengths) == 3
    assert len(whole.lengths) == 20
    assert torch.equal(part.read(part.rows_of(keys), padded=False), whole.read(whole.rows_of(keys), padded=False))


FORWARD = Backbone.forward


def forward_of_rehearsals_only(self: Backbone, inputs: ModelInputs, stored: torch.Tensor | None = None) -> State:
    assert self.rehearsal is None, "computed again"
    return FORWARD(self, inputs, stored)


def test_a_pass_that_breaks_off_leaves_nothing_to_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []

    def breaking(self: Backbone, inputs: ModelInputs, stored: torch.Tensor | None = None) -> State:
        if self.rehearsal is not None:
            batches.append(len(inputs["input_ids"]))
        if len(batches) == 3:
            raise KeyboardInterrupt
        return FORWARD(self, inputs, stored)

    monkeypatch.setattr("luthier.features.passes.TOKENS_PER_BATCH", 64)
    monkeypatch.setattr(Backbone, "forward", breaking)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, (2,))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Backbone, "forward", FORWARD)
    assert not run(tmp_path, (2,)).reused


@pytest.mark.parametrize("family", ["bert", "resnet", "wav2vec2", "swin"])
def test_the_planned_size_is_the_real_one(family: str, tmp_path: Path) -> None:
    backbone, inputs = rehearsed(family), family_inputs(family, num_rows=9, seed=2)
    rows = np.arange(9)
    for kind in ("float32", "bfloat16", "int8"):
        plan = plan_boundary(backbone, inputs, settings(tmp_path, kind=kind), boundary=1, rows=rows)
        features = compute_features(backbone, inputs, settings(tmp_path, kind=kind), boundary_rows={1: rows}, observer=Quiet())
        folder = features.boundaries[1].folder
        assert plan.num_bytes == sum(path.stat().st_size for path in folder.glob("*.bin"))


@pytest.mark.parametrize("change", [{"weights": "others"}, {"weights": "seeded", "processor": "p"}])
def test_other_weights_or_another_processor_never_meet_the_old_store(change: dict[str, str], tmp_path: Path) -> None:
    run(tmp_path, (2,))
    other = PassSettings(identity=change, root=tmp_path, precision="float32", store_type="float32")
    features = compute_features(rehearsed(), inputs_with_duplicates(), other, boundary_rows={2: ALL}, observer=Quiet())
    assert not features.reused

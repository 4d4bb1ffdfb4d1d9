"""Sources with their answers as encoder-decoders take them, what is kept of their outputs, and what needs no network."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from luthier.errors import ModelError
from luthier.models.text_processor import TextProcessor
from luthier.tasks import TASKS
from luthier.tasks.inputs import work_lengths
from luthier.tasks.protocol import LossRecipe, Sample, TaskState
from luthier.tasks.sequence_baselines import TOLD, central_sentence, copied, first_sentence, nearest_target
from luthier.tasks.sequence_inputs import SequenceInputs
from luthier.tasks.token_losses import told
from luthier.tasks.word_inputs import IGNORED
from luthier.tasks.written import as_numbers, as_texts
from luthier.testing.language_folders import tiny_language_folder
from luthier.testing.tables import make_dataset
from luthier.training.data import TrainingRows

TASK = TASKS["sequence-to-sequence"]
STATE = TaskState(task=TASK.name)
PAIRS = (("one bird", "un pájaro"), ("two birds sang", "dos"), ("what is it", None), ("", "nada"))


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> TextProcessor:
    return TextProcessor.load(tiny_language_folder(tmp_path_factory.mktemp("t5") / "model", "t5"))


@pytest.fixture(scope="module")
def inputs(processor: TextProcessor) -> SequenceInputs:
    made = TASK.encode(PAIRS, processor, STATE)
    assert isinstance(made, SequenceInputs)
    return made


def test_the_decoder_reads_the_answer_one_token_behind_what_it_tells(inputs: SequenceInputs, processor: TextProcessor) -> None:
    batch, labels = inputs.batch(np.arange(4)), inputs.labels(np.arange(4))
    end, start = processor.special_ids["eos"], processor.special_ids["start"]
    for row, (_, target) in enumerate(PAIRS):
        answer = labels[row][labels[row] != IGNORED].tolist()
        read = batch["decoder_input_ids"][row][batch["decoder_attention_mask"][row] == 1].tolist()
        assert read == ([start, *answer[:-1]] if answer else [start])
        assert (answer[-1:] == [end]) is (target is not None)
        assert processor.decode(answer) == (target or "")
    assert inputs.answer_lengths.tolist() == (labels != IGNORED).sum(1).tolist()


def test_labels_of_a_batch_are_as_wide_as_its_longest_answer(inputs: SequenceInputs) -> None:
    assert inputs.labels(np.array([1, 2])).shape == (2, 4)
    assert (inputs.labels(np.array([2])) == IGNORED).all()
    assert inputs.labels(np.array([1]), width=9)[0, 4:].tolist() == [IGNORED] * 5


def test_equal_sources_share_what_is_stored_whatever_their_answers(processor: TextProcessor) -> None:
    made = TASK.encode([("one bird", "a"), ("one bird", "b"), ("one", "a")], processor, STATE)
    assert made.keys[0] == made.keys[1] != made.keys[2]


def test_what_is_kept_is_the_loss_that_torch_computes(inputs: SequenceInputs) -> None:
    units = np.array([0, 1, 2, 3])
    labels = inputs.labels(units)
    logits = torch.randn(4, labels.shape[1], 300, generator=torch.Generator().manual_seed(0)) * 5
    kept = told(logits.numpy(), labels)
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), torch.from_numpy(labels), reduction="none").sum(1)
    np.testing.assert_allclose(kept[:, 0], loss.numpy(), rtol=1e-5)
    assert kept[:, 1].tolist() == (labels != IGNORED).sum(1).tolist()
    summed = TASK.loss(logits, torch.from_numpy(labels))
    assert float(summed.sum) == pytest.approx(float(kept[:, 0].sum()), rel=1e-5)
    assert summed.weight == kept[:, 1].sum()
    smooth = TASK.loss(logits, torch.from_numpy(labels), recipe=LossRecipe(label_smoothing=0.1))
    counted = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), torch.from_numpy(labels), reduction="sum", label_smoothing=0.1
    )
    assert float(smooth.sum) == pytest.approx(float(counted), rel=1e-5)


def test_answers_that_are_too_long_are_cut_and_still_end(processor: TextProcessor) -> None:
    made = TASK.encode([("a", "b" * 200)], processor.with_max_length(8), STATE)
    labels = made.labels(np.array([0]))[0]
    assert len(labels) == 8
    assert labels[-1] == processor.special_ids["eos"]


def test_a_model_that_names_no_start_is_refused(tmp_path: Path) -> None:
    reads = TextProcessor.load(tiny_language_folder(tmp_path / "gpt2", "gpt2"))
    with pytest.raises(ModelError, match="decoder_start_token_id") as refused:
        TASK.encode([("a", "b")], reads, STATE)
    assert "T5, BART or Marian" in refused.value.remedy


def test_several_right_texts_are_accepted_and_the_first_is_learnt() -> None:
    table = pa.table({"example_id": ["a:1", "a:2"], "text": ["x", "x"], "target": ['["uno", "una"]', "dos"]})
    roles = {"text": "text", "target": "target"}
    assert TASK.rows(table, roles) == [("x", "uno"), ("x", "dos")]
    said = TASK.predictions(table, np.zeros((2, 2), dtype=np.float32), STATE, roles).table.to_pylist()
    assert [row["answers"] for row in said] == [["uno", "una"], ["dos"]]
    assert [row["group"] for row in said] == ["a:1", "a:1"]
    assert [row["prediction"] for row in said] == ["", ""]


SOURCES = ["the cat sat. It slept.", "a dog ran over the hill. The dog barked.", '["One thing here.", "Another thing here."]']


def sample(sources: list[str], targets: list[str]) -> Sample:
    table = pa.table({"example_id": [f"a:{row}" for row in range(len(sources))], "text": sources, "target": targets})
    roles = {"text": "text", "target": "target"}
    return Sample(table=table, roles=roles, rows=TASK.rows(table, roles), targets=np.zeros((len(sources), 1)))


def test_baselines_write_what_they_say() -> None:
    train, others = sample(SOURCES, ["gato", '["perro", "can"]', "cosa"]), sample(["a dog barked", "the cat slept"], ["", ""])

    def said(baseline: object, known: Sample, asked: Sample) -> list[str]:
        decoded = baseline(known, asked, STATE, 0)  # type: ignore[operator]
        assert (decoded[:, :TOLD] == 0).all()
        return as_texts(decoded[:, TOLD:])

    assert said(nearest_target, train, others) == ["perro", "gato"]
    assert said(copied, train, others) == ["a dog barked", "the cat slept"]
    assert said(first_sentence, train, train) == ["the cat sat.", "a dog ran over the hill.", "One thing here."]
    assert said(central_sentence, train, train)[1:] == ["a dog ran over the hill.", "Another thing here."]
    assert said(nearest_target, sample(["?", "!"], ["x", "y"]), others) == ["x", "x"]


def test_pairs_are_checked_row_by_row() -> None:
    columns = {
        "text": ["a fine day", "", "two birds", "Hi", "one two", "long", "one bird", "three"],
        "target": ["un buen día", "algo", "[]", "...", "One  two", "x " * 60, "un pájaro", "tres"],
    }
    findings = TASK.check(make_dataset(columns, roles={"text": "text", "target": "target"}))
    found = {finding.evidence["fault"]: finding for finding in findings}
    assert {name: finding.rows.tolist() for name, finding in found.items()} == {
        "no_source": [1],
        "no_target": [2],
        "no_letters": [3],
        "same": [4],
        "far_longer": [5],
    }
    assert found["same"].severity == "info"
    assert found["same"].action is None
    assert "'one two'" in found["same"].problem
    assert all(finding.remedy for finding in findings)
    assert found["far_longer"].action is not None


def test_windows_of_a_recording_are_written_one_after_the_other() -> None:
    speech = TASKS["speech-to-text"]
    decoded = np.hstack(
        [np.array([[1.0, 2], [3, 4], [5, 6], [0, 0]], dtype=np.float32), as_numbers(["One", "two", "", "End."])]
    )
    merged = speech.merge(decoded, np.array([7, 3, 3, 3]))
    assert as_texts(merged[:, TOLD:]) == ["One", "two End."]
    assert merged[:, :TOLD].tolist() == [[1.0, 2.0], [8.0, 10.0]]
    assert speech.merge(decoded, np.arange(4)) is decoded


def test_transcripts_are_learnt_as_written_and_scored_in_small_letters() -> None:
    speech = TASKS["speech-to-text"]
    table = pa.table({"example_id": ["a:1", "a:2"], "audio": ["x.wav", "y.wav"], "target": [" The  END.", None]})
    roles = {"audio": "audio", "target": "target"}
    assert speech.rows(table, roles) == [("x.wav", "The END."), ("y.wav", None)]
    assert speech.rows(table, {"audio": "audio"}) == ["x.wav", "y.wav"]
    decoded = np.hstack([np.zeros((2, TOLD), dtype=np.float32), as_numbers(["THE end.", "Q"])])
    said = speech.predictions(table, decoded, TaskState(task=speech.name), roles).table.to_pylist()
    assert [(row["target"], row["prediction"]) for row in said] == [("the end.", "the end."), ("", "q")]
    assert speech.answers(decoded, ["x.wav", "y.wav"], TaskState(task=speech.name)) == ["THE end.", "Q"]


def test_batches_have_room_for_long_answers_to_short_sources(processor: TextProcessor) -> None:
    made = TASK.encode([("a", "b" * 30), ("c" * 20, "d"), ("e", None)], processor, STATE)
    rows = TrainingRows(inputs=made, rows=np.array([2, 0]), targets=TASK.targets(pa.table({}), STATE, {}, made)[[2, 0]])
    assert work_lengths(made).tolist() == [31, 20, 1]
    assert rows.lengths.tolist() == [1, 31]

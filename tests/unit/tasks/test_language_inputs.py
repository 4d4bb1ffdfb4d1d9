"""What is told of each block: the following tokens, or those that are hidden."""

import numpy as np
import pytest

from luthier.errors import ModelError
from luthier.models.text_processor import TextProcessor
from luthier.tasks.language_inputs import CausalInputs, MaskedInputs
from luthier.tasks.word_inputs import IGNORED
from luthier.testing.language_folders import byte_tokenizer

TEXT = "the ship left the harbour at dawn with salt and rope while nobody said a word about the coming storm "
SPECIAL = {"pad": 0, "bos": 1, "eos": 2, "unk": 3, "mask": 4}
PROCESSOR = TextProcessor(byte_tokenizer([TEXT] * 9).to_str(), max_length=48, limit=64, special_ids=SPECIAL)


def masked(texts: list[str], view: int = 0) -> MaskedInputs:
    return MaskedInputs.build(PROCESSOR.encode_documents(texts, forwards=False), PROCESSOR).in_view(view)


def causal(texts: list[str]) -> CausalInputs:
    return CausalInputs.build(PROCESSOR.encode_documents(texts, forwards=True), PROCESSOR)


def test_a_causal_label_is_the_token_that_follows() -> None:
    inputs = causal(["the ship left", "at dawn"])
    batch, labels = inputs.batch(np.array([0, 1])), inputs.labels(np.array([0, 1]))
    for row in range(2):
        length = inputs.lengths[row]
        assert labels[row, : length - 1].tolist() == batch["input_ids"][row, 1:length].tolist()
        assert (labels[row, length - 1 :] == IGNORED).all()
    assert batch["input_ids"][1, inputs.lengths[1] - 1] == SPECIAL["eos"]


def test_a_long_document_is_told_whole_across_its_blocks() -> None:
    inputs = causal([TEXT * 3])
    labels = inputs.labels(np.arange(len(inputs.lengths)))
    told = [token for row in labels.tolist() for token in row if token != IGNORED]
    ids = PROCESSOR.encode_documents([TEXT * 3], forwards=True)
    assert len(inputs.lengths) > 1
    assert told == ids.ids[ids.told].tolist()[1:]


def test_about_15_in_100_tokens_are_hidden_in_the_usual_ways() -> None:
    texts = [f"{number} {TEXT}" for number in range(400)]
    inputs = masked(texts)
    units = np.arange(len(inputs.lengths))
    labels, shown = inputs.labels(units), inputs.batch(units)["input_ids"]
    labels = labels[:, : shown.shape[1]]
    drawn = labels != IGNORED
    assert 0.13 < drawn.sum() / inputs.told.sum() < 0.18
    ways = [shown[drawn] == SPECIAL["mask"], shown[drawn] == labels[drawn]]
    assert np.mean(ways[0]) == pytest.approx(0.8, abs=0.03)
    assert np.mean(ways[1]) == pytest.approx(0.1, abs=0.03)
    others = shown[drawn][~ways[0] & ~ways[1]]
    assert (others > max(SPECIAL.values())).all()
    assert np.isin(shown[~drawn], [*inputs.tokens.ids, 0]).all()


def test_whole_words_are_hidden() -> None:
    inputs = masked([TEXT])
    for view in range(20):
        drawn = inputs.in_view(view)._drawn
        for word in np.unique(inputs.words):
            assert len(set(drawn[inputs.words == word].tolist())) == 1


def test_a_unit_is_masked_alike_whatever_stands_beside_it_and_otherwise_in_another_view() -> None:
    alone, beside = masked([TEXT]), masked(["at dawn", TEXT])
    last = len(beside.lengths) - 1
    units = np.arange(len(alone.lengths))
    mine = beside.labels(np.arange(last + 1)[-len(units) :])
    assert alone.labels(units).tolist() == mine.tolist()
    assert alone.in_view(0).labels(units).tolist() == alone.labels(units).tolist()
    assert alone.in_view(7).labels(units).tolist() == alone.in_view(7).labels(units).tolist()
    assert len({alone.in_view(view).labels(units).tobytes() for view in range(10)}) == 10
    assert alone.in_view(3).keys.tolist() == alone.keys.tolist()


def test_every_unit_with_text_hides_something_and_no_special_token_is_hidden() -> None:
    inputs = masked(["a", "of", "", "dawn"])
    for view in range(10):
        labels = inputs.in_view(view).labels(np.arange(4))
        assert (labels != IGNORED).any(axis=1).tolist() == [True, True, False, True]


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    special = {name: number for name, number in SPECIAL.items() if name != "mask"}
    processor = TextProcessor(byte_tokenizer().to_str(), max_length=48, limit=64, special_ids=special)
    with pytest.raises(ModelError, match="no token that hides another") as caught:
        MaskedInputs.build(processor.encode_documents(["a"], forwards=False), processor)
    assert "--task causal-language-modeling" in caught.value.remedy

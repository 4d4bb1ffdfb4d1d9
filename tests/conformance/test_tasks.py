"""Every member of the family of tasks."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from luthier.data.dataset import Dataset
from luthier.data.schema import Kind
from luthier.tasks import TASKS
from luthier.testing.conformance import TaskConformance
from luthier.testing.conformance.tasks import TEXTS
from luthier.testing.tables import make_dataset


class TestTextClassification(TaskConformance):
    name = "text-classification"


class TestTextPairClassification(TaskConformance):
    name = "text-pair-classification"


class TestObjectDetection(TaskConformance):
    name = "object-detection"
    values = (
        '[{"label": "cell", "x": 2, "y": 3, "width": 20, "height": 18}]',
        '[{"label": "worm", "bbox": [5, 5, 30, 8]}, {"label": "cell", "bbox": [20, 20, 40, 40], "iscrowd": 1}]',
        "[]",
        None,
        '[{"label": "worm", "xmin": 0, "ymin": 0, "xmax": 40, "ymax": 40}]',
        '{"bbox": [[1, 1, 9, 9]], "category": ["cell"]}',
        "[]",
        '[{"label": "cell", "x": 30, "y": 30, "w": 10, "h": 10}]',
    )
    unknown = "no box"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.BOXES}


class TestImageClassification(TaskConformance):
    name = "image-classification"


class TestAudioClassification(TaskConformance):
    name = "audio-classification"


class TestSpeechRecognition(TaskConformance):
    name = "speech-recognition"
    values = ("no", "on", "no no", "oh no", "go on", "no", "oh", "go")
    unknown = "quite"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.TEXT}


LISTS = ('["lost"]', '["broken", "late"]', '["lost", "late"]', "[]", '["late"]', None, '["lost"]', '["broken"]')
NUMBERS = ("1.5", "2", "3.25", "-4", "0.5", "1e1", "7", "2.25")


class ListConformance(TaskConformance):
    values = LISTS
    unknown = None

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.LIST}


class NumberConformance(TaskConformance):
    values = NUMBERS
    unknown = "not a number"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.NUMBER}


class TestTextMultiLabel(ListConformance):
    name = "text-multi-label"


class TestTextPairMultiLabel(ListConformance):
    name = "text-pair-multi-label"


class TestImageMultiLabel(ListConformance):
    name = "image-multi-label"


class TestTextRegression(NumberConformance):
    name = "text-regression"


class TestTextPairRegression(NumberConformance):
    name = "text-pair-regression"


class TestImageRegression(NumberConformance):
    name = "image-regression"


class TestAudioMultiLabel(ListConformance):
    name = "audio-multi-label"


class TestAudioRegression(NumberConformance):
    name = "audio-regression"


class TestTokenClassification(TaskConformance):
    name = "token-classification"
    values = (
        '[[3, 9, "Thing"]]',
        '[{"start": 4, "end": 10, "label": "Part"}]',
        "[]",
        "[]",
        "[]",
        '[[14, 20, "State"]]',
        '[[0, 4, "State"]]',
        "[]",
    )

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.SPANS}


class TestTokenTagging(TaskConformance):
    name = "token-tagging"
    values = ('["D", "N", "R", "V"]', '["D", "N", "V", "A"]', '["R", "V", "P"]', '["N"]', '["R", "P"]') + (
        '["P", "V", "A"]',
    ) * 3

    def example(self, folder: Path) -> Dataset:
        words = [
            '["my", "parcel", "never", "came"]', '["the", "screen", "is", "cracked"]', '["where", "is", "it"]', '["parcel"]',
            '["still", "nothing"]', '["it", "was", "lost"]', '["it", "is", "fine"]', '["you", "are", "kind"]',
        ]  # fmt: skip
        return make_dataset(
            {"words": words, "answer": self.values},
            roles={"text": "words", "target": "answer"},
            kinds={"words": Kind.LIST, "answer": Kind.LIST},
        )


class TestQuestionAnswering(TaskConformance):
    name = "question-answering"
    values = ('[{"text": "so", "start": 6}]', "so on", '{"text": ["c"], "answer_start": [0]}', "[]", *["and so"] * 4)
    unknown = "nowhere in it"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.ANSWERS}


class TestSpanExtraction(TaskConformance):
    name = "span-extraction"
    values = (
        '[{"slot": "thing", "start": 3, "end": 9}, {"slot": "when", "start": 10, "end": 15}]',
        '[{"label": "thing", "start": 4, "end": 10, "text": "screen"}]',
        *["[]"] * 2,
        '[{"slot": "when", "start": 14, "end": 20}]',
        *["[]"] * 3,
    )
    unknown = "no list"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.SLOTS}


SENTENCES = (
    "my parcel did not come",
    "the glass of the screen is broken",
    "where is it?",
    "Nothing.",
    "[still waiting]",
    "broken",
    '["lost!", "gone"]',
    "how kind of you",
)


class WritingConformance(TaskConformance):
    values = SENTENCES
    unknown = None
    family = "t5"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.TEXT}


class TestSpeechToText(TaskConformance):
    name = "speech-to-text"
    values = ("no", "on", "no no", "oh no", "go on", "no", "oh", "go")
    unknown = None
    family = "whisper"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.TEXT}


class TestSequenceToSequence(WritingConformance):
    name = "sequence-to-sequence"


class TestSequenceToSequenceByBart(WritingConformance):
    name = "sequence-to-sequence"
    family = "bart"


class TestSummarization(WritingConformance):
    name = "summarization"
    family = "marian"


class TestTextRetrieval(TaskConformance):
    name = "text-retrieval"
    values = ('{"1": 2, "2": 1}', '{"2": 1}', '{"3": 1}', *[None] * 5)
    unknown = "no object"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.RELEVANCE}

    def example(self, folder: Path) -> Dataset:
        dataset = make_dataset(
            {"text": TEXTS, "name": ["q1", "q2", "q3", "1", "2", "3", "4", "5"], "answer": self.values},
            roles={"text": "text", "target": "answer", "document": "name"},
            kinds=self.kinds(),
        )
        return replace(dataset, parts={"all": np.arange(3)}, corpus=np.arange(3, 8))


class TestTextSimilarity(NumberConformance):
    name = "text-similarity"


class TestTableClassification(TaskConformance):
    name = "table-classification"


class TestTableRegression(NumberConformance):
    name = "table-regression"


class TestTableAsTextClassification(TaskConformance):
    name = "table-as-text-classification"


class TestTableAsTextRegression(NumberConformance):
    name = "table-as-text-regression"


class TestInstruction(TaskConformance):
    name = "instruction"
    values = ("it is lost", "we send a new one", "it is on its way", "hello", "wait", "sorry", "found", "thank you")
    unknown = None
    family = "gpt2"

    def kinds(self) -> dict[str, Kind]:
        return {"answer": Kind.TEXT}


class TestChat(TaskConformance):
    name = "chat"
    values = TestInstruction.values
    unknown = None
    family = "llama"

    def example(self, folder: Path) -> Dataset:
        cells = [
            json.dumps([{"role": "user", "content": f"Where is {row}?"}, {"role": "assistant", "content": answer}])
            for row, answer in enumerate(self.values)
        ]
        roles = {"text": "messages", "target": "messages"}
        return make_dataset({"messages": cells}, roles=roles, kinds={"messages": Kind.MESSAGES})


class TextConformance(TaskConformance):
    """Tasks that tell the texts themselves: what is read is what is to be told."""

    unknown = None

    def example(self, folder: Path) -> Dataset:
        return make_dataset({"text": TEXTS}, roles={"text": "text", "target": "text"}, kinds={"text": Kind.TEXT})


class TestMaskedLanguageModeling(TextConformance):
    name = "masked-language-modeling"
    family = "bert"


class TestCausalLanguageModeling(TextConformance):
    name = "causal-language-modeling"
    family = "llama"


def judges(kind: type) -> set[str]:
    return {name for judge in kind.__subclasses__() for name in {getattr(judge, "name", ""), *judges(judge)}}


def test_every_task_has_its_class() -> None:
    assert judges(TaskConformance) >= set(TASKS)

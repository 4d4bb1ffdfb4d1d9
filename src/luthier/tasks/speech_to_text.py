"""What is said in a recording, written down token by token as Whisper does. Columns: a file of sound and its transcript.

An encoder hears the recording and a decoder with its own head writes the text; both are part of the model. Transcripts are
learnt as they are written, capitals and signs included, and scored in small letters, as those of `speech-recognition`, which
shares loader, measures and baselines and puts a new head of characters on an encoder alone (CTC).
A recording longer than what is heard at once is answered window by window, and cannot be learnt from.

Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.evaluation.language_predictions import language_predictions
from luthier.evaluation.records import Predictions
from luthier.models.audio_processor import AudioProcessor
from luthier.models.settings import NetworkKind
from luthier.tasks.answers.label import groups_of
from luthier.tasks.audio_inputs import AudioInputs
from luthier.tasks.inputs import Inputs
from luthier.tasks.own_head import OwnHeadTask
from luthier.tasks.protocol import (
    FIT,
    Baseline,
    Generate,
    Modality,
    ProbeLoss,
    Sample,
    TaskState,
)
from luthier.tasks.readings.audio import AUDIO
from luthier.tasks.row_task import NO_SCRATCH
from luthier.tasks.sequence_baselines import TOLD, as_decoded
from luthier.tasks.sequence_inputs import SequenceInputs, answer_tokens, start_of
from luthier.tasks.sequence_writing import write
from luthier.tasks.token_losses import told
from luthier.tasks.transcripts import spoken
from luthier.tasks.written import as_numbers, as_texts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class SpeechToText(OwnHeadTask):
    """Tokens from frames.

    Attributes:
        absent: By model of the card: why there is none.
    """

    name: str = "speech-to-text"
    modality: Modality = "audio"
    roles: tuple[str, ...] = ("audio", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = False
    measures: Sequence[str] = ("wer", "cer")
    primary_measure: str = "wer"
    probe: ProbeLoss | None = None
    answer_kind: str = "transcript"
    has_classes: bool = False
    network: NetworkKind = "speech-seq2seq"
    steers_by: str = "token_loss"
    example: str = AUDIO.example
    unknown_means: str = "their transcript is empty, or they are longer than what is heard at once"
    absent: Mapping[str, str] = field(
        default_factory=lambda: {
            "classic": "no model without a neural network can be fitted to whole sentences here",
            "scratch": NO_SCRATCH,
        }
    )

    @property
    def baselines(self) -> Sequence[Baseline]:
        """The transcript that train has most often."""
        about = "Always gives the transcript that is most common in training."
        title = "Most frequent transcript"
        return [Baseline(name="majority", needs_features=False, fit_predict=_majority, title=title, about=about)]

    @property
    def generate(self) -> Generate | None:
        """By the network's own decoder."""
        return write

    def match(self, schema: Schema) -> Decision[bool]:
        """A recording beside a text; without a model that writes, characters are read off its frames (`speech-recognition`)."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        audio, target = schema.roles["audio"], schema.roles["target"]
        is_text = schema.kind_of(target) is Kind.TEXT
        holds = "holds what is said in them" if is_text else "could hold what is said in them"
        reason = f"'{audio}' holds recordings and '{target}' {holds}"
        return Decision(name="task", value=True, reason=reason, evidence={FIT: 0.9 if is_text else 0.4}, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table."""
        return []

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """Nothing is learnt of train before a model is there."""
        return TaskState(task=self.name)

    def describe(self, state: TaskState) -> str:
        """A transcript."""
        return "what is said in it"

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[Any]:
        """Each path with its transcript; where there is no column of transcripts the paths."""
        paths = AUDIO.rows(table, roles)
        if "target" not in roles:
            return paths
        texts = [_written(value) for value in table.column(roles["target"]).to_pylist()]
        return list(zip(paths, texts, strict=True))

    def count_tokens(self, rows: Sequence[Any], processor: AudioProcessor) -> Int[np.ndarray, " N"]:
        """Milliseconds of each recording."""
        return AUDIO.count_tokens([as_heard(row)[0] for row in rows], processor)

    def encode(self, rows: Sequence[Any], processor: AudioProcessor, state: TaskState) -> SequenceInputs:
        """Windows of files; only of a file in one window is known what is said in it."""
        assert processor.text is not None
        heard = [as_heard(row) for row in rows]
        sources = AudioInputs.build([Path(path) for path, _ in heard], processor)
        counts = np.bincount(sources.row_of, minlength=len(heard))
        texts = [heard[row][1] if counts[row] == 1 else None for row in sources.row_of.tolist()]
        answers = answer_tokens(texts, processor.text)
        return SequenceInputs.build(sources, answers, start_id=start_of(processor.text), pad_id=processor.text.pad_id)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U L"]:
        """The tokens of the transcripts, filled up with `IGNORED`."""
        assert isinstance(inputs, SequenceInputs)
        return inputs.labels(np.arange(len(inputs.lengths)))

    def decode(
        self, outputs: Float[np.ndarray, "B T V"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B 2"]:
        """The loss of each transcript, and its tokens."""
        assert isinstance(inputs, SequenceInputs)
        return told(outputs, inputs.labels(units))

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N K"]:
        """One window after the other."""
        _, first, inverse = np.unique(row_of, return_index=True, return_inverse=True)
        if len(first) == len(decoded):
            return decoded
        texts, parts = as_texts(decoded[:, TOLD:]), [np.flatnonzero(inverse == row) for row in inverse[np.sort(first)]]
        sums = np.array([decoded[units, :TOLD].sum(axis=0) for units in parts], dtype=decoded.dtype)
        return np.hstack([sums, as_numbers([" ".join(filter(None, (texts[unit] for unit in units))) for units in parts])])

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`prediction`."""
        return {"prediction": as_texts(decoded[:, TOLD:])}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The paths: what a report shows of recordings is drawn from their files."""
        return [as_heard(row)[0] for row in rows]

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """What was heard."""
        return as_texts(decoded[:, TOLD:])

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """What was heard beside what was said, both in small letters."""
        return language_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[spoken(value) for value in table.column(roles["target"]).to_pylist()],
            predictions=[spoken(text) for text in as_texts(decoded[:, TOLD:])],
            told=decoded[:, :TOLD],
            answer_kind=self.answer_kind,
            groups=groups_of(table, roles),
        )


def as_heard(row: Any) -> tuple[str, str | None]:
    """A row as `predict` takes it: a path, or a path with its transcript."""
    return row if isinstance(row, tuple) else (str(row), None)


def _written(value: object) -> str | None:
    """A transcript as it is learnt: single spaces between words; None where there is none."""
    return " ".join(str(value).split()) or None if value is not None else None


def _majority(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """Of equally frequent ones the shortest: it has the fewest words that could be wrong."""
    texts = Counter(spoken(value) for value in train.table.column(train.roles["target"]).to_pylist())
    return as_decoded([min(texts, key=lambda text: (-texts[text], len(text), text))] * len(others))


TASK = SpeechToText()

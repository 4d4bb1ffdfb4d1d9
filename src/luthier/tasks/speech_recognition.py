"""What is said in a recording, character by character. Columns: a file of sound and its transcript.

By connectionist temporal classification (CTC): a head on every frame gives each character or a blank, and the loss sums over
all ways in which the transcript can be spread over the frames. Transcripts are learnt and scored in small letters, with their
punctuation.
A recording longer than what is heard at once is answered window by window, and cannot be learnt from.

Source: Graves et al. 2006, "Connectionist temporal classification".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from luthier.core.decision import Decision
from luthier.data.dataset import EXAMPLE_ID, Dataset
from luthier.data.findings import Finding
from luthier.data.schema import Kind, Schema
from luthier.errors import ModelError
from luthier.evaluation.records import Predictions
from luthier.evaluation.text_predictions import text_predictions
from luthier.models.audio_processor import AudioProcessor
from luthier.models.settings import HeadSettings, NetworkKind
from luthier.tasks.answers.label import groups_of
from luthier.tasks.audio_inputs import AudioInputs
from luthier.tasks.inputs import EMPTY, Inputs
from luthier.tasks.prefix_beams import best_prefixes
from luthier.tasks.protocol import (
    FIT,
    LINEAR,
    PLAIN,
    Baseline,
    Generate,
    HeadOrigin,
    LossRecipe,
    LossSum,
    Modality,
    ProbeLoss,
    Sample,
    TaskState,
)
from luthier.tasks.readings.audio import AUDIO
from luthier.tasks.row_task import NO_SCRATCH, shown_rows
from luthier.tasks.transcripts import IGNORED, best_path, characters_of, frames_needed, joined, places_of, spoken, text_of

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor, nn

CHARACTERS = "characters"


@dataclass(frozen=True, kw_only=True)
class SpeechRecognition:
    """Characters from frames.

    Attributes:
        absent: By model of the card: why there is none.
    """

    name: str = "speech-recognition"
    modality: Modality = "audio"
    roles: tuple[str, ...] = ("audio", "target")
    optional_roles: Sequence[str] = ()
    reads_windows: bool = False
    measures: Sequence[str] = ("wer", "cer")
    primary_measure: str = "wer"
    probe: ProbeLoss | None = None
    answer_kind: str = "transcript"
    has_classes: bool = False
    network: NetworkKind = "encoder"
    steers_by: str = ""
    generate: Generate | None = None
    example: str = AUDIO.example
    unknown_means: str = (
        "their transcript is empty, or has more characters than their sound has frames, or they are longer than what is heard "
        "at once"
    )
    absent: Mapping[str, str] = field(
        default_factory=lambda: {
            "classic": "no model without a neural network can be fitted to whole sentences here",
            "pretrained": "the pre-trained network gives states of frames, no characters",
            "scratch": NO_SCRATCH,
        }
    )

    @property
    def baselines(self) -> Sequence[Baseline]:
        """The transcript that train has most often."""
        about = "Always gives the transcript that is most common in training."
        title = "Most frequent transcript"
        return [Baseline(name="majority", needs_features=False, fit_predict=_majority, title=title, about=about)]

    def match(self, schema: Schema) -> Decision[bool]:
        """A recording beside a text; beside labels, which are words too, where nothing fits better."""
        missing = [role for role in self.roles if role not in schema.roles]
        if missing:
            return Decision(name="task", value=False, reason=f"no column plays the role {' or '.join(missing)}")
        audio, target = schema.roles["audio"], schema.roles["target"]
        is_text = schema.kind_of(target) is Kind.TEXT
        holds = "holds what is said in them" if is_text else "could hold what is said in them"
        reason = f"'{audio}' holds recordings and '{target}' {holds}"
        return Decision(name="task", value=True, reason=reason, evidence={FIT: 1.0 if is_text else 0.5}, override="--task")

    def check(self, dataset: Dataset) -> list[Finding]:
        """Nothing beyond the checks of every table: what no frame is left for is named when the model is known."""
        return []

    def fit_state(self, table: "pa.Table", schema: Schema) -> TaskState:
        """The characters of train."""
        texts = [spoken(value) for value in table.column(schema.roles["target"]).to_pylist()]
        return TaskState(task=self.name, values={CHARACTERS: characters_of(texts)})

    def describe(self, state: TaskState) -> str:
        """The characters it can write."""
        characters = state.values[CHARACTERS]
        return f"a text in {len(characters)} characters: `{characters.strip()}`" + (" and spaces" if " " in characters else "")

    def rows(self, table: "pa.Table", roles: Mapping[str, str]) -> Sequence[str]:
        """The paths."""
        return AUDIO.rows(table, roles)

    def count_tokens(self, rows: Sequence[str], processor: AudioProcessor) -> Int[np.ndarray, " N"]:
        """Milliseconds of each recording."""
        return AUDIO.count_tokens(rows, processor)

    def encode(self, rows: Sequence[str], processor: AudioProcessor, state: TaskState) -> AudioInputs:
        """Windows of files.

        Raises:
            ModelError: what the network's blocks see are not moments in their order.
        """
        if not processor.audio_settings.is_in_time:
            raise ModelError(
                "The model hears patches of a spectrogram, not moments one after the other: nothing says when each character "
                "is spoken.",
                remedy="choose a model of frames, such as wav2vec 2.0 or Whisper (luthier models --modality audio)",
            )
        return AUDIO.encode(rows, processor)

    def targets(self, table: "pa.Table", state: TaskState, roles: Mapping[str, str], inputs: Inputs) -> Int[np.ndarray, "U L"]:
        """Places of the characters of each unit, filled up with `IGNORED`; only that for units that teach nothing."""
        texts = [spoken(value) for value in table.column(roles["target"]).to_pylist()]
        counts = np.bincount(inputs.row_of, minlength=len(texts))
        targets = np.full((len(inputs.lengths), max(1, *map(len, texts))), IGNORED, dtype=np.int64)
        for unit, row in enumerate(inputs.row_of.tolist()):
            places = places_of(texts[row], state.values[CHARACTERS])
            if places and counts[row] == 1 and frames_needed(places) <= inputs.lengths[unit]:
                targets[unit, : len(places)] = places
        return targets

    def known(self, targets: Int[np.ndarray, "U L"]) -> Bool[np.ndarray, " U"]:
        """Those with a character."""
        return np.asarray((targets != IGNORED).any(axis=1))

    def build_head(self, width: int, state: TaskState, *, settings: HeadSettings = LINEAR, seed: int) -> "nn.Module":
        """A fresh head with an output for the blank and for each character."""
        from luthier.models.frame_head import FrameHead
        from luthier.models.heads import build_head

        return FrameHead(build_head(settings, width, 1 + len(state.values[CHARACTERS]), seed=seed))

    def loss(self, outputs: "Tensor", targets: "Tensor", *, recipe: LossRecipe = PLAIN) -> LossSum:
        """CTC in float32, summed over recordings; its weight is the number of their characters."""
        import torch
        from torch.nn.functional import ctc_loss

        log_probs = outputs.float().log_softmax(2).transpose(0, 1)
        lengths = (targets != IGNORED).sum(1)
        frames = torch.full_like(lengths, outputs.shape[1])
        total = ctc_loss(log_probs, targets.clamp(min=0), frames, lengths, reduction="sum")
        return LossSum(sum=total, weight=float(lengths.sum()))

    def start_loss(
        self, state: TaskState, head_origin: HeadOrigin, *, recipe: LossRecipe = PLAIN
    ) -> tuple[float, float] | None:
        """It depends on how long each recording is for its transcript: nothing is said."""
        return None

    def decode(
        self, outputs: Float[np.ndarray, "B T V"], inputs: Inputs, units: Int[np.ndarray, " B"]
    ) -> Float[np.ndarray, "B K"]:
        """The best path."""
        return best_path(outputs, int(inputs.lengths.max()))

    def search(
        self, outputs: Float[np.ndarray, "B T V"], inputs: Inputs, units: Int[np.ndarray, " B"], *, beams: int
    ) -> Float[np.ndarray, "B K"]:
        """The likeliest text, all paths that say it together: slower than `decode`, and asked for by `--num-beams`."""
        return best_prefixes(outputs, int(inputs.lengths.max()), beams=beams)

    def merge(self, decoded: Float[np.ndarray, "U K"], row_of: Int[np.ndarray, " U"]) -> Float[np.ndarray, "N L"]:
        """One window after the other."""
        return joined(decoded, row_of)

    def columns(
        self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState, *, probs: bool
    ) -> Mapping[str, Sequence[Any]]:
        """`prediction`."""
        return {"prediction": self._texts(decoded, state)}

    def show(self, rows: Sequence[Any], said: Sequence[Mapping[str, Any] | None]) -> list[str]:
        """The paths: what a report shows of recordings is drawn from their files."""
        return shown_rows(rows)

    def answers(self, decoded: Float[np.ndarray, "N K"], rows: Sequence[Any], state: TaskState) -> list[Any]:
        """What was heard."""
        return list(self._texts(decoded, state))

    def predictions(
        self, table: "pa.Table", decoded: Float[np.ndarray, "N K"], state: TaskState, roles: Mapping[str, str]
    ) -> Predictions:
        """What was heard beside what was said."""
        return text_predictions(
            example_ids=table.column(EXAMPLE_ID).to_pylist(),
            targets=[spoken(value) for value in table.column(roles["target"]).to_pylist()],
            predictions=self._texts(decoded, state),
            answer_kind=self.answer_kind,
            groups=groups_of(table, roles),
        )

    def _texts(self, decoded: Float[np.ndarray, "N K"], state: TaskState) -> list[str]:
        return [text_of(places, state.values[CHARACTERS]) for places in decoded]


def _majority(train: Sample, others: Sample, state: TaskState, seed: int) -> Float[np.ndarray, "N K"]:
    """Of equally frequent ones the shortest: it has the fewest words that could be wrong."""
    texts = Counter(spoken(value) for value in train.table.column(train.roles["target"]).to_pylist())
    text = min(texts, key=lambda text: (-texts[text], len(text), text))
    places = places_of(text, state.values[CHARACTERS]) or [int(EMPTY)]
    return np.tile(np.array(places, dtype=np.float32), (len(others), 1))


TASK = SpeechRecognition()

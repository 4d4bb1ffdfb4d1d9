"""The records of evaluation: what `metrics.json` is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from luthier.core.process import Cost

if TYPE_CHECKING:
    import pyarrow as pa

Direction = Literal["higher", "lower"]
VerdictName = Literal["keep", "keep with care", "do not keep"]
MODEL_NAMES = ("majority", "persistence", "classic", "pretrained", "probe", "scratch", "tuned")
RANKINGS = ("roc_auc", "average_precision")  # what a model that only names a label is not made for


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What one model said about one set of examples.

    Attributes:
        table: One row per example: `example_id`, `group` (what is resampled together; the row itself by default), and the
            columns of the task's `prediction_schema` (for one label: `target`, `prediction`, `probs`).
        labels: The label of each place of `probs`, where there are any.
        answer_kind: `label`, `labels` or `number`, by which measures and the card know how to read `target` and `prediction`;
            or a name of the task's own, of which the card shows scores and comparisons only.
    """

    table: "pa.Table"
    labels: tuple[str, ...] = ()
    answer_kind: str = ""


class Measure(Protocol):
    """A score that is a function of sums over examples, so that the bootstrap can resample the sums."""

    name: str
    direction: Direction

    def stats(self, predictions: Predictions) -> Float[np.ndarray, "N k"]:
        """Sufficient statistics of each example."""

    def value(self, summed: Float[np.ndarray, "*S k"]) -> Float[np.ndarray, "*S"]:
        """The score of summed statistics; the last axis is k, further axes in front are kept (bootstrap samples)."""


@runtime_checkable
class IndexedMeasure(Protocol):
    """A score that does not decompose (AUC, mAP): computed anew for each resample."""

    name: str
    direction: Direction

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The score of the examples at `indices` (with repeats)."""


@runtime_checkable
class PreparedMeasure(Protocol):
    """An `IndexedMeasure` that sorts once: thousands of resamples of the same predictions then cost a few sums each."""

    def prepare(self, predictions: Predictions) -> Callable[[Float[np.ndarray, " N"]], float]:
        """From how often each example counts to the score."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score with its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Model `a` against model `b` on the same examples.

    Attributes:
        difference: Score of a minus score of b.
        low, high: Bootstrap interval of the difference.
        p: Two-sided p-value before correction.
        p_holm: After Holm's correction over the comparisons of one card.
        standard_error: Bootstrap standard error of the difference.
        test: Name of the test.
    """

    a: str
    b: str
    measure: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    standard_error: float
    test: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Keep the tuned model or not, and the rule that decided.

    Attributes:
        name: One of three.
        reason: The rule that decided, in a sentence with its numbers.
        recommended: The model to use: usually `tuned`; `probe` where the probe is as good within one standard error; the
            best untuned model where tuning did not help.
    """

    name: VerdictName
    reason: str
    recommended: str


@dataclass(frozen=True, kw_only=True)
class SourceScores:
    """Scores on the test examples of one source, where several are mixed.

    Attributes:
        source: Its name.
        n: How many test examples are of it.
        scores: By model: the primary measure.
    """

    source: str
    n: int
    scores: Mapping[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Everything `metrics.json` says.

    Attributes:
        n: Examples of the test set.
        num_units: Independent units among them: what intervals and tests resample.
        test: By model and measure.
        answer_kind: As that of `Predictions`.
        described: By model: what it is called here, and what it does in a sentence; where the task says so.
        per_class: Of the tuned model: label, precision, recall, f1, support, predicted.
        confusion: Of the tuned model: examples by target (row) and prediction (column), in the order of `labels`.
        calibration: By model: `expected_calibration_error`; of the tuned model also `curve` and, where validation predictions
            were given, `best_temperature`.
        details: Of the tuned model, by the kind of answer: for numbers the errors and a sample of points.
        confidence, bootstrap_samples: What stands behind the intervals.
        importance: Of a model of tables: column -> what the primary measure loses on validation when the column is shuffled.
        by_source: Where several sources are mixed: the primary measure on the examples of each.
        retained: Of the model before and after: by measure, scores on what it could do before.
        retained_about: The same in a sentence, or why it was not measured.
        alarms: Where costs were given: the threshold and what it costs (`costs.Alarms`), and `sentence`, which says it.
    """

    task: str
    primary_measure: str
    directions: Mapping[str, Direction]
    verdict: str
    verdict_reason: str
    recommended: str
    n: int
    test: Mapping[str, Mapping[str, Interval]]
    comparisons: Sequence[Comparison]
    absent: Mapping[str, str]
    cost: Mapping[str, Cost]
    validation: Mapping[str, float] = field(default_factory=dict)
    steers_by: str = ""
    answer_kind: str = "label"
    described: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    per_class: Sequence[Mapping[str, object]] = ()
    confusion: Sequence[Sequence[int]] = ()
    labels: Sequence[str] = ()
    calibration: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    retained: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    retained_about: str = ""
    seeds: Sequence[int] = ()
    confidence: float = 0.95
    bootstrap_samples: int = 0
    num_units: int = 0
    importance: Mapping[str, float] = field(default_factory=dict)
    by_source: Sequence[SourceScores] = ()
    alarms: Mapping[str, object] = field(default_factory=dict)
    schema_version: int = 1

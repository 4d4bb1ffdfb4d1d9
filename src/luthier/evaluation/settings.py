"""What can be said about evaluation."""

from pydantic import Field

from luthier.core.settings import Settings


class EvaluationSettings(Settings):
    """Intervals and tests."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals")
    bootstrap_samples: int = Field(2000, ge=200, description="Resamples behind each interval")
    false_alarm_cost: float | None = Field(
        None, gt=0, description="Of two labels: what an alarm costs that is none; with --miss-cost a threshold is chosen"
    )
    miss_cost: float | None = Field(None, gt=0, description="Of two labels: what a missed alarm costs, in the same unit")
    positive: str | None = Field(None, description="The label that alarms are for (default: the rarer one)")
    calibration_limit: float = Field(
        0.05,
        gt=0,
        description="How much the calibration error may grow from the probe to the tuned model before the verdict says so",
    )
    general_limit: float = Field(
        0.1, gt=0, description="By which share the perplexity of general texts may grow before the verdict says so"
    )

"""What can be said about evaluation."""

from pydantic import Field

from luthier.core.settings import Settings


class EvaluationSettings(Settings):
    """Intervals and tests."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals")
    bootstrap_samples: int = Field(2000, ge=200, description="Resamples behind each interval")
    calibration_limit: float = Field(
        0.05,
        gt=0,
        description="How much the calibration error may grow from the probe to the tuned model before the verdict says so",
    )

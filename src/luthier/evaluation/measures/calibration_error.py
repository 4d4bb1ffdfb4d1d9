"""How far stated confidence is from what comes true."""

import numpy as np
from jaxtyping import Int

from luthier.evaluation.calibration import calibration_error, confidences
from luthier.evaluation.records import Direction, Predictions


class ExpectedCalibrationError:
    """Mean distance of confidence and accuracy over bins of equal mass; lower is better (see `calibration`)."""

    name = "expected_calibration_error"
    direction: Direction = "lower"

    def value_of(self, predictions: Predictions, indices: Int[np.ndarray, " n"]) -> float:
        """The error of the examples at `indices`."""
        confidence, right = confidences(predictions)
        return calibration_error(confidence[indices], right[indices])


EXPECTED_CALIBRATION_ERROR = ExpectedCalibrationError()

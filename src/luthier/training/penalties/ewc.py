"""EWC: as L2-SP, but each weight is held as strongly as the pre-trained model's answers depend on it.

Use when: few rows, or what the model could do before must not be forgotten; L2-SP holds everything alike, EWC lets go of what
does not matter.
Cost: before the first step one forward and backward pass each for up to 256 rows, one at a time; two copies of the weights that
train, and one pass over them a step.
Suggested values: 1e2 to 1e4. The run says the importance on average (1e-4 or so): strength times that is what compares with
`towards_pretrained`.
Where rows have other targets than one label each, the importance is that of the empirical Fisher (of the data's own targets),
and the run says so.
Source: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks".
"""

from torch import Tensor

from luthier.training.penalties.penalty import Penalty, Weight


class ElasticWeightConsolidation(Penalty):
    """Pulls back to where the weight came from, by its importance."""

    needs_importance = True

    def concerns(self, weight: Weight) -> bool:
        """Whatever is of the pre-trained model."""
        return weight.pretrained is not None

    def add_gradient(self, weight: Weight, gradient: Tensor, strength: float) -> None:
        """The way back times the importance."""
        assert weight.pretrained is not None and weight.importance is not None
        gradient.addcmul_(weight.importance, weight.item - weight.pretrained, value=strength)


PENALTY = ElasticWeightConsolidation()

"""A task of its own in one file: is a text loud? The column `label` says yes or no; a plug-in would look just like this."""

from collections.abc import Sequence

from luthier.core.decision import Decision
from luthier.data.schema import Schema
from luthier.models.processors import TextProcessor
from luthier.tasks.inputs import TokenInputs
from luthier.tasks.protocol import Baseline
from luthier.tasks.single_label import SingleLabel
from luthier.tasks.text_classification import class_mean, majority


class Loudness(SingleLabel):
    """Columns: a text and whether it is loud."""

    name = "loudness"
    modality = "text"
    input_role = "text"
    baselines = (
        Baseline(name="majority", needs_features=False, fit_predict=majority),
        Baseline(name="pretrained", needs_features=True, fit_predict=class_mean),
    )
    absent = {"classic": "words do not tell how loud a text is", "scratch": "not asked for"}  # noqa: RUF012

    def match(self, schema: Schema) -> Decision[bool]:
        """A text column beside a label column."""
        return self.match_roles(schema)

    def encode(self, rows: Sequence[str], processor: TextProcessor) -> TokenInputs:
        """Token ids of the texts, exclamation marks apart."""
        encoded = processor.encode([row.replace("!", " ! ") for row in rows])
        return TokenInputs.build(encoded.ids, encoded.offsets, pad_id=processor.pad_id)


TASK = Loudness()

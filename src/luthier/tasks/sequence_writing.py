"""What encoder-decoders write: torch is imported where it is used."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from luthier.models.audio_processor import AudioProcessor
from luthier.models.text_processor import TextProcessor
from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import Writer
from luthier.tasks.sequence_inputs import SequenceInputs
from luthier.tasks.written import as_numbers

if TYPE_CHECKING:
    pass


def write(writer: Writer, inputs: Inputs, units: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B G"]:
    """What the network writes for some units, as the code points of its letters."""
    import torch

    from luthier.models.generation import write_texts

    assert isinstance(inputs, SequenceInputs)
    processor = writer.processor.text if isinstance(writer.processor, AudioProcessor) else writer.processor
    assert isinstance(processor, TextProcessor)
    dtype = next(writer.backbone.network.parameters()).dtype
    arrays = {name: torch.from_numpy(array).to(writer.device) for name, array in inputs.sources.batch(units).items()}
    batch = {name: array.to(dtype) if array.is_floating_point() else array for name, array in arrays.items()}
    with torch.inference_mode():
        return as_numbers([text.strip() for text in write_texts(writer.backbone, batch, processor=processor)])

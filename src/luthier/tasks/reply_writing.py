"""What causal language models write: torch is imported where it is used."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from luthier.tasks.inputs import Inputs
from luthier.tasks.protocol import Writer
from luthier.tasks.reply_inputs import ReplyInputs
from luthier.tasks.written import as_numbers

if TYPE_CHECKING:
    pass


def write(writer: Writer, inputs: Inputs, units: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B G"]:
    """What the network writes behind the prompts of some units, as the code points of its letters."""
    import torch

    from luthier.models.generation import write_texts
    from luthier.models.text_processor import TextProcessor

    assert isinstance(inputs, ReplyInputs)
    assert isinstance(writer.processor, TextProcessor)
    network: Any = writer.backbone.network
    room = writer.processor.limit - int(network.generation_config.max_new_tokens)
    prompts = inputs.prompt_batch(units, room=room)
    batch = {name: torch.from_numpy(array).to(writer.device) for name, array in prompts.items()}
    with torch.inference_mode():
        return as_numbers([text.strip() for text in write_texts(writer.backbone, batch, processor=writer.processor)])

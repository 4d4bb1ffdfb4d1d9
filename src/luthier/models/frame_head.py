"""A head on every frame of sound, for connectionist temporal classification (CTC): logits of all characters and of the blank.

Frames that only fill up a batch are said to be blank, and certainly so. Whatever is summed over alignments then is what it is
without them: neither loss nor best path needs to know where each recording ends.

Source: Graves et al. 2006, "Connectionist temporal classification"; Baevski et al. 2020, "wav2vec 2.0" (a linear layer).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from luthier.errors import ModelError
from luthier.models.backbone import State

BLANK = 0  # the place of the blank among the outputs
NEVER = -1e4  # the logit of what cannot be: its probability is 0 in float32, its gradient too


class FrameHead(nn.Module):
    """Logits of each frame.

    Args:
        inner: Gives the logits of one vector.

    Example:
        >>> from luthier.models.heads import LinearHead
        >>> head = FrameHead(LinearHead(4, 3, dropout=0.0, seed=0))
        >>> mask = torch.tensor([[True, True], [True, False]])
        >>> head(State(hidden=torch.ones(2, 2, 4), mask=mask, pooled=None))[1, 1].tolist()
        [0.0, -10000.0, -10000.0]
    """

    reads_states = True

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: State) -> Float[Tensor, "B T V"]:
        """Logits [B, T, V]; of frames that are not real, those of a certain blank.

        Raises:
            ModelError: the network gives maps or one vector, not a state for each frame.
        """
        if state.hidden.ndim != 3:
            raise ModelError(
                "The network gives no state for each moment of the sound, which speech recognition stands on.",
                remedy="choose a model of frames, such as wav2vec 2.0 or Whisper",
            )
        logits = self.inner(state.hidden.float())
        return logits if state.mask is None else certainly_blank(logits, state.mask)

    def settings(self) -> dict[str, object]:
        """What is needed to build it again."""
        return {"kind": "frames", "inner": self.inner.settings()}  # type: ignore[operator]


def certainly_blank(logits: Float[Tensor, "B T V"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
    """The logits, with a blank of probability 1 wherever the mask is false."""
    blank = torch.full((logits.shape[-1],), NEVER, dtype=logits.dtype, device=logits.device)
    blank[BLANK] = 0.0
    return torch.where(mask[..., None], logits, blank)

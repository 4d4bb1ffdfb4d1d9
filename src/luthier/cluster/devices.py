"""What Ray Train is to set up in its workers before they begin. Imported only where Ray is."""

from ray.train.backend import Backend
from ray.train.torch import TorchConfig


class SeenByAll(Backend):  # type: ignore[misc]  # Ray has no types
    """Nothing but this: workers on one machine see all GPUs that they have between them, and each takes its own."""

    share_cuda_visible_devices = True


class Devices(TorchConfig):  # type: ignore[misc]
    """Names `SeenByAll` to Ray; its own set-up of torch would open a port to everybody, and ours joins the processes."""

    @property
    def backend_cls(self) -> type[SeenByAll]:
        """The class that Ray makes in each worker."""
        return SeenByAll

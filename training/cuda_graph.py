"""Passes of a network on a GPU as CUDA graphs: thousands of kernels are launched at once instead of one by one."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class CudaGraphedNetwork:
    """Forward and backward passes of a network in training mode, replayed from CUDA graphs.

    The graphs are captured with the first inputs, and replayed for inputs of their shapes; their memory is held as long
    as this object. Other inputs, such as a smaller last batch, and networks that cannot be captured, are passed kernel
    by kernel. Buffers and random state are left as a plain pass leaves them.

    Args:
        network: the network, on a GPU.
        device: the GPU.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = network, device
        self._shapes: list[torch.Size] | None = None
        self._replay: Callable[..., Tensor] | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the network's outputs; the next call overwrites them."""
        shapes = [x.shape for x in inputs]
        if self._shapes is None:
            self._shapes = shapes
            self._replay = self._capture(inputs)
        forward = self._network if self._replay is None or shapes != self._shapes else self._replay
        outputs: Tensor = forward(*inputs)
        return outputs

    def _capture(self, inputs: tuple[Tensor, ...]) -> Callable[..., Tensor] | None:
        """Capture both passes; None if the network does not allow it, or memory runs out."""
        buffers = [(buffer, buffer.clone()) for buffer in self._network.buffers()]
        # The gradients of other shapes pass through nodes that were made on the stream of the capture: only slower.
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
        try:
            with torch.cuda.device(self._device), torch.random.fork_rng([self._device]):
                torch.cuda.make_graphed_callables(self._network, inputs, allow_unused_input=True)
            return self._network.forward
        except RuntimeError as error:
            log.warning("trains without CUDA graphs: %s", error)
            return None
        finally:
            self._network.__dict__.pop("forward", None)  # evaluation and other shapes use the plain one
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)

"""Several networks that are measured in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor, nn

from proxies.passes.base import ProxyInput, WeightGradient
from proxies.passes.batch import Batch
from proxies.passes.tape import BackwardRecord, gather


@dataclass(frozen=True)
class StackInput:
    """K networks, and the batch of independent samples to measure each of them on.

    Attributes:
        network: runs K equal parts of its rows as the K networks do (`models.stack.NetworkStack`); never changed.
        members: each network with the batch.
    """

    network: nn.Module
    members: tuple[ProxyInput, ...]

    @property
    def number(self) -> int:
        """Number of networks, K."""
        return len(self.members)

    @property
    def batch(self) -> Batch:
        """The batch of each network."""
        return self.members[0].batch

    @cached_property
    def together(self) -> ProxyInput:
        """The network of all, with the batch once for each of them."""
        return replace(self.members[0], network=self.network, batch=self.repeated(self.batch))

    def repeated(self, batch: Batch) -> Batch:
        """Return a batch once for each network."""
        return replace(batch, inputs=tuple(map(self._repeated, batch.inputs)), y=self._repeated(batch.y))

    def _repeated(self, tensor: Tensor) -> Tensor:
        return tensor.repeat(self.number, *(1,) * (tensor.ndim - 1))

    def split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Return the rows of each network."""
        return tensor.chunk(self.number)

    def split_each(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return the rows of several tensors by network."""
        return [list(of_network) for of_network in zip(*map(self.split, tensors), strict=True)]

    def weight_gradients(self, network: nn.Module, records: Sequence[BackwardRecord]) -> list[list[WeightGradient]]:
        """Return ∂loss/∂W of each network's weights from the recorded calls; see `by_network`."""
        gradients = [call.weight_gradients(grad_output, self.number) for call, grad_output, _ in records]
        return self.by_network(network, [record.call.weight for record in records], gradients)

    def by_network(
        self, network: nn.Module, used: Sequence[Tensor], gradients: Sequence[Tensor]
    ) -> list[list[WeightGradient]]:
        """Return gradients of each network's weights, those that its loss depends on, from those of weights as used.

        Args:
            network: working copy of `network`.
            used: weights of the calls, computed from parameters.
            gradients: ∂/∂W by weight in `used`, (K, *weight shape).
        """
        weights = self.together.weights(network)
        gathered = gather(weights, used, gradients, self.number)
        found = [
            (name, weight.detach(), gradient)
            for name, weight, gradient in zip(self.together.weight_names, weights, gathered, strict=True)
            if gradient is not None
        ]
        names = [frozenset(member.weight_names) for member in self.members]
        return [
            [WeightGradient(weight, gradient[k]) for name, weight, gradient in found if name in names[k]]
            for k in range(self.number)
        ]

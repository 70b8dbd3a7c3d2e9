"""Memory that runs out on purpose: the GPU's, or on the CPU a stand-in that counts what PyTorch allocates."""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak(work: Callable[[], Any], device: str) -> int:
    """The most bytes that tensors take up during `work`, on top of what there is before."""
    if device == "cpu":
        with _Ledger() as ledger:
            work()
        return ledger.peak
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


@contextmanager
def at_most(limit: int, device: str) -> Iterator[None]:
    """Let tensors take up no more than `limit` bytes on top of what there is."""
    if device == "cpu":
        with _Ledger(limit):
            yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + limit) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


class _Ledger(TorchDispatchMode):
    """Counts the bytes of the storages that operations make and that are still there."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.limit, self.peak, self._now = limit, 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                self._enter(tensor.untyped_storage())
        if self.limit is not None and self._now > self.limit:
            raise torch.OutOfMemoryError(f"CPU out of memory, as it were: {self._now} bytes of {self.limit}")
        return made

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self._now += storage.nbytes()
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._leave, key, storage.nbytes())

    def _leave(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size

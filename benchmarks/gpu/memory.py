"""Limits on memory: of the GPU, or on the CPU of the bytes that PyTorch allocates."""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak(work: Callable[[], Any], device: str) -> int:
    """Return the peak bytes of tensors during `work`, on top of those before."""
    if device == "cpu":
        with _Ledger() as ledger:
            work()
        return int(ledger.peak)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return int(torch.cuda.max_memory_allocated()) - int(before)


@contextmanager
def at_most(limit: int, device: str) -> Iterator[None]:
    """Limit tensors to `limit` bytes on top of those before."""
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


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Mode that counts the bytes of the live storages that operations allocate."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limit, self.peak, self._current = limit, 0, 0
        self._storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                self._enter(tensor.untyped_storage())
        if self.limit is not None and self._current > self.limit:
            raise torch.OutOfMemoryError(
                f"CPU out of memory by the limit of a test: {self._current} bytes of {self.limit}"
            )
        return output

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._storages:
            self._storages.add(key)
            self._current += storage.nbytes()
            self.peak = max(self.peak, self._current)
            weakref.finalize(storage, self._leave, key, storage.nbytes())

    def _leave(self, key: int, size: int) -> None:
        self._storages.discard(key)
        self._current -= size

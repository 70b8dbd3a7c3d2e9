"""Profile of a GPU: kernels, synchronisations, and the share of the time in which it computes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel")
SYNCHRONISATIONS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
COPIES = ("cudaMemcpy",)
READ = "aten::_local_scalar_dense"
"""Operation behind `Tensor.item` and `float(tensor)`, which on a GPU waits for all launched kernels."""
TOP = 5


class Event(NamedTuple):
    """Event from `start` to `end`, in microseconds."""

    name: str
    on_device: bool
    start: float
    end: float


@dataclass(frozen=True)
class Profile:
    """Counts of one run, and the share of the device.

    Attributes:
        seconds: time of a run without the profiler.
        launches: number of launched kernels.
        synchronisations: number of waits of the processor for the device.
        copies: number of copies between processor and device, and on the device.
        reads: number of single numbers read from a tensor.
        device_seconds: time in which the device was busy.
        kernels: seconds of the most expensive kernels, by name.
    """

    seconds: float
    launches: int
    synchronisations: int
    copies: int
    reads: int
    device_seconds: float
    kernels: dict[str, float]

    @property
    def share(self) -> float:
        """Share of the time in which the device was busy."""
        return self.device_seconds / self.seconds


def profiled(work: Callable[[], Any], device: str) -> Profile:
    """Profile a run, after a timed run without the profiler."""
    work()
    started = perf_counter()
    work()
    seconds = perf_counter() - started
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as profiler:
        work()
        if device == "cuda":
            torch.cuda.synchronize()
    return summary(seconds, (_event(event) for event in profiler.events()))


def _event(event: Any) -> Event:
    on_device = event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
    return Event(event.name, on_device, event.time_range.start, event.time_range.end)


def summary(seconds: float, events: Iterable[Event]) -> Profile:
    """Summary of the events of a run that took `seconds`."""
    events = list(events)
    called = Counter(event.name for event in events if not event.on_device)
    device = [event for event in events if event.on_device]
    kernels = defaultdict[str, float](float)
    for event in device:
        kernels[event.name] += 1e-6 * (event.end - event.start)

    def calls(of: tuple[str, ...]) -> int:
        return sum(number for name, number in called.items() if name.startswith(of))

    return Profile(
        seconds,
        calls(LAUNCHES),
        calls(SYNCHRONISATIONS),
        calls(COPIES),
        called[READ],
        1e-6 * _covered([(event.start, event.end) for event in device]),
        dict(sorted(kernels.items(), key=lambda item: -item[1])[:TOP]),
    )


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total

"""Memory and energy of a training, where the machine reports them."""

import importlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

PROCESS = Path("/proc/self")
POWERCAP = Path("/sys/class/powercap")
RESET_PEAK = "5"
"""Value for `clear_refs` that resets the peak of the resident memory (proc_pid_clear_refs(5))."""


class Meter:
    """Peak memory and energy of an epoch on a device.

    Args:
        device: device of the training.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._energy_counter = _gpu_counter(device) if device.type == "cuda" else _rapl_counter(POWERCAP)
        self._is_peak_reset = False
        self._energy_before: float | None = None

    def start(self) -> None:
        """Begin a measurement."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._is_peak_reset = _reset_peak()
        self._energy_before = self._energy_counter()

    def peak_memory(self) -> int | None:
        """Largest memory in bytes since the start; None if the machine does not report it."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        return _peak_resident() if self._is_peak_reset else None

    def energy(self) -> float | None:
        """Energy in joules since the start, of the whole GPU or processor; None if the machine does not report it."""
        now = self._energy_counter()
        if now is None or self._energy_before is None or now < self._energy_before:  # RAPL counters wrap around
            return None
        return now - self._energy_before


def _reset_peak() -> bool:
    try:
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def _peak_resident() -> int | None:
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB$", (PROCESS / "status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None


def _rapl_counter(folder: Path) -> Callable[[], float | None]:
    """Function that returns the energy counters of all processor packages, in joules, where they can be read."""
    files = [zone / "energy_uj" for zone in folder.glob("intel-rapl:*") if zone.name.count(":") == 1]

    def counter() -> float | None:
        try:
            return sum(int(file.read_text()) for file in files) / 1e6 if files else None
        except (OSError, ValueError):
            return None

    return counter


def _gpu_counter(device: torch.device) -> Callable[[], float | None]:
    """Function that returns the energy counter of a GPU, in joules, where `pynvml` is installed and the GPU has one."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # missing, no driver, a GPU without counter: each version of NVML has errors of its own
        return lambda: None
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3

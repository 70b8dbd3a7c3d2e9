"""Memory and energy of a training."""

from pathlib import Path

import pytest
import torch

from training import machine
from training.machine import Meter


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two processor packages, one of them with a part of its own."""
    for zone, energy in (("intel-rapl:0", 5_000_000), ("intel-rapl:0:0", 900), ("intel-rapl:1", 1_000_000)):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text(f"{energy}\n")
    monkeypatch.setattr(machine, "POWERCAP", tmp_path)
    return tmp_path


def test_energy_is_that_of_all_packages(powercap: Path) -> None:
    meter = Meter(torch.device("cpu"))
    meter.start()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    assert meter.energy() == 2.5


def test_energy_is_unknown_where_a_counter_wraps_or_is_missing(powercap: Path) -> None:
    meter = Meter(torch.device("cpu"))
    assert meter.energy() is None  # not started
    meter.start()
    (powercap / "intel-rapl:1" / "energy_uj").write_text("10\n")
    assert meter.energy() is None
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.energy() is None


def test_energy_is_unknown_without_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "POWERCAP", tmp_path)
    meter = Meter(torch.device("cpu"))
    meter.start()
    assert meter.energy() is None


def test_peak_memory_is_that_since_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clear_refs").touch()
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n")
    monkeypatch.setattr(machine, "PROCESS", tmp_path)
    meter = Meter(torch.device("cpu"))
    assert meter.peak_memory() is None  # not started
    meter.start()
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert meter.peak_memory() == 2048 * 1024


def test_peak_memory_is_unknown_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PROCESS", tmp_path / "missing")
    meter = Meter(torch.device("cpu"))
    meter.start()
    assert meter.peak_memory() is None

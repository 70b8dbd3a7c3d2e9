"""`archrank doctor`: what is wrong with a set-up, and what to do about it."""

from service.cli.doctor import machine, setting, working
from service.cli.doctor.base import Check, Finding, Report, Setup, examine

CHECKS: tuple[Check, ...] = (
    machine.python,
    machine.packages,
    machine.gpu,
    machine.clock,
    machine.open_files,
    machine.temporary_files,
    setting.settings,
    setting.unknown_settings,
    setting.cores,
    setting.memory,
    setting.data_dir,
    setting.disk,
    setting.port,
    working.store,
    working.keys,
    working.ensembles,
    working.proxies,
    working.scoring,
)
"""In the order in which they are shown."""

__all__ = ["CHECKS", "Check", "Finding", "Report", "Setup", "examine"]

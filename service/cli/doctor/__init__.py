"""`archrank doctor`: checks of an installation, with advice on how to fix what they find."""

from service.cli.doctor import components, configuration, machine
from service.cli.doctor.report import Check, Finding, Installation, Report, run_checks

CHECKS: tuple[Check, ...] = (
    machine.python,
    machine.packages,
    machine.gpu,
    machine.clock,
    machine.open_files,
    machine.temporary_files,
    configuration.settings,
    configuration.unknown_settings,
    configuration.cores,
    configuration.memory,
    configuration.data_dir,
    configuration.disk,
    configuration.port,
    components.store,
    components.keys,
    components.ensembles,
    components.proxies,
    components.scoring,
)
"""All checks, in the order of the report."""

__all__ = ["CHECKS", "Check", "Finding", "Installation", "Report", "run_checks"]

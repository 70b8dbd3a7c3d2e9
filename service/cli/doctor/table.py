"""A report for people."""

from rich import box
from rich.table import Table
from rich.text import Text

from service.cli.doctor.base import Report

COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "dim"}


def findings(report: Report) -> Table:
    """What was checked, what was found, and what to do."""
    table = Table("check", "", "found, and what to do", box=box.SIMPLE_HEAD)
    for one in report.findings:
        said = one.found if one.advice is None else f"{one.found}\n→ {one.advice}"
        table.add_row(one.check, Text(one.status, COLOURS[one.status]), Text(said))
    return table

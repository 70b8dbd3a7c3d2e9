"""Report of `archrank doctor` as a table."""

from rich import box
from rich.table import Table
from rich.text import Text

from service.cli.doctor.report import Report

COLORS = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "dim"}


def findings(report: Report) -> Table:
    """Return the findings, one a row, with the advice below the message."""
    table = Table("check", "", "finding and advice", box=box.SIMPLE_HEAD)
    for finding in report.findings:
        text = finding.message if finding.advice is None else f"{finding.message}\n→ {finding.advice}"
        table.add_row(finding.check, Text(finding.status, COLORS[finding.status]), Text(text))
    return table

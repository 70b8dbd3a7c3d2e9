"""Report on a benchmark: one HTML page and a CSV file for each of its tables.

Requires the `report` extra: importing this package without it raises `MissingExtraError`.
"""

from common.extras import require_extra

require_extra("report", "matplotlib", "jinja2")

from ensemble.report.sources import load_epochs, published_seconds, score_seconds  # noqa: E402
from ensemble.report.writer import check_report_folder, write_report  # noqa: E402

__all__ = ["check_report_folder", "load_epochs", "published_seconds", "score_seconds", "write_report"]

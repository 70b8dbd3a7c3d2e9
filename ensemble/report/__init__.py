"""A benchmark's report: one page with the tables and figures of the study, from published scores and from ours."""

from ensemble.report.sources import load_epochs, published_seconds, score_seconds
from ensemble.report.write import check_report_folder, write_report

__all__ = ["check_report_folder", "load_epochs", "published_seconds", "score_seconds", "write_report"]

"""A run's report: one HTML file that needs nothing else, on paper or in the dark."""

from .report import report_html, write_report

__all__ = ["report_html", "write_report"]

"""The packages that the page is made with; those of an extra, so that a CI job may go without."""

from __future__ import annotations

EXTRA = "report"
PACKAGES = ("jinja2", "vl_convert")
"""By their import names."""

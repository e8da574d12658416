"""`--qeval-open`: show the page in a browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from pytest_qeval.report.files import PAGE

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def open_page(folder: Path) -> str:
    """Open the page of a run, and return a line that says so; without a display, one that says where the page is."""
    page = (folder / PAGE).resolve()
    if not page.exists():
        return f"there is no {page} to open: a self-test has no page"
    has_display = sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in _DISPLAYS)
    if has_display and webbrowser.open(page.as_uri()):
        return f"opened {page}"
    return f"no display to open it on: {page}"

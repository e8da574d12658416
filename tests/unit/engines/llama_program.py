"""An executable that is called and started like llama-server."""

from __future__ import annotations

import sys
from pathlib import Path

_FAKE = Path(__file__).parents[2] / "fake_llama_server.py"


def write_program(folder: Path) -> Path:
    """Write the program into a folder, and return its path."""
    path = folder / "llama-server"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{_FAKE}" "$@"\n')
    path.chmod(0o755)
    return path

"""Paths of saved baselines."""

from __future__ import annotations

from pathlib import Path

_MAGIC = b"\x1f\x8b"
"""First bytes of a gzip file."""


def is_baseline_file(path: Path) -> bool:
    """Return whether a path names a saved baseline: by its ending `.json.gz`, or by its content."""
    if path.name.endswith(".json.gz"):
        return True
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def cache_folder() -> Path:
    """Return the folder of cached baselines under the user's cache folder."""
    import platformdirs  # noqa: PLC0415 - only for active sessions

    return platformdirs.user_cache_path("pytest-qeval") / "baselines"

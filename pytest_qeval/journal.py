"""`records.jsonl`: one line per message, flushed at once, so that a crash loses at most the case in flight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from pytest_qeval.schema import Json

__all__ = ["Journal"]


class Journal:
    """Appends JSON lines; an earlier journal of the same name is kept beside it as `records.jsonl.bak`."""

    def __init__(self, path: Path) -> None:
        """Make the folder and an empty file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.bak"))
        self._file: IO[str] = path.open("w", encoding="utf-8")

    def write(self, message: Json) -> None:
        """Append one line and hand it to the operating system."""
        self._file.write(json.dumps(message, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; calling it twice is fine."""
        self._file.close()

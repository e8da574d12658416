"""Guard against pytest taking the model's directory for the project's.

pytest looks for its rootdir before it knows any plugin's options, and takes every existing path among the arguments for
a test path. `--qeval-model DIR` in two words may therefore hide the project's own ini file, with its gates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_qeval.errors import UsageError

_INI_FILES = {
    "pytest.toml": r"^\[pytest\]",
    "pytest.ini": r"",
    ".pytest.ini": r"",
    "pyproject.toml": r"^\[tool\.pytest",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}
"""Names and what they must contain to be pytest's."""


def check_rootdir(inipath: Path | None, start: Path) -> None:
    """Refuse to go on without the ini file of the project at `start`.

    Args:
        inipath: the ini file that pytest has read.
        start: where pytest was started.

    Raises:
        UsageError: naming the file that was not read, and how to write the option.
    """
    above = (start, *start.parents)
    if inipath is not None and inipath.parent in above:
        return
    lost = next(_ini_files(above), None)
    if lost is not None:
        raise UsageError(
            f"pytest took a path among the options for its rootdir and did not read {lost}. "
            "Write path options with an equals sign, such as --qeval-model=DIR."
        )


def _ini_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for name, section in _INI_FILES.items():
            path = folder / name
            if path.is_file() and re.search(section, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
                yield path

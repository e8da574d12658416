"""A disk that is full, without filling one: the system refuses what would make any file longer than a limit."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFTEST = f"""
import sys
from pathlib import Path
import pytest
sys.path.append({str(Path(__file__).parents[1])!r})
from tests.full_disk import limit_files

class FullDisk:
    ended = 0

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        self.ended += report.when == "call"
        if self.ended == 4:
            limit_files(Path("out", "records.jsonl").stat().st_size + 10)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FullDisk())

def pytest_unconfigure():
    limit_files(None)
"""
"""Of a project whose disk is full after four tests that write to `out`; what ends a run must find it still full."""


def limit_files(n_bytes: int | None) -> None:
    """Refuse to make any file of this process longer than so many bytes; as on a full disk, a part is written.

    The error is another one than a full disk's ("File too large"). None lifts the limit.
    """
    sys.dont_write_bytecode = True  # Python takes no notice of a part, which would be left behind
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most if n_bytes is None else n_bytes, most))


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Limit the length of files, see `limit_files`, inside of the context."""
    limit_files(n_bytes)
    try:
        yield
    finally:
        limit_files(None)

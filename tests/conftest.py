"""How the project's own tests are run; the suites of the checkout, which users run, know nothing of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def frugal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the many processes that tests start from wasting time: one thread each, and bytecode that they share.

    The embedded model is too small for a second thread, which only waits, and on a busy machine takes a core to do so.
    Where Python is told to write no bytecode, as it is in container images, every process would compile the plugin and
    all of pytest's plugins anew, which takes longer than most sessions; a folder of this test session leaves no file
    where none is wanted. The workers of pytest-xdist share one, in the folder that theirs lie in.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))
        yield

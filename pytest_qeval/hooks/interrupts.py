"""Ctrl-C and SIGTERM: the first one ends the run with a report, the next one ends the process at once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import pytest

from pytest_qeval.execution.cleanup import end_children

_PATIENCE_S = 1.0
"""For sandboxes to remove their files, and workers to end."""
_Handler = Callable[[int, FrameType | None], Any] | signal.Handlers
_DEFAULTS: Mapping[signal.Signals, _Handler] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


def _restore(number: int, handler: _Handler) -> None:
    signal.signal(number, handler)


class Interrupts:
    """Handlers of SIGINT and SIGTERM while a session is active.

    pytest knows the first one as `KeyboardInterrupt`, by which it writes its reports and ends with status 2. SIGTERM,
    which CI runners send, would else end the process without a word.
    """

    def __init__(self) -> None:
        """Install nothing yet."""
        self._is_ending = False
        self._clean_ups: list[Callable[[], object]] = []

    def install(self, config: pytest.Config) -> None:
        """Install the handlers until the session ends, where nobody else has installed any."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, default in _DEFAULTS.items():
            if signal.getsignal(number) is default:
                signal.signal(number, self._on_signal)
                config.add_cleanup(partial(_restore, number, default))

    def end_with_parent(self) -> None:
        """End this worker at once when its controller is gone, even by SIGKILL; only Linux tells."""
        if sys.platform == "linux" and threading.current_thread() is threading.main_thread():
            from pytest_qeval.execution.linux import set_death_signal  # noqa: PLC0415 - for Linux alone

            signal.signal(signal.SIGTERM, self._on_orphaned)
            set_death_signal(signal.SIGTERM)

    def add_clean_up(self, clean_up: Callable[[], object]) -> None:
        """Call this before the process is ended at once."""
        self._clean_ups.append(clean_up)

    def begin_end(self) -> None:
        """Take note that the session ends: from now on Ctrl-C ends the process at once."""
        self._is_ending = True

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._is_ending:
            self._is_ending = True
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            self._end_at_once()

    def _on_orphaned(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self._end_at_once()

    def _end_at_once(self) -> NoReturn:
        """End this process and all that it has started; what is on the disk is enough to resume the run."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_children(_PATIENCE_S)
        for clean_up in self._clean_ups:
            with suppress(Exception):
                clean_up()
        os._exit(int(pytest.ExitCode.INTERRUPTED))


def end_with_controller(folder: str) -> None:
    """Let this worker end when its controller is gone, even by SIGKILL, with the folder that workers share.

    Nobody else is left to remove it then.
    """
    controller, interrupts = os.getppid(), Interrupts()

    def remove_folder() -> None:
        if os.getppid() != controller:  # else this worker alone was told to end
            shutil.rmtree(folder, ignore_errors=True)

    interrupts.add_clean_up(remove_folder)
    interrupts.end_with_parent()

"""One `llama-server`: started on a free port, stopped whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pytest_qeval.errors import EngineError, UsageError

PROGRAM = "llama-server"
_LOADING_S = 600.0
_STOPPING_S = 10.0
_POLL_S = 0.1
_TAIL = 3
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine, whatever proxy the environment names."""
_WATCHED = """
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
(cat <&3 >/dev/null; kill "$server" 2>/dev/null) &
wait "$server"
"""
"""Runs a program until it ends or the standard input does, as it also does when pytest is killed."""


def find_program(named: Path | None) -> Path:
    """Return the program: the one that is named, or the one in `PATH`.

    Raises:
        UsageError: when there is none.
    """
    found = shutil.which(str(named or PROGRAM))
    if found is None:
        where = f"{named} is no program" if named else f"{PROGRAM} is not in PATH"
        raise UsageError(
            f"--qeval-engine llamacpp: {where}. Install llama.cpp, or name its program by --qeval-llama-server FILE."
        )
    return Path(found)


class LlamaServer:
    """A running server."""

    def __init__(
        self,
        program: Path,
        model: Path,
        *,
        slots: int,
        context_tokens: int,
        threads: int | None,
        log: Path | None,
        arguments: Sequence[str] = (),
    ) -> None:
        """Start it, and wait until the model is loaded.

        Args:
            program: llama-server.
            model: A GGUF file.
            slots: Requests that it works on at a time.
            context_tokens: Of each slot, prompt and completion together.
            threads: None leaves that to llama.cpp.
            log: Where its output goes; None drops it with the server.
            arguments: More of its arguments.

        Raises:
            EngineError: when it does not come up, with the last lines of its output.
        """
        self._port = _free_port()
        self._log: IO[bytes] = log.open("ab+") if log else tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        command = [
            *(str(program), "--model", str(model), "--alias", model.stem),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            *("--parallel", str(slots), "--ctx-size", str(slots * context_tokens)),
            *(("--threads", str(threads)) if threads else ()),
            *arguments,
        ]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHED, PROGRAM, *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which stops the server at its end
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint(self) -> str:
        """Base address of its interface."""
        return f"http://127.0.0.1:{self._port}/v1"

    def stop(self) -> None:
        """Stop it, by force if it does not end by itself; calling it twice is fine."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(_STOPPING_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + _LOADING_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise EngineError(f"llama-server ended with status {self._process.returncode}: {self._last_lines()}")
            with contextlib.suppress(OSError):  # not listening yet, or still loading (HTTP 503)
                _OPENER.open(f"http://127.0.0.1:{self._port}/health", timeout=5).close()
                return
            time.sleep(_POLL_S)
        raise EngineError(f"llama-server has not loaded the model within {_LOADING_S:.0f} s: {self._last_lines()}")

    def _last_lines(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-_TAIL:]) or "it has written nothing"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

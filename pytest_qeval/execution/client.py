"""The plugin's end of one worker process: start it, have it judge one program at a time, end it without a trace."""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.cgroup import ControlGroup, NoControlGroupError, make_control_group
from pytest_qeval.execution.channel import LIMITS, Channel
from pytest_qeval.execution.cleanup import remove_contents
from pytest_qeval.execution.confinement import NAMESPACED
from pytest_qeval.execution.judge import Request
from pytest_qeval.execution.launch import worker_command, worker_environment, worker_profile
from pytest_qeval.execution.limits import LONGEST_S, MAX_EXTENSION, MOST_BYTES
from pytest_qeval.execution.outcome import WorkerReport, interpret
from pytest_qeval.schema import Execution, Language, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName

# After the start or the last report: a program may have left very many files to remove.
_READY_TIMEOUT_S = 120.0
# A worker reports timeouts itself; one that is later than this hangs.
_GRACE_S = 15.0
_END_TIMEOUT_S = 3.0
_NONCE_BYTES = 16
_BLOCK_BYTES = 2**18
_LONGEST_REPLY_BYTES = 2**20


class WorkerLostError(Exception):
    """A worker did not start, died, hung, or sent an invalid message."""


class WorkerClient:
    """One worker process, used by one thread; the worker dies when that thread ends."""

    def __init__(self, isolation: IsolationName, settings: ExecutionSettings, language: Language = "python") -> None:
        """Start the worker and wait until it is ready for programs in a language.

        Raises:
            WorkerLostError: with the last line that the worker printed.
        """
        self._settings = settings
        self._is_ready = True
        self._control, theirs = socket.socketpair()
        self._scratch = "" if isolation in NAMESPACED else tempfile.mkdtemp(prefix="pytest-qeval-")
        self._group = _control_group()
        with theirs, tempfile.TemporaryFile() as messages:
            try:
                command = worker_command(worker_profile(isolation, settings, self._scratch, language))
                self._process = subprocess.Popen(
                    [*(self._group.command() if self._group else ()), *command],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=messages,
                    env=worker_environment(),
                    cwd="/",
                    start_new_session=True,  # Ctrl-C must reach the plugin only
                )
            except OSError as error:
                self._clean_up()
                raise WorkerLostError(str(error)) from error
            theirs.close()  # otherwise ours never reaches the end of the stream
            try:
                self.abilities: dict[str, bool] = self._receive(_READY_TIMEOUT_S)[1]
            except WorkerLostError as error:
                self.close()
                messages.seek(0)
                lines = messages.read().decode(errors="replace").strip().splitlines()
                raise WorkerLostError(lines[-1] if lines else str(error)) from None

    def run(self, program: Program) -> Execution:
        """Have the program judged.

        Raises:
            WorkerLostError: when the worker has to be replaced.
        """
        if not self._is_ready:
            self._receive(_READY_TIMEOUT_S)
        self._is_ready = False
        settings = self._settings_of(program)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        request = Channel.frame(nonce, *_request(program, settings))
        if self._group:
            self._group.bound_memory(settings.memory_bytes)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._send_job(theirs, settings)
            longest_s = MAX_EXTENSION * settings.timeout_s + _GRACE_S
            ours.settimeout(longest_s)
            with contextlib.suppress(OSError):  # the judge died; the report says how
                ours.sendall(request)
            reply = self._read_until_report(ours, longest_s)
            report = WorkerReport(*self._receive(longest_s))
            ours.setblocking(False)  # noqa: FBT003 - every process that could write is dead
            reply += _read_rest(ours)
            return interpret(report, _values_of(reply), nonce, settings)

    def _settings_of(self, program: Program) -> ExecutionSettings:
        """Return the session's settings with the program's own limits."""
        settings = self._settings
        if program.timeout_s is not None:
            settings = replace(settings, timeout_s=min(program.timeout_s, max(settings.timeout_s, LONGEST_S)))
        if program.memory_bytes is not None:
            most_bytes = max(settings.memory_bytes, MOST_BYTES)
            settings = replace(settings, memory_bytes=min(program.memory_bytes, most_bytes))
        return settings

    def hang_up(self) -> None:
        """Close the connection from any thread: the worker ends, and `run` raises `WorkerLostError`."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the worker and whatever runs inside it."""
        self.hang_up()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._clean_up()

    def _clean_up(self) -> None:
        self._control.close()
        if self._group:
            self._group.remove()
        if self._scratch and Path(self._scratch).is_dir():  # a killed worker could not remove it
            remove_contents(self._scratch)
            Path(self._scratch).rmdir()

    def _read_until_report(self, ours: socket.socket, longest_s: float) -> bytes:
        """Return what a judge sends before the worker reports: a socket may hold less than its reply."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(ours, select.POLLIN)
        reply = bytearray()
        deadline = time.monotonic() + longest_s
        while True:
            ready = {fd for fd, _ in poll.poll(1000 * max(0.0, deadline - time.monotonic()))}
            if not ready:
                raise WorkerLostError(f"the worker did not reply within {longest_s:g} s")
            if self._control.fileno() in ready:
                return bytes(reply)
            if ours.fileno() in ready:
                with contextlib.suppress(ConnectionResetError):
                    reply += (block := ours.recv(_BLOCK_BYTES))
                    if block and len(reply) <= _LONGEST_REPLY_BYTES:
                        continue
                poll.unregister(ours)  # it has ended, or says more than any judge

    def _send_job(self, sock: socket.socket, settings: ExecutionSettings) -> None:
        limits = LIMITS.pack(settings.timeout_s, settings.memory_bytes)
        try:
            socket.send_fds(self._control, [limits], [sock.fileno()])
        except OSError as error:
            raise WorkerLostError(str(error)) from error

    def _receive(self, timeout_s: float) -> tuple[Any, ...]:
        self._control.settimeout(timeout_s)
        try:
            return Channel(self._control).receive()
        except TimeoutError:
            raise WorkerLostError(f"the worker did not reply within {timeout_s:g} s") from None
        except (EOFError, OSError, CodecError) as error:
            raise WorkerLostError(f"the worker ended: {error}") from error


def _request(program: Program, settings: ExecutionSettings) -> Request:
    return Request(
        prelude=program.prelude if program.language == "python" else "",  # the test is Python
        code=program.code,
        test=program.test,
        entry_point=program.entry_point,
        timeout_s=settings.timeout_s,
        memory_bytes=settings.memory_bytes,
        is_reference=program.is_reference,
        expected=program.expected,
    )


def _control_group() -> ControlGroup | None:
    """Return a cgroup for a worker; None where there is none to be had."""
    if sys.platform != "linux":
        return None
    try:
        return make_control_group()
    except NoControlGroupError:
        return None


def _read_rest(sock: socket.socket) -> bytes:
    """Return what lies in the socket of a judge that has ended."""
    rest = bytearray()
    with contextlib.suppress(OSError):
        while len(rest) <= _LONGEST_REPLY_BYTES and (block := sock.recv(_BLOCK_BYTES)):
            rest += block
    return bytes(rest)


def _values_of(reply: bytes) -> tuple[Any, ...] | None:
    """Return the values of a judge's reply; None when it sent none."""
    try:
        return Channel.unframe(reply)
    except EOFError:
        return None
    except CodecError as error:
        return (b"", "tampered", str(error))

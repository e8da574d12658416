"""A pool of sandboxes: programs in, executions out, whatever the programs do."""

from __future__ import annotations

import queue
import threading
import weakref
from concurrent.futures import Future

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.client import WorkerClient, WorkerLostError
from pytest_qeval.execution.isolation import choose_isolation
from pytest_qeval.schema import Execution, Language, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName

_ATTEMPTS = 2
_Job = tuple[Program, "Future[Execution]"]


class SandboxPool:
    """Executes programs in `settings.workers` sandboxes at a time.

    Workers start with the first programs. Use it as a context manager, or call `close`. A forgotten pool is closed when
    it is garbage-collected or Python ends, and its processes die with this one, however that ends.
    """

    def __init__(self, settings: ExecutionSettings, *, isolation: IsolationName | None = None) -> None:
        """Choose the isolation, unless `isolation` is what `choose_isolation` found for these settings.

        Raises:
            SandboxError: when programs cannot be executed as safely as the settings require.
        """
        self.isolation: IsolationName = isolation or choose_isolation(settings.isolation)
        """The isolation in use: `bwrap`, `namespace` or `process`."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lanes = [_Lane(self.isolation, settings, self._jobs) for _ in range(max(1, settings.workers))]
        self._started = 0
        self._starting = threading.Lock()
        self._close = weakref.finalize(self, _close, self._lanes, self._jobs)

    def submit(self, program: Program) -> Future[Execution]:
        """Execute `program` as soon as a sandbox is free.

        The future raises `SandboxError` when the harness, not the program, is at fault.
        """
        if not self._close.alive:
            raise SandboxError("The pool of sandboxes is closed.")
        with self._starting:  # sandbox threads submit programs, too
            if self._started < len(self._lanes):
                self._lanes[self._started].start()
                self._started += 1
        future: Future[Execution] = Future()
        self._jobs.put((program, future))
        return future

    def close(self) -> None:
        """Kill everything; programs that are running or waiting fail with `SandboxError`."""
        self._close()

    def __enter__(self) -> SandboxPool:  # noqa: PYI034 - typing.Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(lanes: list[_Lane], jobs: queue.SimpleQueue[_Job | None]) -> None:
    for lane in lanes:
        lane.stop()
        jobs.put(None)
    for lane in lanes:
        if lane.is_alive():
            lane.join()
    while not jobs.empty():
        _refuse(jobs.get())


def _refuse(job: _Job | None) -> None:
    """Fail a program that did not run before the pool was closed."""
    if job is not None and job[1].set_running_or_notify_cancel():
        job[1].set_exception(SandboxError("The pool of sandboxes was closed before this program ran."))


class _Lane(threading.Thread):
    """One worker for each language that is asked for, and the thread that owns them."""

    def __init__(
        self, isolation: IsolationName, settings: ExecutionSettings, jobs: queue.SimpleQueue[_Job | None]
    ) -> None:
        super().__init__(name="qeval-sandbox", daemon=True)
        self.isolation = isolation
        self.settings = settings
        self.jobs = jobs
        self.stopped = threading.Event()
        self.clients: dict[Language, WorkerClient] = {}

    def run(self) -> None:
        """Execute programs until the pool is closed."""
        try:
            while (job := self.jobs.get()) is not None and not self.stopped.is_set():
                program, future = job
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(self._execute(program))
                    except Exception as error:  # noqa: BLE001 - raised again by the future's `result`
                        future.set_exception(error)
            _refuse(job)
        finally:
            for language in list(self.clients):
                self._end_worker(language)

    def stop(self) -> None:
        """Interrupt the running program; called from another thread."""
        self.stopped.set()
        for client in list(self.clients.values()):
            client.hang_up()

    def _execute(self, program: Program) -> Execution:
        """Execute on a worker; replace a worker that dies and try once more."""
        reasons = []
        for _ in range(_ATTEMPTS):
            client = self.clients.get(program.language) or self._start_worker(program.language)
            if self.stopped.is_set():  # checked after the client is set: `stop` either sees it or is seen here
                break
            try:
                return client.run(program)
            except WorkerLostError as error:
                reasons.append(str(error))
                self._end_worker(program.language)
        if self.stopped.is_set():
            raise SandboxError("The pool of sandboxes was closed while this program ran.")
        raise SandboxError(f"The sandbox died {_ATTEMPTS} times on one program: {'; '.join(reasons)}")

    def _start_worker(self, language: Language) -> WorkerClient:
        """Start a worker; try once more, as a busy machine may be too slow.

        Raises:
            SandboxError: when none starts, as where the sandbox has been uninstalled meanwhile, or the disk is full.
        """
        for _ in range(_ATTEMPTS):
            try:
                client = self.clients[language] = WorkerClient(self.isolation, self.settings, language)
            except (WorkerLostError, OSError) as error:  # noqa: PERF203 - twice at most
                reason = str(error)
            else:
                return client
        raise SandboxError(
            f"No sandbox ({self.isolation}) can be started: {reason}. Put that right, then go on by --qeval-resume: "
            "finished cases are kept."
        )

    def _end_worker(self, language: Language) -> None:
        client = self.clients.pop(language, None)
        if client is not None:
            client.close()

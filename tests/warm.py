"""Pytest from a process that is warm: it has imported what takes long, and every run is a fork of it.

Half of the time of a run of the embedded model goes into importing torch and transformers, so tests that start hundreds
of runs import them once. Nothing of pytest-qeval and no plugin of pytest is imported ahead: a run begins like
`python -m pytest`, with the arguments, folder, environment, process group and standard streams of the command that asks
for it.
The workers of pytest-xdist are started the same way, as `python -u -c CODE`.

    python warm.py serve KIND LISTENER      what is forked, until its standard input ends; KIND is `light` or `model`,
                                            LISTENER the number of a file descriptor
    python warm.py SOCKET ARGUMENTS...      `python -m pytest ARGUMENTS...` by the server that listens at SOCKET
    python warm.py SOCKET -u -c CODE        `python -u -c CODE` by the same
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

_LIGHT = ("numpy", "scipy.stats", "pytest", "requests")
IMPORTED = {
    "light": _LIGHT,
    "model": (  # what `pytest_qeval.engines` needs of transformers, which itself imports lazily
        *_LIGHT,
        "torch",
        "transformers.conversion_mapping",
        "transformers.integrations.sdpa_attention",
        "transformers.masking_utils",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.tokenization_auto",
        "transformers.models.llama.modeling_llama",
    ),
}
WITHOUT = tuple(
    f"-pno:{name}" for name in ("cacheprovider", "hypothesispytest", "anyio", "randomly", "repeat", "rerunfailures")
)
"""Plugins of the development tools, which runs of tests have only where they ask for them."""
EMPTY_PLOT = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_LONGEST_REQUEST = 1 << 20
_LONGEST_REPLY = 16
_STREAMS = 3


def ask(address: str, arguments: list[str]) -> int:
    """Let a server run Python with these arguments and with what this process has; return its exit status."""
    request = {
        "arguments": arguments,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "group": os.getpgrp(),
        "interrupted": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    }
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the fork, which is in the same group
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        socket.send_fds(server, [json.dumps(request).encode()], list(range(_STREAMS)))
        return int(server.recv(_LONGEST_REPLY))


def serve(listener: socket.socket, kind: str) -> list[str]:
    """Fork for every request; in the fork, return the arguments that Python is to be run with."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        watched: list[Any] = [listener, sys.stdin, *running, *(client for _, client in running.values())]
        ready = select.select(watched, [], [])[0]
        if sys.stdin in ready:
            sys.exit()
        for end, (process, client) in list(running.items()):
            if end in ready or client in ready:
                del running[end]
                _finish(end, process, client, ended=end in ready)
        if listener in ready:
            client, _ = listener.accept()
            message, streams, _, _ = socket.recv_fds(client, _LONGEST_REQUEST, _STREAMS)
            _import(kind)  # with the first request: perhaps there is none
            process = os.fork()
            if process == 0:
                for end, (_, other) in running.items():
                    os.close(end)
                    other.close()
                client.close()
                listener.close()
                request = json.loads(message)
                _become(request["folder"], request["environment"], streams)
                os.setpgid(0, request["group"])
                signal.signal(signal.SIGINT, signal.default_int_handler if request["interrupted"] else signal.SIG_IGN)
                return list(request["arguments"])
            for stream in streams:
                os.close(stream)
            running[os.pidfd_open(process)] = process, client


def _import(kind: str) -> None:
    """Import once what all forks share, and keep their garbage collections from touching, and so copying, it."""
    for name in IMPORTED[kind]:
        importlib.import_module(name)
    _prepare_codecarbon()
    _replace_plots()
    # Packages with a plugin, such as anyio, which transformers imports: pytest warns of those that it cannot rewrite.
    with_plugin = {entry.module.partition(".")[0] for entry in entry_points(group="pytest11")}
    for name in [name for name in sys.modules if name.partition(".")[0] in with_plugin]:
        del sys.modules[name]
    gc.freeze()


def _prepare_codecarbon() -> None:
    """Import what codecarbon needs, and ask once what processor this is, for which py-cpuinfo starts a process.

    pandas would import pyarrow if it could, whose threads a fork does not survive.
    """
    with contextlib.suppress(ImportError):
        sys.modules["pyarrow"] = None  # type: ignore[assignment]
        try:
            importlib.import_module("pandas")
        finally:
            del sys.modules["pyarrow"]
    with contextlib.suppress(ImportError):
        cpuinfo: Any = importlib.import_module("cpuinfo")
        found = cpuinfo.get_cpu_info()
        cpuinfo.get_cpu_info = lambda: dict(found)


def _replace_plots() -> None:
    """Let plots be empty: every run writes its page, and starting the library that draws takes longer than most runs.

    Tests of the page draw in their own process.
    """
    if find_spec("vl_convert"):
        spec = spec_from_loader("vl_convert", loader=None)
        if spec is not None:
            empty: Any = module_from_spec(spec)
            empty.vegalite_to_svg = lambda *_, **__: EMPTY_PLOT
            sys.modules["vl_convert"] = empty


def _become(folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """Take over what the command had."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.pycache_prefix = environment.get("PYTHONPYCACHEPREFIX")
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def _finish(end: int, process: int, client: socket.socket, *, ended: bool) -> None:
    """Tell the client the exit status; end the process when the client is gone before."""
    if not ended:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    os.close(end)
    with client, contextlib.suppress(ConnectionError):  # pytest-xdist may kill a worker that is ending by itself
        client.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(arguments: list[str]) -> None:
    """Do what Python does with these arguments, and end without taking down module by module what the forks share.

    All that a program can ask for at its end is done: threads are waited for, and exit functions called.
    """
    status: object = 1
    try:
        if arguments[:2] == ["-u", "-c"]:
            sys.argv[:] = ["-c"]
            exec(arguments[2], {"__name__": "__main__"})  # noqa: S102 - execnet's own line
        else:
            sys.argv[1:] = arguments
            runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as Python itself does at the end
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(status or 0)))


if __name__ == "__main__":
    if sys.argv[1] != "serve":
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    asked = serve(socket.socket(fileno=int(sys.argv[3])), sys.argv[2])
    sys.path[0] = str(Path.cwd())
    _run(asked)

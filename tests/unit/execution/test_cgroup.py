"""Limits of a whole sandbox by a cgroup: a folder plays the file system, and the real one where it can be used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_qeval.execution import cgroup, client
from pytest_qeval.execution.cgroup import ControlGroup, NoControlGroupError, describe_limits, make_control_group
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return what stands for /proc/self/cgroup of a process in the cgroup /app/shell."""
    path = tmp_path / "own"
    path.write_text("12:cpu:/else\n0::/app/shell\n", encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return what stands for /sys/fs/cgroup."""
    path = tmp_path / "root"
    (path / "app" / "shell").mkdir(parents=True)
    (path / "cgroup.controllers").touch()
    return path


def _play_kernel(monkeypatch: pytest.MonkeyPatch, *allowing: Path) -> list[Path]:
    """Have the kernel make the files of new cgroups below some parents, and refuse others; return what was made."""
    made: list[Path] = []
    make = Path.mkdir

    def mkdir(path: Path, *args: object, **kwargs: object) -> None:
        if not path.name.startswith("pytest-qeval-"):
            make(path, *args, **kwargs)  # type: ignore[arg-type]
        elif path.parent not in allowing:
            raise PermissionError(13, "Permission denied")
        else:
            make(path)
            made.append(path)
            for name in ("memory.max", "memory.swap.max", "pids.max", "cgroup.procs", "cgroup.kill"):
                (path / name).touch()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    return made


def test_a_cgroup_is_made_beside_the_own_one(root: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the own one holds processes, it cannot have others inside: systemd's sessions allow a sibling."""
    made = _play_kernel(monkeypatch, root / "app")
    group = make_control_group(root=root, own=own)
    group.bound_memory(2**30)

    assert [path.parent for path in made] == [root / "app"]
    assert (made[0] / "memory.max").read_text() == str(2 * 2**30 + 256 * 2**20)
    assert (made[0] / "memory.swap.max").read_text() == "0"
    assert (made[0] / "pids.max").read_text() == "128"


def test_a_process_enters_before_it_becomes_the_worker(root: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing that it starts is outside."""
    made = _play_kernel(monkeypatch, root / "app" / "shell")
    group = make_control_group(root=root, own=own)
    done = subprocess.run([*group.command(), "echo", "a b", "c"], capture_output=True, text=True, check=True)

    assert done.stdout == "a b c\n"
    assert (made[0] / "cgroup.procs").read_text() == "0\n"


def test_without_permission_the_reason_is_said(root: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last parent that was tried is named."""
    _play_kernel(monkeypatch)
    with pytest.raises(NoControlGroupError, match=f"no cgroup can be made in {root / 'app'}: Permission denied"):
        make_control_group(root=root, own=own)


def test_a_cgroup_that_bounds_nothing_is_removed_again(root: Path, own: Path) -> None:
    """Controllers may be switched off for it."""
    with pytest.raises(NoControlGroupError, match="does not bound memory and pids"):
        make_control_group(root=root, own=own)
    assert list((root / "app").iterdir()) == [root / "app" / "shell"]


def test_a_machine_without_cgroups_is_a_reason(tmp_path: Path) -> None:
    """Neither the file system nor the file of the own one needs to exist."""
    with pytest.raises(NoControlGroupError, match="this system has no cgroup v2"):
        make_control_group(root=tmp_path, own=tmp_path / "own")


def test_the_limits_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the report."""

    def refuse() -> ControlGroup:
        raise NoControlGroupError("this system has no cgroup v2")

    monkeypatch.setattr(cgroup, "make_control_group", refuse)
    assert describe_limits() == "no cgroup: this system has no cgroup v2"
    monkeypatch.setattr("sys.platform", "darwin")
    assert describe_limits() == ""


def test_a_worker_runs_in_its_cgroup(root: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It enters, has its memory bounded with each program, and the cgroup is removed with it."""
    made = _play_kernel(monkeypatch, root / "app")
    removed = []
    monkeypatch.setattr(client, "make_control_group", lambda: make_control_group(root=root, own=own))
    monkeypatch.setattr(ControlGroup, "remove", lambda group: removed.append(group._path))
    worker = client.WorkerClient("process", ExecutionSettings(memory_bytes=2**29))
    program = Program(prelude="", code="def f(): return 1", test="def check(f): assert f() == 1", entry_point="f")
    execution = worker.run(program)
    worker.close()

    assert execution.status == "passed"
    assert (made[0] / "cgroup.procs").read_text() == "0\n"
    assert (made[0] / "memory.max").read_text() == str(2 * 2**29 + 256 * 2**20)
    assert removed == made


def test_removal_waits_for_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process is counted for a moment."""
    attempts = []
    group = ControlGroup(tmp_path)
    remove = Path.rmdir

    def rmdir(path: Path) -> None:
        attempts.append(path)
        if len(attempts) < 3:
            raise OSError(16, "Device or resource busy")
        for file in path.iterdir():
            file.unlink()
        remove(path)

    monkeypatch.setattr(Path, "rmdir", rmdir)
    group.remove()
    assert attempts == [tmp_path] * 3
    assert not tmp_path.exists()


def test_a_real_cgroup_bounds_memory_and_processes() -> None:
    """Where this user may make one."""
    try:
        group = make_control_group()
    except NoControlGroupError as error:
        pytest.skip(str(error))
    group.bound_memory(2**20)
    hungry = "import sys; x = b'x' * 2**30; print(len(x))"
    done = subprocess.run([*group.command(), "python3", "-c", hungry], capture_output=True, check=False)
    group.remove()
    assert done.returncode == -9

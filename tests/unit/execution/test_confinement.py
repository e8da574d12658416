"""What a confined process may still do, by the layers that this machine has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qeval.execution.confinement import Profile
from pytest_qeval.execution.launch import readable_paths
from pytest_qeval.execution.limits import ProgramLimits

Confined = tuple[dict[str, bool], list[str], str, str]

_CONFINE = """
import json, os, socket, sys
from dataclasses import asdict
from pytest_qeval.execution.confinement import Abilities, Profile, confine, prepare_file_rules

profile = Profile.from_json(sys.argv[1])
outside, hidden = sys.argv[2:]
abilities = Abilities.probe(profile.isolation)
confine(profile, abilities, prepare_file_rules(profile, abilities))

def fork():
    if os.fork() == 0:
        os._exit(0)

actions = {
    "write inside": lambda: open("file", "w").close(),
    "write outside": lambda: open(outside, "w").close(),
    "read a hidden file": lambda: open(hidden).close(),
    "fork": fork,
    "open a socket": socket.socket,
}
allowed = []
for name, action in actions.items():
    try:
        action()
    except OSError:
        continue
    allowed.append(name)
print(json.dumps([asdict(abilities), allowed, os.getcwd()]))
"""


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Confined:
    """Confine a process and return its abilities, the actions that succeeded, its directory and the scratch."""
    folder = tmp_path_factory.mktemp("confined").resolve()
    for name in ("scratch", "data", "data/hidden"):
        (folder / name).mkdir()
    secret = folder / "data" / "hidden" / "solutions"
    secret.touch()
    profile = Profile(
        isolation="process",
        scratch=str(folder / "scratch"),
        readable=(*readable_paths(), str(folder / "data")),
        hidden=(str(secret.parent),),
        import_paths=(),
        limits=ProgramLimits(timeout_s=5.0, memory_bytes=2**30),
    )
    assert Profile.from_json(profile.to_json()).limits == profile.limits
    command = [sys.executable, "-c", _CONFINE, profile.to_json(), str(folder / "data" / "new"), str(secret)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    abilities, allowed, directory = json.loads(done.stdout)
    return abilities, allowed, directory, profile.scratch


def test_the_temporary_directory_can_be_used(confined: Confined) -> None:
    """A confined process starts in it."""
    _, allowed, directory, scratch = confined
    assert "write inside" in allowed
    assert directory == scratch


def test_landlock_guards_files(confined: Confined) -> None:
    """Readable folders cannot be written, and hidden ones inside them cannot be read."""
    abilities, allowed, _, _ = confined
    if not abilities["landlock"]:
        pytest.skip("this kernel has no Landlock")
    assert not {"write outside", "read a hidden file"} & set(allowed)


_EXECUTE = """
import ctypes, os, sys
from pytest_qeval.execution import linux, seccomp

path = ctypes.create_string_buffer(os.fsencode(sys.executable))
linux.set_no_new_privileges()
seccomp.restrict_system_calls(os.getpid(), execute_at=ctypes.addressof(path))
try:
    os.execv(sys.executable, [sys.executable, "-c", "print('another address')"])
except PermissionError:
    print("refused", flush=True)
code = "import os, sys\\ntry:\\n os.execv(sys.executable, ['x'])\\nexcept PermissionError:\\n print('refused again')"
linux.execute(path, [sys.executable, "-I", "-c", code], os.environ)
"""


def test_one_program_may_be_executed_once(confined: Confined) -> None:
    """The filter knows the address of its path, which is another one after that."""
    if not confined[0]["system_call_filter"]:
        pytest.skip("this machine's system calls cannot be filtered")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _EXECUTE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["refused", "refused again"]


def test_the_filter_guards_processes_and_the_network(confined: Confined) -> None:
    """System calls that start a process or open a socket fail."""
    abilities, allowed, _, _ = confined
    if not abilities["system_call_filter"]:
        pytest.skip("this machine's system calls cannot be filtered")
    assert not {"fork", "open a socket"} & set(allowed)


_TRUNCATE = """
import os, sys
from pytest_qeval.execution import linux, seccomp

linux.set_no_new_privileges()
seccomp.restrict_system_calls(os.getpid(), deny_truncation=sys.argv[2] == "deny")
for name, action in (
    ("by path", lambda: os.truncate(sys.argv[1], 0)),
    ("by reading", lambda: os.open(sys.argv[1], os.O_RDONLY | os.O_TRUNC)),
    ("by writing", lambda: os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)),
):
    try:
        action()
        print(name)
    except PermissionError:
        pass
"""


@pytest.mark.parametrize(("mode", "allowed"), [("deny", ["by writing"]), ("allow", ["by path", "by writing"])])
def test_the_filter_guards_sizes_where_landlock_does_not(
    confined: Confined, tmp_path: Path, mode: str, allowed: list[str]
) -> None:
    """Landlock before version 3 lets a file be truncated by its path; nobody needs to empty a file that he reads."""
    if not confined[0]["system_call_filter"]:
        pytest.skip("this machine's system calls cannot be filtered")
    (tmp_path / "file").write_text("precious", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _TRUNCATE, str(tmp_path / "file"), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == allowed

"""Removal of processes and files where no namespace does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_qeval.execution.cleanup import remove_contents

_STRAYS = """
import os, time
from pytest_qeval.execution import linux
from pytest_qeval.execution.cleanup import kill_children
linux.set_child_subreaper()
ready, done = os.pipe()
if os.fork() == 0:
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
                os.write(done, str(os.getpid()).encode() + b" ")
                time.sleep(60)
            os._exit(0)
    time.sleep(60)
pids = b""
while pids.count(b" ") < 3:
    pids += os.read(ready, 100)
kill_children()
print([pid for pid in map(int, pids.split()) if os.path.exists(f"/proc/{pid}")])
"""


def test_daemons_are_killed_too() -> None:
    """A process that left its parent, group and session is still a descendant of the worker."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", _STRAYS], capture_output=True, text=True, check=True, timeout=30, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_any_tree_of_files_is_removed(tmp_path: Path) -> None:
    """Whatever its depth, permissions and links; the targets of links stay."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "dangling").symlink_to("nowhere")
    (inside / "a" / "b").mkdir(parents=True)
    (inside / "a" / "b" / "file").touch()
    (inside / "a" / "closed").mkdir(mode=0)
    (inside / "removed-1").touch()
    (inside / "a").chmod(0)
    here = Path.cwd()
    try:
        os.chdir(inside)
        for _ in range(300):  # 300 names of 20 letters are longer than any path may be
            Path("d" * 20).mkdir()
            os.chdir("d" * 20)
    finally:
        os.chdir(here)
    remove_contents(str(inside))
    assert list(inside.iterdir()) == []
    assert (outside / "kept").exists()

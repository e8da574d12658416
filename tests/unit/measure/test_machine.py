"""Limits of control groups, read from trees of files as Linux, containers and batch systems show them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from pytest_qeval.measure.machine import (
    available_memory_bytes,
    cpu_class,
    may_have_gpu,
    quota_cores,
    total_memory_bytes,
    usable_cores,
)

Tree = Callable[[Mapping[str, str]], Path]

GIB = 2**30
V2 = "30 25 0:26 {inside} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 25 0:27 {inside} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 25 0:28 {inside} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
)
OTHER = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Write files below a root that stands for `/`; the machine has 64 cores and 100 GiB, of which 90 are available."""
    memory = type("Memory", (), {"available": 90 * GIB, "total": 100 * GIB})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)

    def write(files: Mapping[str, str]) -> Path:
        for name, content in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return tmp_path

    return write


def v2(group: str, inside: str = "/", **files: str) -> dict[str, str]:
    """Return the files of a process in a group of version 2; `files` are below /sys/fs/cgroup."""
    return {
        "proc/self/cgroup": f"0::{group}\n",
        "proc/self/mountinfo": OTHER + V2.format(inside=inside),
        **{f"sys/fs/cgroup/{name}": content for name, content in files.items()},
    }


def v1(group: str, inside: str = "/", **files: str) -> dict[str, str]:
    return {
        "proc/self/cgroup": f"12:pids:/\n5:cpu,cpuacct:{group}\n4:memory:{group}\n1:name=systemd:/\n",
        "proc/self/mountinfo": OTHER + V1.format(inside=inside),
        **{f"sys/fs/cgroup/{name}": content for name, content in files.items()},
    }


def test_without_limits_the_machine_counts(tree: Tree) -> None:
    """As where there are no control groups at all."""
    unlimited = {"job/memory.max": "max\n", "job/memory.current": "5", "job/cpu.max": "max 100000\n"}
    for root in (tree({}), tree(v2("/job", **unlimited))):
        assert (available_memory_bytes(root), total_memory_bytes(root)) == (90 * GIB, 100 * GIB)
        assert (usable_cores(root), quota_cores(root)) == (64, None)


def test_a_group_limits_memory_and_cores(tree: Tree) -> None:
    """File pages count as used there, and are given up for others; cores are rounded up."""
    stat = f"anon {GIB}\nactive_file {GIB}\ninactive_file {2 * GIB}\nfile {4 * GIB}\n"
    files = {
        "memory.max": f"{8 * GIB}\n",
        "memory.current": f"{5 * GIB}\n",
        "memory.stat": stat,
        "cpu.max": "250000 100000",
    }
    root = tree(v2("/job", **{f"job/{name}": content for name, content in files.items()}))
    assert (available_memory_bytes(root), total_memory_bytes(root)) == ((8 - 5 + 3) * GIB, 8 * GIB)
    assert (usable_cores(root), quota_cores(root)) == (3, 3)


@pytest.mark.parametrize("limited", ["a", "a/b", "a/b/c"])
def test_every_group_above_limits_too(tree: Tree, limited: str) -> None:
    """The smallest limit counts, and what others in a group have used."""
    loose = {f"{name}/memory.max": f"{50 * GIB}" for name in ("a", "a/b", "a/b/c")}
    loose |= {f"{name}/cpu.max": "3200000 100000" for name in ("a", "a/b", "a/b/c")}
    tight = {
        f"{limited}/memory.max": f"{10 * GIB}",
        f"{limited}/memory.current": f"{4 * GIB}",
        f"{limited}/cpu.max": "100000 50000",
    }
    root = tree(v2("/a/b/c", **{**loose, **tight}))
    assert (available_memory_bytes(root), total_memory_bytes(root), usable_cores(root)) == (6 * GIB, 10 * GIB, 2)


def test_a_soft_limit_counts(tree: Tree) -> None:
    """Above `memory.high` a process is throttled until it hardly moves."""
    root = tree(
        v2("/job", **{"job/memory.max": "max", "job/memory.high": f"{6 * GIB}", "job/memory.current": f"{GIB}"})
    )
    assert available_memory_bytes(root) == 5 * GIB


def test_version_1_has_files_of_its_own(tree: Tree) -> None:
    """With the file pages of all groups below in fields of their own, and no quota as -1."""
    files = {
        "memory/job/memory.limit_in_bytes": f"{8 * GIB}",
        "memory/job/memory.usage_in_bytes": f"{6 * GIB}",
        "memory/job/memory.stat": f"active_file 7\ntotal_active_file {GIB}\ntotal_inactive_file {GIB}\n",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpu,cpuacct/job/cpu.cfs_quota_us": "50000",
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    root = tree(v1("/job", **files))
    assert (available_memory_bytes(root), total_memory_bytes(root), usable_cores(root)) == (4 * GIB, 8 * GIB, 1)


@pytest.mark.parametrize(
    ("group", "inside"),
    [("/docker/ab", "/docker/ab"), ("/docker/ab", "/elsewhere"), ("/../..", "/"), ("/", "/")],
    ids=["the host's path", "another path", "outside of its namespace", "its own root"],
)
def test_a_container_sees_its_own_group_as_the_root(tree: Tree, group: str, inside: str) -> None:
    """Whichever path /proc says that it has."""
    old = {"memory/memory.limit_in_bytes": f"{3 * GIB}", "cpu,cpuacct/cpu.cfs_quota_us": "400000"}
    old |= {"cpu,cpuacct/cpu.cfs_period_us": "100000"}
    new = {"memory.max": f"{3 * GIB}", "cpu.max": "400000 100000"}
    for files in (v2(group, inside, **new), v1(group, inside, **old)):
        root = tree(files)
        assert (available_memory_bytes(root), usable_cores(root)) == (3 * GIB, 4)


def test_both_versions_may_be_mounted(tree: Tree) -> None:
    """As systemd did for years: version 2 has no controllers then."""
    files = v1("/job", **{"memory/job/memory.limit_in_bytes": f"{2 * GIB}"})
    files["proc/self/cgroup"] += "0::/job\n"
    files["proc/self/mountinfo"] += V2.format(inside="/").replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    assert available_memory_bytes(tree(files)) == 2 * GIB


def test_affinity_limits_cores(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `taskset`, a cpuset or a batch system; the smaller of the two counts."""
    root = tree(v2("/job", **{"job/cpu.max": "800000 100000"}))
    assert usable_cores(root) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert usable_cores(root) == 2


def test_what_cannot_be_read_is_no_limit(tree: Tree) -> None:
    root = tree(
        {**v2("/job", **{"job/memory.max": "", "job/cpu.max": "what"}), "proc/self/cgroup": "nonsense\n0::/job"}
    )
    assert (available_memory_bytes(root), usable_cores(root)) == (90 * GIB, 64)


def test_more_used_than_allowed_leaves_nothing(tree: Tree) -> None:
    root = tree(v2("/job", **{"job/memory.max": "10", "job/memory.current": "11"}))
    assert available_memory_bytes(root) == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu sse2 avx2 avx512f avx512_bf16", "cpu (avx512_bf16)"),
        ("flags\t\t: fpu amx_bf16 avx2 avx512f avx512_bf16", "cpu (amx_bf16)"),
        ("Features\t: fp asimd bf16", "cpu (asimd)"),
        ("", f"cpu ({platform.machine()})"),
    ],
    ids=["avx512", "amx", "arm", "unknown"],
)
def test_a_cpu_is_known_by_its_instructions(tree: Tree, line: str, expected: str) -> None:
    assert cpu_class(tree({"proc/cpuinfo": f"processor\t: 0\nmodel name\t: some\n{line}\n"})) == expected


def test_a_gpu_is_known_by_its_device_file(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is asked only where there may be one."""
    monkeypatch.setattr(sys, "platform", "linux")
    assert not may_have_gpu(tree({}))
    assert may_have_gpu(tree({"dev/nvidiactl": ""}))

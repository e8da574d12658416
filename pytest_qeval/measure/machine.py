"""What this process may use of the machine: cores and memory, within the limits of its control groups.

A container or a batch job is given a part of the machine by Linux control groups (cgroups, versions 1 and 2). psutil
and torch see the whole machine: a model that seems to fit is killed, and more threads than cores are throttled.
"""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_CACHE_FIELDS = (("total_active_file", "total_inactive_file"), ("active_file", "inactive_file"))
"""Fields of `memory.stat` that count file pages, which the kernel gives up for others: of version 1, and of 2."""
_INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "sve", "asimd")
"""Flags of /proc/cpuinfo by which torch's libraries choose the kernels of matrix products, the best first."""


def usable_cores(root: Path = _ROOT) -> int:
    """Return the number of cores that this process may use: by affinity and by the CPU quota, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, quota_cores(root) or cores)


def quota_cores(root: Path = _ROOT) -> int | None:
    """Return the cores that the CPU quota amounts to, rounded up; None without a quota."""
    quotas = [quota for folder in _folders("cpu", root) if (quota := _quota(folder))]
    return math.ceil(min(quotas)) if quotas else None


def available_memory_bytes(root: Path = _ROOT) -> int:
    """Return the memory that this process can still get: of the machine, and of every control group around it."""
    import psutil  # noqa: PLC0415 - only when the plugin is active

    left = (max(0, limit - _used(folder)) for folder, limit in _memory_limits(root))
    return min([psutil.virtual_memory().available, *left])


def total_memory_bytes(root: Path = _ROOT) -> int:
    """Return the memory of the machine, or the smallest limit on it."""
    import psutil  # noqa: PLC0415 - as above

    return min([psutil.virtual_memory().total, *(limit for _, limit in _memory_limits(root))])


def cpu_class(root: Path = _ROOT) -> str:
    """Return the kind of CPU by the instruction set of its matrix products: `cpu (amx_bf16)`."""
    lines = _read(root / "proc/cpuinfo").splitlines()
    flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    return f"cpu ({next((name for name in _INSTRUCTION_SETS if name in flags), platform.machine())})"


def may_have_gpu(root: Path = _ROOT) -> bool:
    """Return whether torch may find a GPU; asking torch itself takes seconds."""
    names = ("nvidiactl", "kfd", "dxg")  # of CUDA, of ROCm, and of the Windows subsystem for Linux
    return sys.platform == "win32" or any((root / "dev" / name).exists() for name in names)


def _memory_limits(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield the control groups that limit memory; above `memory.high` a process is slowed down to a crawl."""
    for folder in _folders("memory", root):
        words = (_read(folder / name).strip() for name in ("memory.max", "memory.high", "memory.limit_in_bytes"))
        limits = [int(word) for word in words if word.isdigit()]  # `max` is none
        if limits:
            yield folder, min(limits)


def _used(folder: Path) -> int:
    used = _read(folder / "memory.current") or _read(folder / "memory.usage_in_bytes")
    stat = dict(line.split()[:2] for line in _read(folder / "memory.stat").splitlines() if " " in line)
    fields = next((fields for fields in _CACHE_FIELDS if fields[0] in stat), ())
    return int(used or 0) - sum(int(stat.get(field, 0)) for field in fields)


def _quota(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
    quota = quota or _read(folder / "cpu.cfs_quota_us").strip()
    period = period or _read(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None  # `max` and -1 are none


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of all above it, as far as they are visible here."""
    lines = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines() if line.count(":") > 1]
    groups = {name: PurePosixPath(path) for _, names, path in lines for name in names.split(",")}
    for point, inside, controllers in _mounts(root):
        name = controller if controller in controllers else ""  # version 2 has one hierarchy for all
        path = groups.get(name)
        if path is None or (controllers and not name):
            continue
        # In a container the path may be that of the host, while only the container's own group is mounted.
        own = path.relative_to(inside) if path.is_relative_to(inside) and ".." not in path.parts else PurePosixPath()
        yield from (point / folder for folder in (own, *own.parents))


def _mounts(root: Path) -> Iterator[tuple[Path, str, Sequence[str]]]:
    """Yield the mounted hierarchies: where, of which group, and their controllers (none for version 2)."""
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split() or [""]
        if kind in {"cgroup", "cgroup2"}:
            inside, point = before.split()[3:5]
            yield root / point.lstrip("/"), inside, options.split(",") if kind == "cgroup" else ()


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace")
    return ""

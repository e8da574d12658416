"""The benchmarks that one process has read: registered ones by their name, and what the user's tests bring along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.custom import check_benchmark_name
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.errors import UsageError
from pytest_qeval.schema import Json

__all__ = ["BenchmarkLoader"]


class BenchmarkLoader:
    """Reads every benchmark once, and tells what it is."""

    def __init__(self, data: Path | None, post: Callable[[Json], None]) -> None:
        """Read nothing yet.

        Args:
            data: The user's folder of benchmark files.
            post: Told the facts of every benchmark that is read.
        """
        self._data = data
        self._post = post
        self._benchmarks: dict[str, Benchmark] = {}
        self.own: dict[str, Benchmark] = {}
        """Those that the user's tests brought along, by name; no registry knows them."""

    def find(self, name: str) -> Benchmark:
        """Return a benchmark, read when it is asked for first.

        Raises:
            UnknownNameError: when there is none of that name.
            DataError: when its data cannot be read.
        """
        if name not in self._benchmarks:
            source: BenchmarkSource = registry.load("benchmarks", name)
            self._take(name, source.load(self._data))
        return self._benchmarks[name]

    def adopt(self, benchmark: Benchmark, *, origin: str) -> str:
        """Take a benchmark that a test brings along, and give its name.

        Raises:
            UsageError: naming `origin`, when it holds no problems, or its name has a meaning already.
        """
        name = benchmark.name
        check_benchmark_name(name, origin)
        if not benchmark.problems:
            raise UsageError(f"{origin}: the benchmark {name!r} holds no problems.")
        if name in registry.names("benchmarks"):
            raise UsageError(f"{origin}: there is a benchmark {name!r} already; rename this one.")
        known = self.own.setdefault(name, benchmark)
        if known != benchmark:  # the same problems asked otherwise, by other stop strings, would be answered otherwise
            raise UsageError(f"{origin}: another benchmark of this run is called {name!r}, too; rename one of them.")
        if name not in self._benchmarks:
            self._take(name, benchmark)
        return name

    def _take(self, name: str, benchmark: Benchmark) -> None:
        self._benchmarks[name] = benchmark
        facts: Json = {
            "version": benchmark.version,
            "sha256": benchmark.sha256,
            "problems": len(benchmark.problems),
            "excluded": dict(benchmark.excluded),
            "scored": isinstance(benchmark, TextBenchmark),
        }
        self._post({"type": "benchmark", "name": name, **facts})

"""The benchmarks that one process has read, and the cases and solutions that the run takes from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import NamedTuple

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.custom import check_benchmark_name
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.suites import default_benchmark, default_benchmarks
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import BenchmarkFacts
from pytest_qeval.plan import cases_of
from pytest_qeval.records.messages import Message
from pytest_qeval.schema import PREFIX_ONLY, Case, InfillingForm, PromptStyle
from pytest_qeval.summary.clusters import Clusters, clusters_of
from pytest_qeval.summary.pooled import counted_once


class Solution(NamedTuple):
    """A solution, or another completion, and the prompt that it follows."""

    task_id: str
    prompt: str
    solution: str


def clusters_in(benchmark: Benchmark) -> Mapping[str, str]:
    """Return what problems share with others, by task id; without those that stand alone."""
    return {one.task_id: one.cluster for one in benchmark.problems.values() if one.cluster}


def _clusters_of(benchmarks: Mapping[str, Benchmark]) -> Clusters:
    return clusters_of({name: {"clusters": clusters_in(one), "covers": one.covers} for name, one in benchmarks.items()})


@dataclass(kw_only=True, eq=False)
class BenchmarkLoader:
    """Reads every benchmark once, and posts what it is."""

    settings: RunSettings
    post: Callable[[Message], None]
    """Takes the facts of every benchmark that is read."""
    own: dict[str, Benchmark] = field(default_factory=dict, init=False)
    """Those of the user's tests, by name; no registry knows them."""
    _benchmarks: dict[str, Benchmark] = field(default_factory=dict, init=False)
    _facts: dict[str, BenchmarkFacts] = field(default_factory=dict, init=False)

    def find(self, name: str) -> Benchmark:
        """Return a benchmark, read on first use.

        Raises:
            UnknownNameError: when there is none of that name.
            UsageError: when a package calls it by a name that gates cannot contain.
            DataError: when its data cannot be read.
        """
        if name not in self._benchmarks:
            source: BenchmarkSource = registry.load("benchmarks", name)
            check_benchmark_name(name, f"the entry point {name!r}")
            self._take(name, source.load(self.settings.data))
        return self._benchmarks[name]

    def adopt(self, benchmark: Benchmark, *, origin: str) -> str:
        """Take a benchmark of the user's, and return its name.

        Raises:
            UsageError: naming `origin`, when it holds no problems, or its name is taken.
        """
        name = benchmark.name
        check_benchmark_name(name, origin)
        if not benchmark.problems:
            raise UsageError(f"{origin}: the benchmark {name!r} holds no problems.")
        if name in registry.names("benchmarks"):
            raise UsageError(f"{origin}: there is a benchmark {name!r} already; rename this one.")
        known = self.own.setdefault(name, benchmark)
        if known != benchmark:  # the same problems with other stop strings would get other completions
            raise UsageError(f"{origin}: another benchmark of this run is called {name!r}, too; rename one of them.")
        if name not in self._benchmarks:
            self._take(name, benchmark)
        return name

    @property
    def read(self) -> Sequence[Benchmark]:
        """The benchmarks that were read so far."""
        return [*self._benchmarks.values()]

    def is_scored(self, name: str) -> bool:
        """Return whether a benchmark's completions are scored instead of executed."""
        return isinstance(self.find(name), TextBenchmark)

    def counted_once(self, cases: Collection[Case]) -> set[Case]:
        """Return the cases that count when all benchmarks are pooled."""
        found = {name: self.find(name) for name in {case.benchmark for case in cases}}
        covers = {name: benchmark.covers for name, benchmark in found.items()}
        return counted_once(cases, clusters=_clusters_of(found), covers=covers)

    def cluster(self, case: Case) -> str:
        """Return what a case's problem shares with others of its benchmark."""
        return self.find(case.benchmark).problems[case.task_id].cluster or case.task_id

    def facts(self, name: str) -> BenchmarkFacts:
        """Return what the report says of a benchmark.

        Raises:
            QEvalError: as `find`.
        """
        self.find(name)
        return self._facts[name]

    def form(self, name: str) -> InfillingForm | None:
        """Return how a benchmark shows the model what follows a completion; None where it need not, or there is none.

        Raises:
            QEvalError: as `find`; and for a template that is not made of the tokenizer's tokens.
        """
        return self._form if self.settings.resolved and self.find(name).infills else None

    @cached_property
    def _form(self) -> InfillingForm:
        """The form of all benchmarks; models of a run that have different tokens see the prefix only."""
        resolved, template = self.settings.resolved, self.settings.fim
        assert resolved is not None  # noqa: S101 - only a replay has no model
        forms = [engine.infilling_form(source, template) for engine, source in resolved.models]
        return forms[0] if all(form == forms[0] for form in forms) else PREFIX_ONLY

    @property
    def default_name(self) -> str:
        """The benchmark of suites that take any one."""
        return default_benchmark(self.settings)

    @property
    def default_names(self) -> tuple[str, ...]:
        """The benchmarks of suites that take several."""
        return default_benchmarks(self.settings, replayed=self.settings.samples)

    def cases(self, name: str) -> tuple[Case, ...]:
        """Return the nominal cases of a benchmark in this run.

        Raises:
            UsageError: when there are none, such as for samples of another benchmark.
        """
        benchmark, samples = self.find(name), self.settings.samples
        cases = cases_of(benchmark, limit=self.settings.limit)
        if samples is not None and not any(case.label in samples for case in cases):
            raise UsageError(
                f"{self.settings.completions} holds no completion of a {name} problem of this run: its task ids are "
                f"such as {next(iter(samples))}, and {cases[0].label} is one of the benchmark's. Name the suite of "
                "these problems with --qeval-suite, or a test file of your own."
            )
        if self.settings.until_decided:  # the first problems alone may be the easy ones
            return tuple(Random(self.settings.generation.seed).sample(cases, len(cases)))  # noqa: S311 - no secret
        return cases

    def solutions(self, name: str) -> list[Solution]:
        """Return the texts that divergence is measured on, each with its prompt: solutions, or the user's completions.

        Raises:
            UsageError: when the user's file has no completion of these problems.
        """
        task_ids, texts = [case.task_id for case in self.cases(name)], self.settings.divergence_texts
        if texts is None:
            return self._solutions(name, task_ids)
        known = [task_id for task_id in task_ids if texts.get(task_id)]
        found = [one._replace(solution=texts[one.task_id]) for one in self._solutions(name, known)]
        if not found:
            raise UsageError(
                f"--qeval-divergence-texts holds no completion of a {name} problem of this run: name a file with task "
                f"ids such as {task_ids[0]}, or another benchmark (--qeval-benchmark)."
            )
        return found

    def first_solutions(self, name: str, count: int) -> list[Solution]:
        """Return the canonical solutions of a benchmark's first problems, each with its prompt."""
        return self._solutions(name, [case.task_id for case in cases_of(self.find(name), limit=count)])

    def _solutions(self, name: str, task_ids: Sequence[str]) -> list[Solution]:
        benchmark = self.find(name)
        style: PromptStyle = "source" if self.settings.generation.prompt_style == "source" else "completion"
        form = self.form(name) or PREFIX_ONLY
        problems = [benchmark.problems[task_id] for task_id in task_ids]
        return [Solution(p.task_id, form.fill(benchmark.prompt(p, style)), p.canonical_solution) for p in problems]

    def _take(self, name: str, benchmark: Benchmark) -> None:
        self._benchmarks[name] = benchmark
        form = self.form(name)
        self._facts[name] = BenchmarkFacts(
            name=name,
            version=str(benchmark.version),  # a benchmark of the user's may hold anything
            sha256=str(benchmark.sha256),
            problems=len(benchmark.problems),
            excluded=dict(benchmark.excluded),
            scored=isinstance(benchmark, TextBenchmark),
            clusters=clusters_in(benchmark),
            covers=benchmark.covers,
            infilling=form.template if form else "",
        )
        self.post(self._facts[name])

"""The problem of a case: a benchmark's own, or a perturbed one whose solution still passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import InvalidCase, PerturbationFacts
from pytest_qeval.perturb.catalogue import FULL, SCREEN, Catalogue, own_perturbations, select
from pytest_qeval.perturb.perturbed_problems import AppliedPerturbation, PerturbedProblems, nominal_of, perturb_problems
from pytest_qeval.perturb.prompt_diff import prompt_diff
from pytest_qeval.plan import first_problems
from pytest_qeval.records.messages import Message
from pytest_qeval.schema import Case, Execution, Problem, Program

_SCREENED_PROBLEMS = 40
"""Problems of the set `screen`, taken evenly from the whole benchmark unless `--qeval-limit` says otherwise."""
_FULL_SEEDS = 5
"""Seeds of the set `full`, as many as ReCode's robust pass has by default."""
_PERTURBED = (
    "perturbations need prompts that begin a function, such as those of humaneval and mbpp-function (--qeval-benchmark)"
)

_IN_THE_MIDDLE = "it ends in the middle of a function that goes on after the completion"


@dataclass(kw_only=True, eq=False)
class CaseProblems:
    """Finds problems; perturbs a benchmark when a suite wants that, and executes the perturbed solutions."""

    settings: RunSettings
    benchmark: Callable[[str], Benchmark]
    execute: Callable[[Program], Future[Execution]]
    post: Callable[[Message], None]
    own: Callable[[], Iterable[object]] = tuple
    """Returns the perturbations of the project's `conftest.py`, once that is read."""
    known: Mapping[Case, str] = field(default_factory=dict)
    """What earlier executions have shown: why a perturbed case is invalid, empty for a valid one."""
    _made: dict[str, PerturbedProblems] = field(default_factory=dict, init=False)
    _labelled: dict[str, Mapping[str, Problem]] = field(default_factory=dict, init=False)
    _executions: dict[Case, Future[Execution]] = field(default_factory=dict, init=False)
    _faults: dict[Case, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Take what is known."""
        self._faults = dict(self.known)

    def perturbed_cases(self, name: str) -> tuple[Case, ...]:
        """Return a benchmark's perturbed cases, with the nominal ones that they are compared with.

        Raises:
            UnknownNameError: for an unknown perturbation.
            UsageError: for a benchmark whose prompts cannot be perturbed, or samples of nominal problems only.
        """
        known = self.settings.samples
        cases = list(self._perturbed_problems(name).problems)
        if known is not None:  # a problem may lack a completion that others have, which is then missing
            applied = {_form(case) for case in cases if not case.is_own and case.label in known}
            cases = [case for case in cases if case.label in known or _form(case) in applied]
        if all(case.perturbation is None for case in cases):
            raise self._no_completion(name)
        return tuple(cases)

    def _no_completion(self, name: str) -> UsageError:
        return UsageError(f"{self.settings.completions} holds no completion of a perturbed {name} problem.")

    def _perturbed_problems(self, name: str) -> PerturbedProblems:
        if name not in self._made:
            self._made[name] = self._perturb(name)
            for found in self._made[name].of.values():
                self.post(_facts(name, found))
        return self._made[name]

    def _perturb(self, name: str) -> PerturbedProblems:
        benchmark = self.benchmark(name)
        if reason := benchmark.unperturbed or (_IN_THE_MIDDLE if benchmark.infills else ""):
            raise UsageError(f"the prompt of {name} cannot be perturbed, since {reason}: {_PERTURBED}.")
        settings = self.settings
        catalogue = Catalogue(own=own_perturbations(self.own()), data=settings.data)
        perturbations = select(settings.perturbations, catalogue)
        seeds = settings.perturbation_seeds or (_FULL_SEEDS if FULL in settings.perturbations else None)
        made = perturb_problems(self._problems(name), perturbations, seeds=seeds)
        if not any(found.applied for found in made.of.values()):
            reasons = [reason for found in made.of.values() for reason in found.reasons.values()]
            raise UsageError(
                f"no problem of {name} could be perturbed by {', '.join(made.of)} "
                f"({reasons[0] if reasons else 'there was nothing to perturb'}): {_PERTURBED}."
            )
        return made

    def _problems(self, name: str) -> list[Problem]:
        everything, known = self.benchmark(name).problems, self.settings.samples
        problems = list(everything.values())
        if known is not None:  # the samples have chosen already
            chosen = {label.rsplit("-", 2)[0] for label in known if label not in everything}
            problems = [problem for problem in problems if problem.task_id in chosen]
            if not problems:
                raise self._no_completion(name)
            return first_problems(problems, self.settings.limit)
        if self.settings.limit:
            return first_problems(problems, self.settings.limit)
        if SCREEN not in (self.settings.perturbations or (SCREEN,)):
            return problems
        step = len(problems) / min(_SCREENED_PROBLEMS, len(problems))
        return [problems[int(at * step)] for at in range(min(_SCREENED_PROBLEMS, len(problems)))]

    def of(self, case: Case) -> Problem:
        """Return the problem of a case."""
        if case.is_own:
            return self.benchmark(case.benchmark).problems[case.task_id]
        return self._perturbed_problems(case.benchmark).problems[case]

    def labelled(self, benchmark: str, label: str) -> Problem:
        """Return the problem of the case with a label."""
        problem = self.benchmark(benchmark).problems.get(label)
        return problem or self._labels(benchmark)[label]

    def _labels(self, benchmark: str) -> Mapping[str, Problem]:
        if benchmark not in self._labelled:
            made = self._perturbed_problems(benchmark).problems
            self._labelled[benchmark] = {case.label: problem for case, problem in made.items()}
        return self._labelled[benchmark]

    def prompt_diff_of(self, case: Case) -> str:
        """Return the unified diff from the nominal prompt to a case's own; empty for a nominal case."""
        if case.is_own:
            return ""
        made = self._perturbed_problems(case.benchmark)
        if case.perturbation is None:
            before = self.benchmark(case.benchmark).problems[case.task_id]
        else:
            before = self.of(nominal_of(case, made.of[case.perturbation].perturbation))
        return prompt_diff(before.prompt, self.of(case).prompt, case.label)

    def check_ahead(self, cases: Iterable[Case]) -> None:
        """Start to execute the solutions of perturbed cases, each once: one that fails makes the problem invalid."""
        for case in cases:
            if case.is_own or case in self._executions or case in self._faults:
                continue
            problem = self.of(case)
            program = self.benchmark(case.benchmark).program(problem, problem.canonical_solution)
            self._executions[case] = self.execute(program)

    def fault_of(self, case: Case) -> str:
        """Return why a perturbed case is invalid, and post that once; empty for a valid case."""
        if case.is_own:
            return ""
        if case not in self._faults:
            self.check_ahead([case])
            self._faults[case] = _fault_of(self._executions[case].result())
            if self._faults[case]:
                self.post(InvalidCase(**asdict(case), reason=self._faults[case]))
        return self._faults[case]


def _form(case: Case) -> tuple[str | None, bool, int]:
    """Return what the prompts of a perturbation have in common."""
    return case.perturbation, case.half, case.seed


def _fault_of(execution: Execution) -> str:
    if execution.status == "passed":
        return ""
    return f"its own solution does not pass ({execution.status}{': ' * bool(execution.detail)}{execution.detail})"


def _facts(benchmark: str, found: AppliedPerturbation) -> PerturbationFacts:
    one = found.perturbation
    return PerturbationFacts(
        benchmark=benchmark,
        name=one.name,
        category=one.category,
        level=one.level,
        form=one.form,
        seeds=found.seeds,
        applied=found.applied,
        unchanged=found.unchanged,
        repeated=found.repeated,
        invalid=found.invalid,
        reasons=found.reasons,
    )

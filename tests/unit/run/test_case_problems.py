"""What cases ask: which problems are perturbed, how they differ, and whether they are questions at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise

import pytest

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.cruxeval.output import OutputBenchmark
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import InvalidCase, PerturbationFacts
from pytest_qeval.records.messages import Message
from pytest_qeval.run.case_problems import CaseProblems
from pytest_qeval.schema import Case, Execution, Problem, Program
from pytest_qeval.settings import ModelSettings
from tests.unit.perturb.builders import problem

BODY = "m = n\nm = m + 0\nreturn m\n"


def numbered(number: int) -> Problem:
    return replace(problem("", BODY), task_id=f"made up/{number}")


class Desk:
    """CaseProblems with everything that they need; executes nothing."""

    def __init__(
        self,
        *words: str,
        n: int = 3,
        known: Iterable[str] | None = None,
        problems: Sequence[Problem] = (),
        limit: int | None = None,
        seeds: int | None = None,
    ) -> None:
        self.messages: list[Message] = []
        self.programs: list[Program] = []
        self.status = Execution(status="passed", duration_s=0.01)
        asked = problems or [numbered(number) for number in range(n)]
        self.benchmark = Benchmark(
            name="made up", version="1", sha256="0" * 64, problems={one.task_id: one for one in asked}
        )
        settings = RunSettings(
            model=ModelSettings(name="demo"), candidates=("int8",), baseline=None, perturbations=words,
            perturbation_seeds=seeds, limit=limit,
            samples=None if known is None else dict.fromkeys(known, ()),
        )  # fmt: skip
        self.problems = CaseProblems(
            settings=settings,
            benchmark=lambda _: self.benchmark,
            execute=self.execute,
            post=self.messages.append,
        )

    def execute(self, program: Program) -> Future[Execution]:
        self.programs.append(program)
        future: Future[Execution] = Future()
        future.set_result(self.status)
        return future

    def cases(self) -> tuple[Case, ...]:
        return self.problems.perturbed_cases("made up")

    def tasks(self) -> list[str]:
        return list(dict.fromkeys(case.task_id for case in self.cases()))


def case(number: int, perturbation: str | None = None, seed: int = 0, *, half: bool = False) -> Case:
    return Case(benchmark="made up", task_id=f"made up/{number}", perturbation=perturbation, seed=seed, half=half)


def test_an_nominal_case_asks_the_benchmarks_problem() -> None:
    """Nothing is perturbed for it, and there is nothing to prove."""
    desk = Desk()

    assert desk.problems.of(case(1)) is desk.benchmark.problems["made up/1"]
    assert desk.problems.prompt_diff_of(case(1)) == ""
    assert desk.problems.fault_of(case(1)) == ""
    assert (desk.messages, desk.programs) == ([], [])


def test_what_was_made_of_problems_is_told_once() -> None:
    """One message a perturbation, whoever asks how often."""
    desk = Desk("doc_to_comments", "tab_indent")
    assert desk.cases() == desk.cases()

    facts = [one for one in desk.messages if isinstance(one, PerturbationFacts)]
    assert len(facts) == len(desk.messages)
    assert [(one.name, one.form, one.applied) for one in facts] == [
        ("doc_to_comments", "half", 3),
        ("tab_indent", "half", 3),
    ]


def test_a_perturbation_is_shown_beside_what_it_is_compared_with() -> None:
    """Half a solution differs from the problem by that half; its perturbation is no part of it."""
    desk = Desk("tab_indent", n=1)
    half, perturbed = map(desk.problems.prompt_diff_of, (case(0, half=True), case(0, "tab_indent")))

    assert [line for line in half.splitlines()[3:] if line[0] in "+-"] == ["+    m = n"]
    assert "-    m = n\n" in perturbed
    assert "+\tm = n" in perturbed


def test_every_solution_is_executed_once() -> None:
    """Both recipes ask the same question; nominal ones need no proof."""
    desk = Desk("tab_indent", n=2)
    for _ in range(2):
        desk.problems.check_ahead(desk.cases())

    asked = [one for one in desk.cases() if not one.is_own]
    assert len(desk.programs) == len(asked) == 4  # each perturbed and with its half given
    assert [one.code for one in desk.programs] == [
        desk.problems.of(one).prompt + desk.problems.of(one).canonical_solution for one in asked
    ]


def test_a_question_without_an_answer_is_told_once() -> None:
    """However many recipes come to it."""
    desk = Desk("tab_indent", n=1)
    desk.cases()
    desk.status = Execution(status="failed", duration_s=0.01, detail="assert 1 == 2")
    reason = "its own solution does not pass (failed: assert 1 == 2)"

    assert [desk.problems.fault_of(case(0, "tab_indent")) for _ in range(3)] == [reason] * 3
    assert [message for message in desk.messages if isinstance(message, InvalidCase)] == [
        InvalidCase(benchmark="made up", task_id="made up/0", perturbation="tab_indent", seed=0, reason=reason)
    ]


def test_the_screen_takes_problems_evenly() -> None:
    """Forty of a hundred, the first among them, and none much nearer to its neighbour than another."""
    numbers = [int(name.partition("/")[2]) for name in Desk(n=100).tasks()]

    assert (len(numbers), numbers[0], numbers[-1]) == (40, 0, 97)
    assert {after - before for before, after in pairwise(numbers)} == {2, 3}


@pytest.mark.parametrize(
    ("words", "limit", "expected"),
    [(("tab_indent",), None, 50), (("tab_indent", "screen"), None, 40), (("tab_indent",), 7, 7), ((), 45, 45)],
)
def test_how_many_problems_are_perturbed(words: tuple[str, ...], limit: int | None, expected: int) -> None:
    """All, but for the screen; a limit always counts."""
    assert len(Desk(*words, n=50, limit=limit).tasks()) == expected


def test_the_full_set_has_five_seeds() -> None:
    """As ReCode does; a number that the user gave comes first."""
    for seeds, expected in ((None, 5), (2, 2)):
        found = {one.seed for one in Desk("full", n=1, seeds=seeds).cases()}
        assert found == set(range(expected))
    assert {one.seed for one in Desk("docstring", n=1).cases()} == {0}


def test_only_what_was_answered_is_replayed() -> None:
    """The problems are those of the samples, wherever they stand in the benchmark."""
    labels = ["made up/70", "made up/70-half_given-s0", "made up/70-tab_indent-s0", "made up/3"]
    desk = Desk(n=90, known=labels)

    assert [one.label for one in desk.cases()] == labels[:3]


def test_a_perturbation_that_others_have_is_missing() -> None:
    """Of a problem that was perturbed; what no problem has was not asked for."""
    labels = [f"made up/{task}-{name}-s0" for task, name in ((3, "tab_indent"), (70, "tab_indent"), (70, "half_given"))]
    desk = Desk(n=90, known=labels)

    assert {one.label for one in desk.cases()} - {*labels} == {"made up/3-half_given-s0"}


@pytest.mark.parametrize("labels", [["made up/1"], ["made up/1", "made up/1-half_given-s0"], ["made up/1-nonsense-s0"]])
def test_samples_of_nominal_problems_have_no_robustness(labels: list[str]) -> None:
    """One sentence before anything runs, not an empty table at the end."""
    with pytest.raises(UsageError, match="holds no completion of a perturbed made up problem"):
        Desk(known=labels).cases()


def test_a_benchmark_of_scripts_is_refused() -> None:
    """Whose prompts begin no function: the sentence names the reason and benchmarks that would do."""
    script = replace(problem("", BODY), prompt='"""Write a function to answer."""\n', canonical_solution="x = 1\n")

    with pytest.raises(UsageError, match=r"no problem of made up could be perturbed by .*tab_indent.*mbpp-function"):
        Desk(problems=[script]).cases()


def test_a_label_finds_what_its_case_asks() -> None:
    """Nominal and perturbed, as a self-test answers them."""
    desk = Desk("new_line_after_doc")

    assert all(desk.problems.labelled("made up", one.label) is desk.problems.of(one) for one in desk.cases())


def test_a_form_of_prompt_that_cannot_be_perturbed_is_refused() -> None:
    """Before anything is perturbed: a perturbation of the user's own would not know."""
    desk = Desk("tab_indent")
    problems = desk.benchmark.problems
    desk.benchmark = OutputBenchmark(name="made up", version="1", sha256="0" * 64, problems=problems)

    with pytest.raises(
        UsageError, match="made up cannot be perturbed, since it ends within an assertion: perturbations"
    ):
        desk.cases()

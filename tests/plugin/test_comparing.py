"""`--qeval-compare A B` concludes of two finished runs what one run of both would; nothing is run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import WRONG, check_refusal, read_report, write_samples

Run = Callable[..., pytest.RunResult]
RunIn = Callable[..., "subprocess.CompletedProcess[str]"]
Journals = tuple[str, str]

pytestmark = pytest.mark.timeout(300)

KEPT, BROKEN = ("--qeval-gate", "regressed <= 2"), ("--qeval-gate", "pass@1 drop <= 5pt")
REGRESSED = {1, 4}
"""Which of six problems the second run does not solve."""
GENERATION = {
    "type": "generation",
    "recipe": "replay",
    "worker": "main",
    "busy_s": 2.0,
    "new_tokens": 100,
    "prompt_tokens": 10,
    "peak_memory_bytes": 5000,
    "energy": {"energy_wh": 0.1, "emissions_g": 0.05, "provenance": "estimated", "method": "a model"},
}
"""What the first run cost."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, micro_rows: Sequence[Json], run_in: RunIn) -> Path:
    """Run twice: `a`, which is saved, and `b`, which is compared with it; the folder of both."""
    folder = tmp_path_factory.mktemp("finished")
    right = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in micro_rows[:6]]
    wrong = [{**row, "completion": WRONG} if n in REGRESSED else row for n, row in enumerate(right)]
    for name, rows, more in (
        ("a", right, ("--qeval-save-baseline", "a.json.gz")),
        ("b", wrong, ("--qeval-baseline", "a.json.gz", *KEPT, *BROKEN)),
    ):
        file = write_samples(folder / f"{name}.jsonl", rows)
        run_in(folder, "--qeval-limit", "6", "--qeval-completions", file, "--qeval-output", name, *more)
    return folder


@pytest.fixture
def journals(finished: Path, pytester: pytest.Pytester) -> Journals:
    """Write the journals of two runs of one recipe, each on its own, into the empty project."""
    a, b = ((finished / name / "records.jsonl").read_text(encoding="utf-8") for name in "ab")
    alone = [line for line in b.splitlines() if '"replay (saved)"' not in line or '"plan"' in line]
    (pytester.path / "a.jsonl").write_text(a, encoding="utf-8")
    (pytester.path / "b.jsonl").write_text("\n".join(alone) + "\n", encoding="utf-8")
    return "a.jsonl", "b.jsonl"


@pytest.fixture
def compare(run: Run, journals: Journals) -> Run:
    """Compare the two journals."""
    return lambda *arguments: run("--qeval-compare", *journals, "--qeval-output", "out", *arguments)


def change(path: Path, edit: Callable[[Json], Json | None]) -> None:
    """Edit the lines of a journal; None leaves one out."""
    rows = [edit(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row), encoding="utf-8")


def check_refused(result: pytest.RunResult, pytester: pytest.Pytester, line: str) -> None:
    """Exit status 4, one sentence, no report."""
    check_refusal(result, line)
    assert [text for text in result.stderr.lines if text.strip()][1:] == []
    assert not (pytester.path / "out").exists()


def test_it_concludes_what_a_session_would(compare: Run, pytester: pytest.Pytester, finished: Path) -> None:
    """Results, comparison and gates are equal to the last digit; two runs of one recipe are told apart by name."""
    result = compare(*KEPT, *BROKEN)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    live, found = read_report(finished / "b"), read_report(pytester.path / "out")
    there, here = live["benchmarks"]["micro"], found["benchmarks"]["micro"]
    assert list(here["results"]) == ["replay (before)", "replay"]
    assert list(here["results"].values()) == list(there["results"].values())
    assert here["comparisons"]["replay"].pop("baseline") == "replay (before)"
    assert there["comparisons"]["replay"].pop("baseline") == "replay (saved)"
    assert here["comparisons"] == there["comparisons"]
    assert here["comparisons"]["replay"]["regressed"] == [f"micro/{number}" for number in sorted(REGRESSED)]
    assert (found["gates"], found["verdict"]) == (live["gates"], live["verdict"])
    assert (found["run"]["planned"], found["run"]["missing"]) == (12, 0)


def test_the_summary_is_printed_and_the_report_says_where_the_baseline_is_from(
    compare: Run, pytester: pytest.Pytester, finished: Path
) -> None:
    """Without a session around it."""
    result = compare(*KEPT)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*replay against replay (before): −33.3 pt *", "*2 regressed: micro/1, micro/4", "*verdict: PASS*"]
    )
    result.stdout.no_fnmatch_line("*test session starts*")
    saved = read_report(pytester.path / "out")["run"]["saved_baseline"]
    before = read_report(finished / "a")["run"]
    assert (saved["path"], saved["started_at"]) == (str(pytester.path / "a.jsonl"), before["started_at"])
    assert saved["accepted_differences"] == []


@pytest.mark.parametrize(
    ("gates", "status"),
    [((), 0), (KEPT, 0), (BROKEN, 1), (("--qeval-gate", "pass@1 drop <= 40pt", "--qeval-require-proof"), 1)],
    ids=["none", "kept", "broken", "unproven"],
)
def test_gates_decide_the_exit_status(compare: Run, gates: Sequence[str], status: int) -> None:
    """As in a session, proof included."""
    assert compare(*gates).ret == status


def test_gates_of_the_ini_file_judge_too(compare: Run, pytester: pytest.Pytester) -> None:
    """Also where the project's other sessions are self-tests, which have no gates."""
    pytester.makeini("[pytest]\nqeval_selftest = true\nqeval_gate = pass@1 drop <= 5pt")

    assert compare().ret == 1


@pytest.mark.parametrize(("workers", "busy_s"), [(1, 2.0), (2, 0.0)], ids=["the same", "other"])
def test_costs_of_other_conditions_are_not_set_side_by_side(
    compare: Run, pytester: pytest.Pytester, workers: int, busy_s: float
) -> None:
    """As a saved baseline of another number of workers has completions and no costs, so has a finished run."""
    path = pytester.path / "a.jsonl"

    def timed(row: Json) -> Json:
        if row["type"] == "plan":
            return {**row, "conditions": {**row["conditions"], "costs.workers": workers}}
        if row["type"] == "record":
            return {**row, "samples": [{**sample, "ttft_s": 0.1, "duration_s": 0.5} for sample in row["samples"]]}
        return row

    change(path, timed)
    with path.open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(GENERATION) + "\n")

    assert compare(*KEPT).ret == pytest.ExitCode.OK
    assert read_report(pytester.path / "out")["efficiency"]["replay (before)"]["generation"]["busy_s"] == busy_s


def test_other_settings_of_generation_are_refused_or_accepted(
    compare: Run, pytester: pytest.Pytester, journals: Journals
) -> None:
    """Naming what differs; who accepts it has a report that is marked."""
    other = {"max_new_tokens": 9, "seed": 3}
    added = {f"generation.{name}": value for name, value in other.items()}
    for number, conditions in enumerate([added, {"generation.max_new_tokens": 512, "generation.seed": 0}]):
        change(
            pytester.path / journals[number],
            lambda row, more=conditions: (  # type: ignore[misc]
                {**row, "conditions": {**row["conditions"], **more}} if row["type"] == "plan" else row
            ),
        )
    differences = ["generation.max_new_tokens: 9 in A, 512 in B", "generation.seed: 3 in A, 0 in B"]

    check_refused(compare(), pytester, f"ERROR: *other conditions: {'; '.join(differences)}. *--qeval-baseline-force.")
    assert compare("--qeval-baseline-force").ret == pytest.ExitCode.OK
    assert read_report(pytester.path / "out")["run"]["saved_baseline"]["accepted_differences"] == differences


@pytest.mark.parametrize("number", [0, 1], ids=["of the baseline", "of the candidate"])
def test_a_missing_record_breaks_the_gate(
    compare: Run, pytester: pytest.Pytester, journals: Journals, number: int
) -> None:
    """The plan is in the journal: a case that was lost is missing, whoever lost it."""
    change(
        pytester.path / journals[number],
        lambda row: None if row["type"] == "record" and row["task_id"] == "micro/0" else row,
    )
    result = compare(*KEPT)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*FAIL*regressed <= 2*1 case missing*"])
    assert read_report(pytester.path / "out")["run"]["missing"] == 1
    allowed = compare(*KEPT, "--qeval-allow-missing")
    allowed.stdout.fnmatch_lines(["*PASS*regressed <= 2*"])
    assert allowed.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("asked", ["compare", "list"])
def test_an_unknown_ini_key_is_refused(compare: Run, run: Run, pytester: pytest.Pytester, asked: str) -> None:
    """A mistyped gate must not look as if it held."""
    pytester.makeini("[pytest]\nqeval_gatex = regressed <= 0\n")
    result = compare() if asked == "compare" else run("--qeval-list", "recipes")

    check_refused(result, pytester, "ERROR: the key 'qeval_gatex', set in *, is unknown. Did you mean 'qeval_gate'?*")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "ERROR: *b.jsonl cannot be read: No such file or directory. Expected the records.jsonl of a run."),
        ("", "ERROR: *b.jsonl holds no run: *"),
        ("hello\n", "ERROR: *b.jsonl, line 1: not JSON *"),
        ('{"task_id": "micro/0", "completion": ""}\n', "ERROR: *b.jsonl, line 1: *"),
        ('{"type": "later"}\n', "ERROR: *b.jsonl, line 1: expected the run's own line *"),
    ],
    ids=["none", "empty", "no JSON", "samples", "no run"],
)
def test_a_file_that_is_no_journal_is_refused(
    compare: Run, pytester: pytest.Pytester, journals: Journals, content: str | None, line: str
) -> None:
    """In one sentence that names the file and the line."""
    path = pytester.path / journals[1]
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")

    check_refused(compare(), pytester, line)


def test_runs_are_named_by_their_folders(run: Run, finished: Path, compare: Run, pytester: pytest.Pytester) -> None:
    """As well as by their journals; what the earlier run has in addition is counted."""
    rows = [{"task_id": f"micro/{number}", "completion": WRONG} for number in range(4)]
    few = write_samples(pytester.path / "few.jsonl", rows)
    run("--qeval-completions", few, "--qeval-limit", "4", "--qeval-output", "few")
    result = run("--qeval-compare", str(finished / "a"), "few", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["left out: 2 cases of *a/records.jsonl, which *few/records.jsonl lacks"])
    assert read_report(pytester.path / "out")["run"]["saved_baseline"]["left_out"] == 2
    result.stdout.fnmatch_lines(["*replay against replay (before): *"])


@pytest.mark.parametrize("output", ["a", "../copy/b"])
def test_the_report_of_a_compared_run_is_not_overwritten(
    run: Run, finished: Path, pytester: pytest.Pytester, output: str
) -> None:
    """Another folder has to be named."""
    shutil.copytree(finished, pytester.path / "copy")
    reports = {path: path.read_bytes() for path in (pytester.path / "copy").rglob("report.json")}
    result = run("--qeval-compare", "copy/a", "copy/b", f"--qeval-output=copy/{output}")

    check_refusal(result, "ERROR: --qeval-output: * holds the run *, whose report would be overwritten: *")
    assert len(reports) == 2
    assert {path: path.read_bytes() for path in reports} == reports


@pytest.mark.parametrize("output", ["third", "b"], ids=["a third run", "by a link"])
def test_the_report_of_any_other_run_is_not_overwritten(
    run: Run, finished: Path, pytester: pytest.Pytester, output: str
) -> None:
    """Neither that of a run that is not compared, nor that of one whose journal is reached by a link."""
    for name in ("a", "b", "third"):
        shutil.copytree(finished / name[0].replace("t", "a"), pytester.path / name)
    (pytester.path / "b" / "records.jsonl").rename(pytester.path / "b" / "other.jsonl")
    (pytester.path / "link.jsonl").symlink_to(pytester.path / "b" / "other.jsonl")
    before = (pytester.path / output / "report.json").read_bytes()
    result = run("--qeval-compare", "a", "link.jsonl", f"--qeval-output={output}")

    check_refusal(result, "ERROR: --qeval-output: * holds the run *, whose report would be overwritten: *")
    assert (pytester.path / output / "report.json").read_bytes() == before


@pytest.mark.parametrize("runs", [("a", ""), ("", "a"), ("a", " ")])
def test_an_empty_name_of_a_run_is_refused(run: Run, runs: Sequence[str]) -> None:
    """It is no run in the current folder."""
    check_refusal(
        run("--qeval-compare", *runs), "ERROR: --qeval-compare has an empty value, *: name two runs, A and B."
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--qeval-limit=4",), "ERROR: --qeval-compare reads two finished runs: leave --qeval-limit out."),
        (("c",), "ERROR: --qeval-compare expects two runs, A and B, and no tests; found a.jsonl b.jsonl and c. *"),
        (("--qeval-require-proof",), "ERROR: --qeval-require-proof does nothing in this run: no gate is set: add *"),
        (("--qeval-allow-missing",), "ERROR: --qeval-allow-missing does nothing in this run: no gate is set: add *"),
        (("--qeval-selftest",), "ERROR: --qeval-compare reads two finished runs: leave --qeval-selftest out."),
        (("--qeval-compare=c.jsonl",), "ERROR: *, and no tests; found a.jsonl b.jsonl c.jsonl. *"),
        (("--qeval-model=demo",), "ERROR: --qeval-compare reads two finished runs: leave --qeval-model *"),
        (("--qeval-gate", "be good"), "ERROR: cannot read the gate 'be good'*"),
        (("--qeval-gate", "none.toml"), "ERROR: gate file 'none.toml' cannot be opened*"),
    ],
    ids=[
        "an option",
        "a third word",
        "no proof",
        "nothing missing",
        "a self-test",
        "a third run",
        "a model",
        "a gate that cannot be read",
        "no gate file",
    ],
)
def test_a_mistake_is_one_sentence(
    compare: Run, pytester: pytest.Pytester, arguments: Sequence[str], line: str
) -> None:
    """As everywhere on the command line."""
    check_refused(compare(*arguments), pytester, line)


def test_a_decision_against_another_baseline_does_not_count(
    compare: Run, pytester: pytest.Pytester, journals: Journals
) -> None:
    """What a run decided early was decided against its own baseline."""
    path = pytester.path / journals[1]
    decision = {
        "type": "decision",
        "gate": "regressed <= 0",
        "recipe": "replay",
        "benchmark": "micro",
        "outcome": "pass",
        "evidence": "unproven",
        "reason": "kept",
    }
    path.write_text(path.read_text(encoding="utf-8") + json.dumps(decision) + "\n", encoding="utf-8")

    assert compare("--qeval-gate", "regressed <= 0").ret == pytest.ExitCode.TESTS_FAILED

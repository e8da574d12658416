"""From evidence to exit status: the control, early stopping, divergence, prospects and gate files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, WRONG, check_refusal, read_journal, read_report, write_samples

Run = Callable[..., pytest.RunResult]
RunIn = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.timeout(600)

MODEL = ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-limit", "2", "--qeval-max-new-tokens", "8")
PROBLEMS = 80
REPLAYED = ("--qeval-limit", str(PROBLEMS), "--qeval-completions")
KEPT = ("--qeval-gate", "pass@1 >= 0.25")


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory, run_in: RunIn) -> Path:
    """Run baseline, control and candidate once, and save the baseline, which then has no log-probabilities."""
    folder = tmp_path_factory.mktemp("controlled")
    more = ("--qeval-suite", "micro", "--qeval-save-baseline", "b.json.gz", "--qeval-output", "out")
    done = run_in(folder, *MODEL, "--qeval-control", *more)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, micro_rows: Sequence[Json], run_in: RunIn) -> Path:
    """Save a baseline that solved everything, beside completions that are all right and all wrong."""
    folder = tmp_path_factory.mktemp("replayed")
    right = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in micro_rows[:PROBLEMS]]
    write_samples(folder / "right.jsonl", right)
    write_samples(folder / "wrong.jsonl", [{**row, "completion": WRONG} for row in right])
    save = ("--qeval-save-baseline", "b.json.gz", "--qeval-output", "out")
    done = run_in(folder, *REPLAYED, "right.jsonl", *save)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    return folder


@pytest.fixture
def replay(replayed: Path, pytester: pytest.Pytester, run: Run) -> Run:
    """Replay the right or the wrong completions against the saved baseline."""
    for name in ("b.json.gz", "right.jsonl", "wrong.jsonl"):
        shutil.copy(replayed / name, pytester.path)

    def replay_completions(which: str, *arguments: str) -> pytest.RunResult:
        given = (*REPLAYED, f"{which}.jsonl", "--qeval-baseline", "b.json.gz", "--qeval-output", "out")
        return run(*given, *arguments)

    return replay_completions


def test_a_control_is_the_baselines_second_run(controlled: Path) -> None:
    """It has a role of its own, completes like the baseline, and a candidate's flips are compared with its."""
    report = read_report(controlled / "out")
    comparisons = report["benchmarks"]["micro"]["comparisons"]

    assert {name: facts["role"] for name, facts in report["recipes"].items()} == {
        "auto": "baseline",
        "control": "control",
        "int8": "candidate",
    }
    assert (report["run"]["planned"], report["run"]["missing"]) == (6, 0)
    assert report["recipes"]["control"]["execution"] == "full precision"
    assert comparisons["control"]["excess"] is None
    excess = comparisons["int8"]["excess"]
    assert (excess["control_flips"], excess["shared"], excess["excess"]["n"]) == (0, 0, 2)


EARLY = {
    "broken": ("wrong", "regressed <= 4", 5, "broken whatever the others bring, after 5 of 80 problems"),
    "kept": ("right", "pass@1 >= 0.25", 20, "kept whatever the others bring, after 20 of 80 problems"),
    "proven": ("right", "pass@1 drop <= 40pt", 20, "proven not worse by a sequential test*, after 20 of 80 problems"),
}


@pytest.mark.parametrize("name", EARLY)
def test_a_run_ends_when_it_is_decided(replay: Run, pytester: pytest.Pytester, name: str) -> None:
    """Cases that are left out are skipped and not missing; the reason is in the report, the gate in the status."""
    which, gate, asked, reason = EARLY[name]
    result = replay(which, "--qeval-until-decided", "--qeval-gate", gate, "-rs")

    status, word = (1, "FAIL") if name == "broken" else (0, "PASS")
    left = PROBLEMS - asked
    assert result.ret == status
    result.stdout.fnmatch_lines(
        [
            f"*replay was stopped early: {reason}",
            f"*{word}  {gate}*: {reason}*",
            f"SKIPPED ?{left}?*",
            f"*{left} skipped*",
        ]
    )
    report = read_report(pytester.path / "out")
    found = report["benchmarks"]["micro"]["results"]["replay"]
    assert (report["run"]["planned"], report["run"]["missing"]) == (PROBLEMS + asked, 0)
    assert (found["solved"] + found["unsolved"], found["missing"]) == (asked, 0)
    assert found["decided"] == report["gates"][0]["reason"]
    assert report["verdict"] == word.lower()


def test_problems_are_in_random_order_then(replay: Run, pytester: pytest.Pytester) -> None:
    """The first ones alone would not represent the others; the seed says which order."""

    def order(seed: str) -> list[str]:
        result = replay("right", "--qeval-until-decided", *KEPT, "--qeval-seed", seed, "--collect-only", "-q")
        return [line for line in result.stdout.lines if "::" in line]

    first = order("0")

    assert sorted(first) == sorted(order("1"))
    assert first != sorted(first, key=lambda line: int(line.partition("micro/")[2].rstrip("]")))
    assert first != order("1")


def test_workers_cannot_be_decided_early(run: Run, samples: Path) -> None:
    """A decision needs all outcomes in one process."""
    result = run("-n2", *REPLAY, str(samples), "--qeval-until-decided", *KEPT)

    check_refusal(result, "*--qeval-until-decided needs all outcomes in one process: leave -n out*")


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_gate_on_divergence_adds_its_suite(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """It is measured before anything is generated (with workers: by that candidate), and the gate judges it."""
    result = run(*mode, *MODEL, "--qeval-baseline", "run", "--qeval-gate", "kl <= 0.05", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*divergence of int8 from auto: * of 2 micro solutions", "*PASS  kl <= 0.05  (int8): *"]
    )
    report = read_report(pytester.path / "out")
    found = report["divergence"]["int8"]
    assert (found["baseline"], found["benchmark"], found["tokens"] > 0) == ("auto", "micro", True)
    assert 0 < found["kl"]["value"] < 0.05
    assert report["gates"][0]["observed"] == found["kl"]
    assert (report["run"]["planned"], report["run"]["missing"]) == (4, 0)
    rows = read_journal(pytester.path / "out")
    types = [row["type"] for row in rows if mode != ("-n2",) or row.get("recipe") == "int8"]
    assert types.index("divergence") < types.index("record")


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_saved_baseline_without_log_probabilities_fails_divergence(
    run: Run, pytester: pytest.Pytester, controlled: Path, mode: tuple[str, ...]
) -> None:
    """The user named the file, so they are not measured anew; the test says what to do, and the gate is broken."""
    shutil.copy(controlled / "b.json.gz", pytester.path)
    more = ("--qeval-suite", "divergence", "--qeval-gate", "kl <= 0.05", "--qeval-output", "out")
    result = run(*mode, *MODEL, "--qeval-baseline", "b.json.gz", *more)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*b.json.gz holds no log-probabilities on micro: make it again *--qeval-suite divergence.",
            "*FAIL  kl <= 0.05*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert read_report(pytester.path / "out")["verdict"] == "fail"


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_what_can_be_proven_is_printed_first(replay: Run, mode: tuple[str, ...]) -> None:
    """Before the first case, by every way to run; the margin is the gate's."""
    result = replay("right", *mode, "--qeval-limit", "3", "--qeval-gate", "pass@1 drop <= 5pt", "-v")

    lines = result.stdout.lines
    (prospect,) = (
        number for number, line in enumerate(lines) if line.startswith("qeval: micro: 3 problems can rule out")
    )
    assert "; 5 points take about " in lines[prospect]
    assert prospect < min(number for number, line in enumerate(lines) if "SOLVED" in line)


def test_quiet_runs_do_not_print_it(replay: Run) -> None:
    """-q leaves it out."""
    result = replay("right", "--qeval-limit", "3", "-q")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("qeval: *problems can rule out*")


def write_gates(pytester: pytest.Pytester, *, recipe: str, expression: str) -> None:
    text = f'[[gate]]\nexpression = "{expression}"\nrecipe = "{recipe}"\nreason = "we said so"\n'
    (pytester.path / "gates.toml").write_text(text, encoding="utf-8")


def test_a_gate_file_has_thresholds_per_recipe(replay: Run, pytester: pytest.Pytester) -> None:
    """A broken gate says why it was set; gates of the command line are judged beside it."""
    write_gates(pytester, recipe="rep*", expression="regressed <= 0")
    result = replay(
        "wrong", "--qeval-limit", "2", "--qeval-gate", "gates.toml", "--qeval-gate", "regressed <= 2",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*FAIL  regressed <= 0  (replay, micro): observed 2, required <= 0; reason of the gate: we said so*",
         "*PASS  regressed <= 2  (replay, micro): *", "*verdict: FAIL, 1 of 2 gates broken*"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "expression", "line"),
    [
        ("int8*", "regressed <= 0", "*'regressed <= 0' is about the recipe 'int8?', which is no candidate*replay*"),
        ("replay", "minor:regressed <= 0", "*about the benchmark 'minor', which is no benchmark*Did you mean 'micro'*"),
        ("replay", "humaneval:regressed <= 0", "*about the benchmark 'humaneval', which is no benchmark of this run*"),
    ],
    ids=["recipe", "unknown benchmark", "another benchmark"],
)
def test_a_gate_file_about_nothing_is_refused(
    replay: Run, pytester: pytest.Pytester, recipe: str, expression: str, line: str
) -> None:
    """A gate on a recipe or a benchmark that is not in the run could never break."""
    write_gates(pytester, recipe=recipe, expression=expression)

    check_refusal(replay("right", "--qeval-gate", "gates.toml"), line)

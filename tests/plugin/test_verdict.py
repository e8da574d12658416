"""From evidence to exit status: the control, early stopping, divergence, prospects and gate files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Json

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)

MODEL = ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-limit", "2", "--qeval-max-new-tokens", "8")
PROBLEMS = 24
KEPT = ("--qeval-gate", "pass@1 >= 0.25")


def read_report(folder: Path) -> Json:
    report: Json = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    return report


def journal(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]


def check_refusal(result: pytest.RunResult, pytester: pytest.Pytester, line: str) -> None:
    """Exit status 4, the sentence, and nothing run."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert not (pytester.path / "out").exists()


def outside(folder: Path, *command: str) -> None:
    """Run pytest in a process and a folder that several tests share."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".cache")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory, warm_pytest: Sequence[str]) -> Path:
    """Run baseline, control and candidate once, and save the baseline, which then has no log-probabilities."""
    folder = tmp_path_factory.mktemp("controlled")
    more = ("--qeval-suite", "micro", "--qeval-save-baseline", "b.json.gz", "--qeval-output", "out")
    outside(folder, *warm_pytest, *MODEL, "--qeval-control", *more)
    return folder


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, micro_rows: Sequence[Json], warm_pytest: Sequence[str]) -> Path:
    """Save a baseline that solved everything, beside answers that are all right and such that are all wrong."""
    folder = tmp_path_factory.mktemp("replayed")
    right = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in micro_rows[:PROBLEMS]]
    for name, rows in (("right", right), ("wrong", [{**row, "completion": "    return\n"} for row in right])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    save = ("--qeval-save-baseline", "b.json.gz", "--qeval-output", "out")
    outside(folder, *warm_pytest, "--qeval-completions", "right.jsonl", *save)
    return folder


@pytest.fixture
def replay(replayed: Path, pytester: pytest.Pytester, run: Run) -> Run:
    """Replay answers, right or wrong ones, against the saved baseline."""
    for name in ("b.json.gz", "right.jsonl", "wrong.jsonl"):
        shutil.copy(replayed / name, pytester.path)

    def replay_answers(which: str, *arguments: str) -> pytest.RunResult:
        given = ("--qeval-completions", f"{which}.jsonl", "--qeval-baseline", "b.json.gz", "--qeval-output", "out")
        return run(*given, *arguments)

    return replay_answers


def test_a_control_is_the_baselines_second_run(controlled: Path) -> None:
    """It has a role of its own, answers like the baseline, and a candidate's flips are set beside its."""
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


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--qeval-model", "demo"), "*--qeval-control runs the baseline a second time, but this run has none: *"),
        (
            ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-baseline", "none"),
            "*--qeval-control runs the baseline a second time, but this run has none: *",
        ),
        (
            ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-baseline", "b.json.gz"),
            "*--qeval-control runs the baseline twice, and a saved one is not run at all: *",
        ),
        (("--qeval-completions", "right.jsonl"), "*--qeval-control needs a model*"),
    ],
    ids=["no candidate", "no baseline", "saved", "replay"],
)
def test_a_control_needs_a_baseline_that_is_run(
    run: Run, pytester: pytest.Pytester, arguments: Sequence[str], line: str
) -> None:
    """Nothing can be run a second time that is not run once."""
    check_refusal(run(*arguments, "--qeval-control", "--qeval-output", "out"), pytester, line)


EARLY = {
    "broken": ("wrong", "regressed <= 4", 5, "broken whatever the others bring, after 5 of 24 problems"),
    "kept": ("right", "pass@1 >= 0.25", 6, "kept whatever the others bring, after 6 of 24 problems"),
    "proven": ("right", "pass@1 drop <= 40pt", 12, "proven not worse by a sequential test*, after 12 of 24 problems"),
}


@pytest.mark.parametrize("name", EARLY)
def test_a_run_ends_when_it_is_decided(replay: Run, pytester: pytest.Pytester, name: str) -> None:
    """What is not asked any more is skipped and not missing; the reason is in the report, the gate in the status."""
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


def test_problems_are_asked_in_random_order_then(replay: Run, pytester: pytest.Pytester) -> None:
    """The first ones would speak for themselves only; the seed says which order."""

    def order(seed: str) -> list[str]:
        result = replay("right", "--qeval-until-decided", *KEPT, "--qeval-seed", seed, "--collect-only", "-q")
        return [line for line in result.stdout.lines if "::" in line]

    first = order("0")

    assert sorted(first) == sorted(order("1"))
    assert first != sorted(first, key=lambda line: int(line.partition("micro/")[2].rstrip("]")))
    assert first != order("1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("-n2", *KEPT), "*--qeval-until-decided needs all outcomes in one process: leave -n out*"),
        ((), "*--qeval-until-decided needs a gate on solved problems*"),
        (("--qeval-gate", "model_bytes <= 1"), "*--qeval-until-decided needs a gate on solved problems*"),
        ((*KEPT, "--qeval-gate", "energy <= 1"), "*cannot leave anything out for the gate 'energy <= 1'*"),
        ((*KEPT, "--qeval-gate", "pass@10 >= 0.5"), "*cannot leave anything out for the gate 'pass@10 >= 0.5'*"),
    ],
    ids=["workers", "no gate", "no such gate", "energy", "pass@10"],
)
def test_a_run_that_cannot_be_decided_early_is_refused(
    run: Run, pytester: pytest.Pytester, samples: Path, arguments: Sequence[str], line: str
) -> None:
    """Before anything is run."""
    given = ("--qeval-completions", str(samples), "--qeval-output", "out", "--qeval-until-decided")
    check_refusal(run(*given, *arguments), pytester, line)


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_gate_on_divergence_adds_its_suite(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """It is measured before anything is generated (with workers, by that candidate), and the gate is judged by it."""
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
    rows = journal(pytester.path / "out")
    told = [row["type"] for row in rows if mode != ("-n2",) or row.get("recipe") == "int8"]
    assert told.index("divergence") < told.index("record")


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


def test_what_can_be_proven_is_said_first(replay: Run, mode: tuple[str, ...]) -> None:
    """Before the first case, by every way to run; the margin is the gate's."""
    result = replay("right", *mode, "--qeval-limit", "3", "--qeval-gate", "pass@1 drop <= 5pt", "-v")

    lines = result.stdout.lines
    (said,) = (number for number, line in enumerate(lines) if line.startswith("qeval: micro: 3 problems can prove"))
    assert "; for 5 points take about " in lines[said]
    assert said < min(number for number, line in enumerate(lines) if "SOLVED" in line)


def test_it_is_not_said_where_nobody_wants_to_read(replay: Run) -> None:
    """-q leaves it out."""
    result = replay("right", "--qeval-limit", "3", "-q")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*can prove*")


def write_gates(pytester: pytest.Pytester, *, recipe: str, expression: str) -> None:
    text = f'[[gate]]\nexpression = "{expression}"\nrecipe = "{recipe}"\nreason = "we said so"\n'
    (pytester.path / "gates.toml").write_text(text, encoding="utf-8")


def test_a_gate_file_promises_per_recipe(replay: Run, pytester: pytest.Pytester) -> None:
    """A broken promise says why it was made; gates of the command line are judged beside it."""
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
def test_a_gate_file_that_promises_nothing_is_refused(
    replay: Run, pytester: pytest.Pytester, recipe: str, expression: str, line: str
) -> None:
    """A promise about a recipe or a benchmark that is not in the run would be kept by silence."""
    write_gates(pytester, recipe=recipe, expression=expression)

    check_refusal(replay("right", "--qeval-gate", "gates.toml"), pytester, line)

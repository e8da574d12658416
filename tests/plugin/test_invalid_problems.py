"""Perturbed problems that are invalid, and those without a nominal completion to compare with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import read_journal, read_report, write_samples

Run = Callable[..., pytest.RunResult]
RunIn = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.timeout(600)

NAME = "name_camel_case"
ASKED = ("--qeval-perturbation", NAME, "--qeval-perturbation", "tab_indent")
BROKEN = f"own/0-{NAME}-s0"
"""Its solution asks what it is called, so that it does not pass under another name."""
ROWS: Sequence[Json] = [
    {
        "task_id": f"own/{number}",
        "prompt": f'def {name}(a, b):\n    """Put both numbers together."""\n',
        "entry_point": name,
        "canonical_solution": f"    found = a {sign} b\n    mine = {mine}\n    return found if mine else None\n",
        "test": f"def check(candidate):\n    assert candidate(3, 2) == {3 + 2 if sign == '+' else 3 - 2}\n",
    }
    for number, (name, sign, mine) in enumerate(
        [("add_both", "+", "add_both.__name__ == 'add_both'"), ("take_both", "-", "True"), ("sum_both", "+", "True")]
    )
]
TESTS = """
import pytest

@pytest.mark.qeval_robustness("own.jsonl")
def test_own(qeval, case):
    qeval(case)
"""


def lay_out(folder: Path) -> None:
    """Write the problems and their test."""
    write_samples(folder / "own.jsonl", ROWS)
    folder.joinpath("test_own.py").write_text(TESTS, encoding="utf-8")


def messages(folder: Path, kind: str) -> list[Json]:
    return [row for row in read_journal(folder) if row["type"] == kind]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, run_in: RunIn) -> Path:
    """Evaluate the embedded model three times: all at once, with the cached baseline, and with the saved one."""
    folder = tmp_path_factory.mktemp("project")
    lay_out(folder)
    asked = ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-max-new-tokens", "24", *ASKED, "test_own.py")
    for name, more in (
        ("once", ("-n2", "--qeval-control", "--qeval-save-baseline", "saved.json.gz")),
        ("cached", ("-p", "no:xdist")),
        ("saved", ("-p", "no:xdist", "--qeval-baseline", "saved.json.gz")),
    ):
        run_in(folder, *asked, *more, "--qeval-output", name)
    return folder


def test_it_is_counted_once_for_all_recipes(project: Path) -> None:
    """With the reason, whichever worker found it out; no completion is missing, and no number is about it."""
    report = read_report(project / "once")

    assert report["run"]["missing"] == 0
    for recipe in ("auto", "control", "int8"):
        scope = report["robustness"]["own"][recipe][NAME]
        assert (scope["applied"], scope["invalid"], scope["problems"], scope["asked"]) == (2, 1, 2, 2)
        assert "does not pass (failed: " in scope["invalid_cases"][BROKEN]
    asked = {(row["task_id"], row["perturbation"]) for row in messages(project / "once", "record")}
    assert ("own/0", NAME) not in asked
    assert ("own/1", NAME) in asked


@pytest.mark.parametrize("name", ["cached", "saved"])
def test_a_baseline_from_elsewhere_says_the_same(project: Path, name: str) -> None:
    """Every number of baseline and candidate is that of the run that asked both."""
    there, here = (read_report(project / folder)["robustness"]["own"] for folder in ("once", name))

    text = json.dumps({recipe: there[recipe] for recipe in ("auto", "int8")})
    assert here == json.loads(text)


@pytest.mark.parametrize("name", ["cached", "saved"])
def test_an_invalid_problem_needs_no_baseline(project: Path, name: str) -> None:
    """The baseline's model is not loaded for it alone; what it cost beside another worker is not told here."""
    assert [row["recipe"] for row in messages(project / name, "generation")] == ["int8"]


def test_workers_share_the_energy_of_the_machine(project: Path) -> None:
    """One process meters it; every worker gets its part, and no joule is counted twice."""
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    rows = messages(project / "once", "generation")

    assert {row["recipe"] for row in rows} == {"auto", "control", "int8"}
    for energy in (row["energy"] for row in rows):
        late = energy["undefined"].startswith("the machine was metered for ")  # on a machine that is busy otherwise
        assert late or (energy["energy_wh"] > 0 and "divided evenly among the workers" in energy["method"])


def test_the_control_is_beside_the_candidate(project: Path) -> None:
    """The same model in another order: it changes nothing here, and is compared like a recipe."""
    section = read_report(project / "once")["robustness"]["own"]
    change = section["control"]["all"]["comparison"]

    assert (change["baseline"], change["broken"], change["mended"]) == ("auto", [], [])
    assert section["control"]["all"]["robust_pass@1"] == section["auto"]["all"]["robust_pass@1"]


def completions(folder: Path, *, leave: Sequence[str] = ()) -> str:
    """Write the solution of every problem as its completion, but for some."""
    labels = [f"{row['task_id']}{end}" for row in ROWS for end in ("", f"-{NAME}-s0")]
    solutions = {row["task_id"]: row["canonical_solution"] for row in ROWS}
    rows = [
        {"task_id": label, "completion": solutions[label.partition("-")[0]]} for label in labels if label not in leave
    ]
    return write_samples(folder / "completions.jsonl", rows)


@pytest.fixture
def replay(run: Run, pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Return a run that replays completions."""
    lay_out(pytester.path)
    return lambda file, *more: run("--qeval-completions", file, "--qeval-perturbation", NAME, "test_own.py", *more)


def test_its_test_is_skipped_with_the_reason(replay: Run, pytester: pytest.Pytester) -> None:
    """An invalid problem fails no run."""
    result = replay(completions(pytester.path), "-rs")

    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(
        ["  2 perturbed problems from 1 perturbation; left out: 1 invalid", f"SKIPPED*{BROKEN} is invalid: *"]
    )


def test_a_comparison_counts_what_was_evaluated(replay: Run, run: Run, pytester: pytest.Pytester) -> None:
    """A problem that was invalid in the earlier run is left out where the later one evaluated it, and nowhere else."""
    file = completions(pytester.path)
    replay(file, "--qeval-output", "a")
    for name, chosen in (("all", "own"), ("some", "not own/0")):
        replay(file, "--qeval-output", name, "-k", chosen)
        run("--qeval-compare", "a/records.jsonl", f"{name}/records.jsonl", "--qeval-output", f"{name}-compared")
        folders = (pytester.path / name, pytester.path / f"{name}-compared")
        live, compared = (read_report(folder)["robustness"]["own"]["replay"][NAME] for folder in folders)
        assert {**compared, "comparison": None} == live


LONE = "* case* without a nominal completion to compare with: the nominal case was not selected, or has another *"


def test_perturbed_completions_alone_have_no_rate(replay: Run, pytester: pytest.Pytester) -> None:
    """Nominal cases were deselected: that is told, and no share is."""
    result = replay(completions(pytester.path), "-k", NAME, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["  2 " + LONE.lstrip("* ")])
    scope = read_report(pytester.path / "out")["robustness"]["own"]["replay"]["all"]
    assert (scope["asked"], scope["unpaired"], scope["problems"], scope["missing"]) == (2, 2, 0, 0)


def test_a_part_of_what_was_made_is_told(replay: Run, pytester: pytest.Pytester) -> None:
    """The lines say how many of the perturbed problems were selected."""
    result = replay(completions(pytester.path), "-k", "own/1")

    result.stdout.fnmatch_lines(["  3 perturbed problems from 1 perturbation, of which 1 were selected"])
    result.stdout.no_fnmatch_line(LONE)


def test_samples_without_their_nominal_ones_are_told(replay: Run, pytester: pytest.Pytester) -> None:
    """As a file may hold them."""
    result = replay(completions(pytester.path, leave=["own/1"]))

    result.stdout.fnmatch_lines(["  1 " + LONE.lstrip("* ")])


def test_a_self_test_covers_perturbed_problems(run: Run, pytester: pytest.Pytester) -> None:
    """References pass, broken bodies do not; invalid problems are left out."""
    lay_out(pytester.path)
    result = run("--qeval-selftest", *ASKED, "test_own.py")

    assert result.ret == pytest.ExitCode.OK
    # three problems in full and half-given, two renamed, three with tabs
    result.stdout.fnmatch_lines(["self-test: own: 11 of 11 references pass, 33 of 33 broken bodies fail"])


def test_an_unknown_perturbation_is_refused_with_all_there_are(run: Run) -> None:
    """Categories, levels and sets are names, too; their spelling is free."""
    suite = ("--qeval-suite", "robustness", "--qeval-benchmark", "micro", "--qeval-limit", "1")
    asked = ("--qeval-selftest", *suite, "--collect-only", "-q")

    assert run(*asked, "--qeval-perturbation", "Function-Name").ret == pytest.ExitCode.OK
    result = run(*asked, "--qeval-perturbation", "docstrings")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Sets, categories and levels: screen, full, docstring, function name, *"])

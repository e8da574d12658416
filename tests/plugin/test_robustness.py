"""The suite `robustness` as a user meets it: one live run of the embedded model, and replays for everything else."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.perturb.catalogue import select
from pytest_qeval.perturb.perturbed_problems import perturb_problems
from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, WRONG, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]
RunIn = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.timeout(600)

WORDS = ("butter_fingers", "name_camel_case")
ASKED = tuple(part for word in WORDS for part in ("--qeval-perturbation", word))
SUITES = ("--qeval-suite", "micro", "--qeval-suite", "robustness")
ROBUST = ("--qeval-suite", "robustness")
DEMO = ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-limit", "3", *ASKED)
N = 6
BROKEN = {"micro/1-butter_fingers-s0", "micro/4-butter_fingers-s0", "micro/4-name_camel_case-s0"}
"""Of the second run's completions of six problems: two are lost when they are perturbed."""


def completions(broken: Iterable[str] = ()) -> list[Json]:
    """Return a completion of every case of six problems: the solution, or one that fails."""
    problems, lost = list(MICRO.load(None).problems.values())[:N], set(broken)
    cases = perturb_problems(problems, select(WORDS), seeds=1).problems
    return [
        {"task_id": case.label, "completion": WRONG if case.label in lost else problem.canonical_solution}
        for case, problem in cases.items()
    ]


def completed(records: Iterable[Json]) -> dict[tuple[str, str, str | None, int], tuple[str, str, str]]:
    """Return prompt difference, completion and outcome of every case."""
    return {
        key_of(one): (one.get("prompt_diff", ""), one["samples"][0]["completion"], one["outcome"]) for one in records
    }


def key_of(record: Json) -> tuple[str, str, str | None, int]:
    return record["recipe"], record["task_id"], record["perturbation"], record["seed"]


def means(section: Json) -> Json:
    """Leave out of a recipe's section how it compares."""
    return {scope: {**numbers, "comparison": None} for scope, numbers in section.items()}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, run_in: RunIn) -> Path:
    """Evaluate the embedded model on three problems, nominal in two suites; the folder of the reports."""
    folder = tmp_path_factory.mktemp("live")
    run_in(folder, "-p", "no:xdist", *DEMO, *SUITES, "--qeval-output", "out")
    return folder / "out"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory, run_in: RunIn) -> Path:
    """Replay `a`, which is saved, and `b`, which is compared with it; the folder of both."""
    folder = tmp_path_factory.mktemp("replayed")
    for name, broken, more in (
        ("a", (), ("--qeval-save-baseline", "a.json.gz")),
        ("b", BROKEN, ("--qeval-baseline", "a.json.gz")),
    ):
        file = write_samples(folder / f"{name}.jsonl", completions(broken))
        run_in(folder, "--qeval-completions", file, *SUITES, *ASKED, "--qeval-output", name, *more)
    return folder


def test_every_case_is_evaluated_once(live: Path) -> None:
    """Though nominal cases belong to both suites; none is missing."""
    records = read_records(live)
    report = read_report(live)

    assert set(Counter(map(key_of, records)).values()) == {1}
    for recipe in ("auto", "int8"):
        mine = [one for one in records if one["recipe"] == recipe]
        assert [one["task_id"] for one in mine if one["perturbation"] is None] == ["micro/0", "micro/1", "micro/2"]
        assert {one["perturbation"] for one in mine} == {None, *WORDS}
    assert (report["run"]["planned"], report["run"]["missing"]) == (len(records), 0)
    assert report["benchmarks"]["micro"]["results"]["int8"]["missing"] == 0
    facts = report["robustness"]["micro"]["int8"]["all"]
    assert facts["applied"] == sum(one["perturbation"] in WORDS for one in records) / 2


def test_workers_give_the_same_records(run: Run, pytester: pytest.Pytester, live: Path) -> None:
    """Each makes its own perturbations; they are the same everywhere, and the suite alone has the cases of both."""
    result = run("-n2", *DEMO, *ROBUST, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    assert completed(read_records(pytester.path / "out")) == completed(read_records(live))
    there, here = read_report(live)["robustness"], read_report(pytester.path / "out")["robustness"]
    assert here == there


def test_written_completions_give_the_same_numbers(run: Run, pytester: pytest.Pytester, live: Path) -> None:
    """Nominal and perturbed ones in one file, which names the problems."""
    parts = [live / f"{name}-int8.jsonl" for name in ("samples", "perturbed-samples")]
    pytester.path.joinpath("all.jsonl").write_text("".join(part.read_text(encoding="utf-8") for part in parts))
    result = run("--qeval-completions", "all.jsonl", *ASKED, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    there = read_report(live)["robustness"]["micro"]["int8"]
    assert means(read_report(pytester.path / "out")["robustness"]["micro"]["replay"]) == means(there)


def test_a_saved_baseline_covers_perturbed_cases(replayed: Path) -> None:
    """Two of six problems are lost only when they are perturbed; the nominal score has not changed."""
    report = read_report(replayed / "b")
    change = report["robustness"]["micro"]["replay"]["all"]["comparison"]

    assert change["broken"] == ["micro/1", "micro/4"]
    assert change["drop_increase"]["value"] == pytest.approx(2 / 6)
    assert [one["case"] for one in change["examples"]] == ["micro/4-butter_fingers-s0", "micro/1-butter_fingers-s0"]
    assert f"+{WRONG.rstrip()}" in change["examples"][0]["completion_diff"]
    assert report["benchmarks"]["micro"]["comparisons"]["replay"]["regressed"] == []


def test_a_saved_baseline_of_other_perturbations_is_refused(
    run: Run, pytester: pytest.Pytester, replayed: Path
) -> None:
    """A perturbation of another version makes another problem under the same name."""
    document = json.loads(gzip.decompress((replayed / "a.json.gz").read_bytes()))
    row = next(one for one in document["messages"] if one.get("perturbation") == "butter_fingers")
    row["prompt_diff"] += "\n+another typo"
    pytester.path.joinpath("a.json.gz").write_bytes(gzip.compress(json.dumps(document).encode()))
    file = str(replayed / "b.jsonl")
    result = run("--qeval-completions", file, *ROBUST, *ASKED, "--qeval-baseline", "a.json.gz")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a.json.gz has no record of 1 of this run's cases, such as micro/0-b*"])


def test_finished_runs_are_compared_like_live_ones(run: Run, pytester: pytest.Pytester, replayed: Path) -> None:
    """Nothing is perturbed again: the journals say what was."""
    before, after = (str(replayed / name / "records.jsonl") for name in "ab")
    result = run("--qeval-compare", before, after, "--qeval-output", "out", "--qeval-gate", "robust_drop <= 30%")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*FAIL  robust_drop <= 30%*"])
    there, here = (read_report(folder)["robustness"]["micro"] for folder in (replayed / "b", pytester.path / "out"))
    there["replay"] = json.loads(json.dumps(there["replay"]).replace("replay (saved)", "replay (before)"))
    assert here["replay"] == there["replay"]


@pytest.mark.parametrize(
    ("gate", "code"), [("robust_drop <= 40%", 0), ("robust_pass >= 0.7", 1), ("pass@1 >= 1", 0)]
)  # fmt: skip
def test_a_gate_decides_the_exit_status(run: Run, replayed: Path, gate: str, code: int) -> None:
    """Four of six are robust; nominal all are solved."""
    file = str(replayed / "b.jsonl")

    assert run("--qeval-completions", file, *ROBUST, *ASKED, "--qeval-gate", gate).ret == code


def test_an_unknown_perturbation_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    """Before anything is run."""
    result = run("--qeval-selftest", *ROBUST, "--qeval-perturbation", "tab_ident", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: there is no perturbation 'tab_ident'. Did you mean 'tab_indent'?*"])
    assert not (pytester.path / "out").exists()


def test_a_problem_that_cannot_be_perturbed_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    """Its prompt is no beginning of a function: one sentence, and exit status 4."""
    row = {"task_id": "own/0", "prompt": '"""Add."""\n', "entry_point": "add", "canonical_solution": "add = sum\n",
           "test": "def check(candidate):\n    assert candidate([1]) == 1\n"}  # fmt: skip
    write_samples(pytester.path / "own.jsonl", [row])
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.qeval_robustness("own.jsonl")
        def test_own(qeval, case):
            qeval(case)
        """
    )
    result = run("--qeval-selftest", *map(str, pytester.path.glob("test_*.py")))

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no problem of own could be perturbed by *begin a function*"])


def test_nominal_completions_have_no_robustness(run: Run, samples: Path) -> None:
    """A suite that is named says what it lacks."""
    result = run(*REPLAY, str(samples), *ROBUST)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*.jsonl holds no completion of a perturbed micro problem."])


def test_deselected_cases_are_not_missing(run: Run, pytester: pytest.Pytester, replayed: Path) -> None:
    """Without nominal completions there is no number, and a gate that needs one is broken."""
    file = str(replayed / "b.jsonl")
    gate = ("--qeval-gate", "robust_drop <= 100%")
    result = run("--qeval-completions", file, *ROBUST, *ASKED, *gate, "-k", "butter", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    report = read_report(pytester.path / "out")
    assert report["run"]["missing"] == 0
    assert report["robustness"]["micro"]["replay"]["all"]["problems"] == 0
    assert report["gates"][0]["reason"] == "no problem was evaluated"


def test_a_self_test_covers_the_cases_of_the_suite(run: Run) -> None:
    """Each is completed by its own solution: one nominal, one with typos, one renamed."""
    result = run("--qeval-selftest", *ROBUST, *ASKED, "--qeval-benchmark", "micro", "--qeval-limit", "1")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: micro: 3 of 3 references pass, 9 of 9 broken bodies fail"])


def test_several_samples_are_estimated(run: Run, pytester: pytest.Pytester) -> None:
    """Two samples a case, of which the perturbed second is wrong: half of what is solved nominally is kept."""
    right = completions()
    broken = completions(row["task_id"] for row in right if "butter" in row["task_id"])
    write_samples(pytester.path / "two.jsonl", [row for pair in zip(right, broken, strict=True) for row in pair])
    result = run("--qeval-completions", "two.jsonl", *ROBUST, *ASKED, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    section = read_report(pytester.path / "out")["robustness"]["micro"]["replay"]
    assert section["butter_fingers"]["robust_pass@1"]["value"] == pytest.approx(0.5)
    assert section["butter_fingers"]["robust_drop@1"]["value"] == pytest.approx(0.5)
    assert section["name_camel_case"]["robust_drop@1"]["value"] == 0


def test_a_loss_under_perturbation_is_a_regression(run: Run, replayed: Path) -> None:
    """`--qeval-strict` looks at perturbed cases as it does at others."""
    file, saved = (str(replayed / name) for name in ("b.jsonl", "a.json.gz"))
    result = run("--qeval-completions", file, *ROBUST, *ASKED, "--qeval-baseline", saved, "--qeval-strict")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == len(BROKEN)


def test_a_decision_leaves_no_perturbed_case_without_its_measure(run: Run, pytester: pytest.Pytester) -> None:
    """A gate on pass@1 that holds after one problem leaves the other nominal ones to be evaluated."""
    gate = ("--qeval-until-decided", "--qeval-gate", "pass@1 >= 0")
    result = run(*DEMO, *ROBUST, *gate, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    report = read_report(pytester.path / "out")
    assert report["robustness"]["micro"]["int8"]["all"]["problems"] == 3

"""Perturbations of a project's own, and those made of files: from the command line to the report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.schema import Json, Problem
from tests.plugin.runs import check_refusal, write_samples

Run = Callable[..., pytest.RunResult]

MODES = pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
DOCS = Path(__file__).parents[2] / "docs"
CONFTEST = """
from dataclasses import replace
from pytest_qeval.perturb.base import Perturbation
def pytest_qeval_perturbations():
    return [Perturbation(name={name!r}, category="format", level="format", summary="", invariant="", apply={apply})]
"""


@pytest.fixture
def example(pytester: pytest.Pytester) -> Path:
    """Copy the documented example into the project."""
    if not DOCS.is_dir():
        pytest.skip("an installed package has no documentation beside its tests")
    return Path(shutil.copytree(DOCS / "examples", pytester.path, dirs_exist_ok=True))


@pytest.fixture
def humaneval() -> Problem:
    """Return the first problem."""
    problem: Problem = registry.load("benchmarks", "humaneval").load(None).problems["HumanEval/0"]
    return problem


def write_completions(folder: Path, completions: Mapping[str, str]) -> str:
    """Write a samples file."""
    rows = ({"task_id": label, "completion": text} for label, text in completions.items())
    return write_samples(folder / "completions.jsonl", rows)


def scopes(folder: Path, benchmark: str) -> Json:
    """Read the robustness of the only recipe."""
    report = json.loads(folder.joinpath("out", "report.json").read_text(encoding="utf-8"))
    (recipe,) = report["robustness"][benchmark].values()
    found: Json = recipe
    return found


@MODES
def test_the_example_runs_as_documented(run: Run, example: Path, mode: tuple[str, ...]) -> None:
    """The command of the page, with shorter completions: every problem nominal and with a comment."""
    page = DOCS.joinpath("your-perturbations.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    pytest (.*)$", page, flags=re.MULTILINE)
    arguments = command.replace("docs/examples/", "").split()
    result = run(*mode, "--qeval-max-new-tokens", "4", "--qeval-output", "out", *arguments)

    assert result.ret == pytest.ExitCode.OK
    found = scopes(example, "ours")["stray_comment"]
    assert (found["applied"], found["unchanged"], found["invalid"], found["problems"]) == (4, 0, 0, 4)


def test_it_is_compared_with_the_nominal_problem(run: Run, example: Path) -> None:
    """Of two problems that are solved, one is lost: half of them."""
    rows = [json.loads(line) for line in example.joinpath("ours.jsonl").read_text(encoding="utf-8").splitlines()[:2]]
    right = {row["task_id"]: row["canonical_solution"] for row in rows}
    perturbed = {"ours/0-stray_comment-s0": right["ours/0"], "ours/1-stray_comment-s0": "    return None\n"}
    samples = write_completions(example, right | perturbed)
    result = run(
        "--qeval-completions", samples, "--qeval-perturbation", "stray_comment", "--qeval-output", "out",
        "test_ours_perturbed.py",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    assert scopes(example, "ours")["stray_comment"]["robust_drop@1"]["value"] == 0.5


@pytest.mark.usefixtures("example")
def test_it_is_listed(run: Run) -> None:
    """Beside ours, with what needs files below."""
    result = run("--qeval-list", "perturbations")

    result.stdout.fnmatch_lines(
        ["stray_comment  *a useless comment*", "tab_indent  *", "  back_translation  *", "  recode  *"]
    )


@MODES
def test_a_conftest_beside_the_tests_serves_the_suite(
    run: Run, example: Path, humaneval: Problem, mode: tuple[str, ...]
) -> None:
    """The suite's own file lies in the package, whichever process collects it."""
    example.joinpath("tests").mkdir()
    example.joinpath("conftest.py").rename(example / "tests" / "conftest.py")
    labels = ("HumanEval/0", "HumanEval/0-stray_comment-s0")
    samples = write_completions(example, dict.fromkeys(labels, humaneval.canonical_solution))
    result = run(
        *mode, "--qeval-completions", samples, "--qeval-suite", "robustness", "--qeval-limit", "1",
        "--qeval-perturbation", "stray_comment", "--qeval-output", "out",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    assert scopes(example, "humaneval")["stray_comment"]["robust_pass@1"]["value"] == 1.0


REFUSED = {
    "raises": ("mine", "lambda problem, rng: 1 / 0", "'mine' failed on ours/0-mine-s0 (ZeroDivisionError: "),
    "a name that is taken": ("tab_indent", "len", "'tab_indent': the name has a meaning already"),
    "changes the parameters": (
        "mine",
        "lambda problem, rng: replace(problem, prompt=problem.prompt.replace('(', '(one_more, ', 1))",
        "no problem of ours could be perturbed by mine (the parameters are (one_more, title) instead of (title)",
    ),
}


@MODES
def test_a_perturbation_that_no_test_reads_is_refused(run: Run, example: Path, mode: tuple[str, ...]) -> None:
    """A suite of one's own perturbs only where a marker asks for it."""
    for arguments in (("test_ours.py",), ("test_ours_perturbed.py", "test_ours.py", "-k", "not perturbed")):
        result = run(*mode, "--qeval-selftest", "--qeval-perturbation", "stray_comment", *arguments)

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        line = (
            "*--qeval-perturbation does nothing in this run, since no selected test perturbs problems: mark one with*"
        )
        (result.stderr if "no:xdist" in mode else result.stdout).fnmatch_lines([line])


@pytest.mark.parametrize("broken", REFUSED.values(), ids=REFUSED)
def test_a_broken_one_is_refused(run: Run, example: Path, broken: tuple[str, str, str]) -> None:
    """One sentence, exit status 4, before anything runs."""
    check_broken(run, example, broken, ("-p", "no:xdist"))


def test_workers_refuse_a_broken_one(run: Run, example: Path) -> None:
    """The controller repeats their sentence."""
    check_broken(run, example, REFUSED["raises"], ("-n2",))


@MODES
def test_an_unknown_one_is_told_with_its_ini_file(run: Run, example: Path, mode: tuple[str, ...]) -> None:
    """Workers, which find it, do not know what was typed."""
    example.joinpath("tox.ini").write_text("[pytest]\nqeval_perturbation = stray_coment\n", encoding="utf-8")
    result = run(*mode, "--qeval-selftest", "test_ours_perturbed.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"(qeval_perturbation is set in {example / 'tox.ini'})" in f"{result.stdout}\n{result.stderr}"


@MODES
def test_a_hook_that_fails_is_told_after_collection(run: Run, example: Path, mode: tuple[str, ...]) -> None:
    """Beside named test files its `conftest.py` may be read with them only."""
    path = example / "conftest.py"
    path.write_text("def pytest_qeval_perturbations():\n    return 1 / 0\n", encoding="utf-8")
    result = run(*mode, "--qeval-selftest", "test_ours_perturbed.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    output = f"{result.stdout}\n{result.stderr}"
    assert f"the hook pytest_qeval_perturbations of {path} (line 2) failed (ZeroDivisionError: division" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


def test_a_hook_that_fails_is_told_by_the_list(run: Run, pytester: pytest.Pytester) -> None:
    path = pytester.makeconftest("def pytest_qeval_perturbations():\n    return 1 / 0\n")

    check_refusal(run("--qeval-list", "perturbations"), f"ERROR: the hook * of {path} (line 2) failed (ZeroDivision*")


def check_broken(run: Run, example: Path, broken: tuple[str, str, str], mode: tuple[str, ...]) -> None:
    name, apply, sentence = broken
    example.joinpath("conftest.py").write_text(CONFTEST.format(name=name, apply=apply), encoding="utf-8")
    result = run(*mode, "--qeval-selftest", "--qeval-perturbation", name, "test_ours_perturbed.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert sentence in f"{result.stdout}\n{result.stderr}"
    assert "Traceback" not in f"{result.stdout}\n{result.stderr}"


@MODES
def test_files_are_evaluated_like_the_others(
    run: Run, pytester: pytest.Pytester, humaneval: Problem, mode: tuple[str, ...]
) -> None:
    """ReCode's, with the seeds of their names, and a translation, from the folder of data."""
    data = pytester.mkdir("data")
    fields = ("task_id", "entry_point", "test", "canonical_solution")
    row = {field: getattr(humaneval, field) for field in fields}
    for seed, prompt in ((0, humaneval.prompt), (3, humaneval.prompt.replace("Check", "cHeck"))):
        path = data / f"humaneval_ChangeCharCase_s{seed}.jsonl"
        path.write_text(json.dumps(row | {"prompt": prompt}), encoding="utf-8")
    translation = {"task_id": "HumanEval/0", "prompt": humaneval.prompt.replace("Check if", "Verify whether")}
    data.joinpath("back_translation.jsonl").write_text(json.dumps(translation), encoding="utf-8")
    labels = ("", "-recode:ChangeCharCase-s3", "-back_translation-s0")
    solution = humaneval.canonical_solution
    samples = write_completions(pytester.path, {f"HumanEval/0{label}": solution for label in labels})
    result = run(
        *mode, "--qeval-completions", samples, "--qeval-suite", "robustness", "--qeval-limit", "1",
        "--qeval-data", "data", "--qeval-perturbation", "recode", "--qeval-perturbation", "back_translation",
        "--qeval-output", "out",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    found = scopes(pytester.path, "humaneval")
    released = found["recode:ChangeCharCase"]
    assert (released["seeds"], released["applied"], released["unchanged"], released["category"]) == (
        2,
        1,
        1,
        "docstring",
    )
    assert found["back_translation"]["applied"] == 1
    assert found["all"]["robust_pass@1"]["value"] == 1.0


@pytest.mark.parametrize("word", ["recode", "back_translation", "rename_variable_model"])
def test_a_missing_file_is_refused(run: Run, pytester: pytest.Pytester, word: str) -> None:
    """Without a folder, and with one that does not hold it."""
    pytester.mkdir("data")
    asked = ("--qeval-selftest", "--qeval-suite", "robustness", "--qeval-perturbation", word)
    for more, sentence in (((), "is read from a file: name its folder"), (("--qeval-data", "data"), "data")):
        check_refusal(run(*asked, *more), f"ERROR: *{sentence}*")

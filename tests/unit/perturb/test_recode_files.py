"""ReCode's released files as perturbations: which of their problems are valid, and which are not."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.errors import DataError, UnknownNameError
from pytest_qeval.perturb.base import Perturbation, nominal_form, perturb_problem, seeds_of
from pytest_qeval.perturb.perturbed_problems import perturb_problems
from pytest_qeval.perturb.recode_files import find_files, recode_perturbation
from pytest_qeval.schema import Case, Problem
from tests.unit.perturb.builders import DATA, needs_recode, problems

TASK = Problem(
    benchmark="humaneval",
    task_id="HumanEval/0",
    prompt='def f(n):\n    """Return it."""\n',
    entry_point="f",
    test="def check(candidate):\n    assert candidate(1) == 1\n",
    canonical_solution="    m = n\n    return m\n",
)
Write = Callable[..., Path]

RELEASED = {
    "BackTranslation": (74, 62, 28),
    "ButterFingersPerturbation": (164, 0, 0),
    "ChangeCharCase": (164, 0, 0),
    "DeadCodeInserter": (123, 37, 4),
    "DeadCodeInserterLast": (125, 38, 1),
    "EnglishInflectionalVariation": (156, 8, 0),
    "ForWhileTransformer": (69, 93, 2),
    "FuncRenameButterFinger": (155, 8, 1),
    "FuncRenameCamelCase": (126, 37, 1),
    "FuncRenameChangeChar": (155, 8, 1),
    "FuncRenameInflectionalVariation": (95, 68, 1),
    "FuncRenameSwapChar": (62, 101, 1),
    "FuncRenameSynonymSub": (0, 164, 0),
    "OperandSwap": (101, 61, 2),
    "SwapCharactersPerturbation": (157, 7, 0),
    "SynonymInsertion": (65, 11, 88),
    "SynonymSubstitution": (61, 15, 88),
    "TenseTransformationFuture": (152, 12, 0),
    "TenseTransformationPast": (150, 14, 0),
    "VarRenamerCB": (76, 39, 49),
    "VarRenamerNaive": (76, 37, 51),
    "VarRenamerRN": (76, 37, 51),
    "WhitespacePerturbation": (143, 4, 17),
    "doc2comments": (164, 0, 0),
    "new_line_aftercode": (164, 0, 0),
    "new_line_afterdoc": (164, 0, 0),
    "new_lines": (133, 31, 0),
    "split_lines": (126, 31, 7),
    "tab_indent": (0, 0, 164),
}
"""Applied, unchanged and invalid of HumanEval's 164 problems, before anything is executed."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of one row, as in ReCode's release."""

    def write_file(name: str, **fields: str) -> Path:
        names = ("task_id", "prompt", "entry_point", "test", "canonical_solution")
        row = {name: getattr(TASK, name) for name in names} | fields
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(row).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return tmp_path

    return write_file


def counts(perturbation: Perturbation, *nominal: Problem) -> tuple[int, int, int, int]:
    """Return applied, unchanged, repeated and invalid."""
    found = perturb_problems(nominal, [perturbation], seeds=None).of[perturbation.name]
    return found.applied, found.unchanged, found.repeated, found.invalid


@needs_recode
@pytest.mark.parametrize(("name", "expected"), RELEASED.items(), ids=RELEASED)
def test_the_released_files_are_checked(name: str, expected: tuple[int, int, int]) -> None:
    """Every row is applied, unchanged or invalid, by the same check as ours."""
    applied, unchanged, repeated, invalid = counts(recode_perturbation(DATA, name), *problems("humaneval"))

    assert (applied, unchanged, invalid, repeated) == (*expected, 0)
    assert sum(expected) == 164


@needs_recode
def test_every_released_file_is_found() -> None:
    assert {name: list(seeds) for name, seeds in find_files(DATA).items()} == {name: [0] for name in RELEASED}


@needs_recode
def test_the_reasons_are_the_known_defects() -> None:
    """Docstrings that do not close, a test that calls the old name, renamed parameters, blanks after tabs."""
    reasons = {
        name: list(perturb_problems(problems("humaneval"), [one], seeds=None).of[one.name].reasons.values())
        for name in ("SynonymInsertion", "FuncRenameCamelCase", "VarRenamerNaive", "tab_indent")
        for one in [recode_perturbation(DATA, name)]
    }

    assert all("do not compile" in reason for reason in [*reasons["SynonymInsertion"], *reasons["tab_indent"]])
    assert reasons["FuncRenameCamelCase"] == ["the test names 'sort_third', but not 'sortThird'"]
    assert sum("the parameters are" in reason for reason in reasons["VarRenamerNaive"]) == 49


@needs_recode
def test_half_given_problems_are_recode_s_own() -> None:
    """There a solution of one line has no given half, so the nominal problem is the full one."""
    one = recode_perturbation(DATA, "doc2comments")
    whole = [problem for problem in problems("humaneval") if nominal_form(problem, one) == problem]

    assert len(whole) == 37


def test_seeds_are_those_of_the_names(write: Write) -> None:
    """Each file is one seed; all are used by default."""
    for seed, prompt in ((7, "# 7\n"), (2, "# 2\n"), (10, "")):
        data = write(f"nlaugmenter/humaneval_New_s{seed}.jsonl{'.gz' * (seed == 2)}", prompt=prompt + TASK.prompt)
    one = recode_perturbation(data, "New")

    assert (seeds_of(one, None), seeds_of(one, 2)) == ([2, 7, 10], [2, 7])
    assert [perturb_problem(TASK, one, seed).prompt[:3] for seed in (2, 7, 10)] == ["# 2", "# 7", "def"]
    assert counts(one, TASK) == (2, 1, 0, 0)


@pytest.mark.parametrize(
    ("path", "category", "level", "form"),
    [
        ("humaneval_ButterFingersPerturbation_s0.jsonl", "docstring", "character", "full"),
        ("humaneval_BackTranslation_s0.jsonl", "docstring", "sentence", "full"),
        ("humaneval_SynonymInsertion_s0.jsonl", "docstring", "word", "full"),
        ("humaneval_FuncRenameNew_s0.jsonl", "function name", "name", "full"),
        ("humaneval_new_lines_s0.jsonl", "format", "format", "half"),
        ("humaneval_OperandSwap_s0.jsonl", "syntax", "syntax", "half"),
        ("natgen/humaneval_Unheard_s0.jsonl", "syntax", "syntax", "half"),
    ],
)
def test_the_family_follows_from_folder_or_name(write: Write, path: str, category: str, level: str, form: str) -> None:
    """The families' folders are optional."""
    name = path.split("humaneval_")[1].removesuffix("_s0.jsonl")
    one = recode_perturbation(write(path), name)

    assert (one.category, one.level, one.form) == (category, level, form)


def test_half_is_ours_where_recode_s_is_missing(write: Write) -> None:
    """A perturbed half is compared with the nominal half of the same origin."""
    given = TASK.prompt + "    m = n\n"
    data = write("humaneval_new_lines_s0.jsonl", prompt=f"{given}\n", canonical_solution="    return m\n")
    one = recode_perturbation(data, "new_lines")
    half = Case(benchmark="humaneval", task_id="HumanEval/0", half=True)

    assert perturb_problems([TASK], [one], seeds=None).problems[half].prompt == given
    write("nominal/humaneval_partial.jsonl.gz", prompt=f"{given} ", canonical_solution="\n    return m\n")
    released = recode_perturbation(data, "new_lines")
    assert perturb_problems([TASK], [released], seeds=None).problems[half].prompt == f"{given} "
    both = perturb_problems([TASK], [one, replace(released, name="other")], seeds=None)
    assert both.of["other"].reasons == {
        "HumanEval/0-other-s0": "another perturbation of this run perturbs another half of it"
    }


def test_a_missing_row_leaves_the_problem_alone(write: Write) -> None:
    one = recode_perturbation(write("humaneval_ChangeCharCase_s0.jsonl", task_id="HumanEval/1"), "ChangeCharCase")

    assert counts(one, TASK) == (0, 1, 0, 0)


def test_bad_folders_are_refused(write: Write, tmp_path: Path) -> None:
    """No file, another transformation, an unknown family, two files for one seed."""
    with pytest.raises(DataError, match="there are no files of ReCode below"):
        find_files(tmp_path)
    data = write("humaneval_New_s0.jsonl")
    with pytest.raises(UnknownNameError, match=re.escape("Available: New.")):
        recode_perturbation(data, "Old")
    with pytest.raises(DataError, match="it is not known what New perturbs"):
        recode_perturbation(data, "New")
    write("format/humaneval_New_s0.jsonl")
    with pytest.raises(DataError, match="hold New, seed 0"):
        find_files(data)


def test_a_broken_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "humaneval_ChangeCharCase_s0.jsonl"
    path.write_text('\n{"task_id": 3}', encoding="utf-8")
    with pytest.raises(DataError, match="line 2: Expected `str`, got `int`"):
        recode_perturbation(tmp_path, "ChangeCharCase")
    path.rename(f"{path}.gz")
    with pytest.raises(DataError, match="cannot read"):
        recode_perturbation(tmp_path, "ChangeCharCase")


def test_other_benchmarks_are_refused(write: Write) -> None:
    """ReCode's MBPP is rewritten."""
    one = recode_perturbation(write("humaneval_ChangeCharCase_s0.jsonl"), "ChangeCharCase")
    with pytest.raises(DataError, match="add --qeval-benchmark humaneval"):
        perturb_problems([replace(TASK, benchmark="micro")], [one], seeds=None)

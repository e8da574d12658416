"""What every perturbation of prose holds, on all problems of HumanEval, micro and (where the data are) MBPP."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.perturb.base import Perturbation, perturb_problem
from pytest_qeval.perturb.docstring.prose import find_prose
from pytest_qeval.schema import Problem

CHARACTERS = ("butter_fingers", "change_case", "swap_characters", "whitespace")
SYNONYMS = ("synonym_insertion", "synonym_substitution")
INFLECTED = ("inflection", "tense_future", "tense_past")
NAMES = (*CHARACTERS, *SYNONYMS, *INFLECTED)
SEEDS = (0, 1, 2)

_DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
_SPAN = "[A-Za-z ,;'-]+?"


def load(name: str) -> Benchmark:
    """Load a benchmark, or skip where its data are not."""
    if name == "mbpp-function" and not (_DATA / "mbpp.jsonl").is_file():
        pytest.skip("MBPP's data is not part of this project: let QEVAL_TEST_DATA name a folder with mbpp.jsonl")
    benchmark: Benchmark = registry.load("benchmarks", name).load(_DATA)
    return benchmark


@pytest.fixture(scope="module", params=["humaneval", "micro", "mbpp-function"])
def benchmark(request: pytest.FixtureRequest) -> Benchmark:
    return load(request.param)


@pytest.fixture(scope="module", params=NAMES)
def perturbation(request: pytest.FixtureRequest) -> Perturbation:
    if request.param in INFLECTED:
        pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    found: Perturbation = registry.load("perturbations", request.param)
    return found


def differs_in_prose_only(problem: Problem, prompt: str) -> bool:
    """Compare with the spans masked: all else has to be there, byte by byte, and plain words in between."""
    parts, last = [], 0
    for start, stop in find_prose(problem.prompt, problem.entry_point).spans:
        parts.append(re.escape(problem.prompt[last:start]))
        last = stop
    return bool(re.fullmatch(_SPAN.join([*parts, re.escape(problem.prompt[last:])]), prompt))


def skeleton(problem: Problem) -> object:
    """Return what has to stay: all code, the docstring's examples, and whatever is no word in it."""
    tree = ast.parse(problem.prompt)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point]
    docstring = next(
        node.value
        for node in functions[-1].body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    text, docstring.value = str(docstring.value), ""
    lines = text.split("\n")
    doctests = [
        list(takewhile(str.strip, lines[number:])) for number, line in enumerate(lines) if line.lstrip()[:3] == ">>>"
    ]
    calls = [line for line in lines if f"{problem.entry_point}(" in line.replace(f"{problem.entry_point}()", "")]
    names = {problem.entry_point, *(argument.arg for argument in functions[-1].args.args)}
    mentions = {name: len(re.findall(rf"\b{re.escape(name)}\b", text)) for name in names}
    return ast.dump(tree), doctests, calls, mentions, len(lines), re.findall(r"[^\sA-Za-z,;'-]+|\w*_\w*", text)


def test_nothing_but_prose_changes(benchmark: Benchmark, perturbation: Perturbation) -> None:
    """Spans masked, the prompt is the same; and independently: code, examples, names and all that is no word are."""
    for problem in benchmark.problems.values():
        for seed in SEEDS:
            found = perturb_problem(problem, perturbation, seed)

            assert replace(found, prompt=problem.prompt) == problem  # entry point, test and solution stay
            assert differs_in_prose_only(problem, found.prompt), (problem.task_id, seed)
            assert skeleton(found) == skeleton(problem), (problem.task_id, seed)


def test_a_body_still_fits(benchmark: Benchmark, perturbation: Perturbation) -> None:
    """The docstring is closed: prompt and canonical solution are a program."""
    for problem in benchmark.problems.values():
        found = perturb_problem(problem, perturbation, 0)
        compile(found.prompt + found.canonical_solution, problem.task_id, "exec")


def test_a_seed_says_what_becomes_of_a_problem(benchmark: Benchmark, perturbation: Perturbation) -> None:
    """The same again for the same seed; another for another one, if the perturbation makes a choice."""
    problems = list(benchmark.problems.values())
    first, again, other = ([perturb_problem(problem, perturbation, seed) for problem in problems] for seed in (0, 0, 1))

    assert first == again
    assert (first != other) == perturbation.random


UNCHANGED: Mapping[str, Mapping[str, int]] = {
    # HumanEval/59 is one line with a formula in it: no prose at all.
    "humaneval": dict.fromkeys(CHARACTERS, 1)
    # Docstrings of technical terms only, such as "Return length of given string".
    | dict.fromkeys(SYNONYMS, 38)
    | {"inflection": 3, "tense_future": 5, "tense_past": 4},
    # Seven are one line with a formula, an operator or quotes that are not closed.
    "mbpp-function": dict.fromkeys(CHARACTERS, 7)
    | dict.fromkeys(SYNONYMS, 8)
    | {"inflection": 7, "tense_future": 8, "tense_past": 8},
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_few_problems_stay_as_they_are(name: str, perturbation: Perturbation) -> None:
    """Chance leaves no problem alone; only docstrings without a word that may change are, and they are counted."""
    problems = load(name).problems.values()
    unchanged = [problem.task_id for problem in problems if perturb_problem(problem, perturbation, 0) == problem]

    assert len(unchanged) == UNCHANGED[name][perturbation.name], unchanged


def digest() -> str:
    """Return one checksum over all perturbations of some problems of HumanEval."""
    problems = list(registry.load("benchmarks", "humaneval").load(None).problems.values())[::4]
    names = [name for name in NAMES if name not in INFLECTED or "lemminflect" in sys.modules]
    found = (
        perturb_problem(problem, registry.load("perturbations", name), 3) for name in names for problem in problems
    )
    return hashlib.sha256("\n".join(problem.prompt for problem in found).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_processes_agree(hash_seed: str) -> None:
    """What a worker asks is what the plan says: no set order and no hash decides."""
    pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    code = (
        "import importlib.util, lemminflect; "
        f"spec = importlib.util.spec_from_file_location('here', {__file__!r}); "
        "here = importlib.util.module_from_spec(spec); spec.loader.exec_module(here); print(here.digest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert output.stdout.strip() == digest()


PIECES = (
    "Return the largest elements of items is takes a string and Check whether",
    "x = 1", ">>> f(1)", "\n    ", "\n\n    ", "Example:", "'quoted words'", '"', "(some more words)", ".", ",", "\\n",
    "\\\\", "don't", "non-empty", "é", "[1, 2]", "- ", "True", "count_up",
)  # fmt: skip
DOCSTRING = st.lists(st.sampled_from([*PIECES[0].split(), *PIECES[1:]]), max_size=40).map(" ".join)


@given(docstring=DOCSTRING, name=st.sampled_from(NAMES), seed=st.integers(0, 3))
def test_no_docstring_breaks(docstring: str, name: str, seed: int) -> None:
    """Whatever a docstring says, it is closed afterwards as it was before, and only its prose is other."""
    assume(name not in INFLECTED or "lemminflect" in sys.modules or pytest.importorskip("lemminflect"))
    problem = Problem(
        benchmark="b",
        task_id="b/0",
        prompt=f"def f(items):\n    ''' {docstring} '''\n",
        entry_point="f",
        test="",
        canonical_solution="    return items\n",
    )
    found = perturb_problem(problem, registry.load("perturbations", name), seed)

    assert differs_in_prose_only(problem, found.prompt)
    assert skeleton(found) == skeleton(problem)

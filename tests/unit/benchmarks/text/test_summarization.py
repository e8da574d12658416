"""The packaged pairs of `summarization`, and how they were drawn."""

from __future__ import annotations

import ast
import json
import sys
import sysconfig
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from build_summarization.pairs import N_PAIRS, choose

from pytest_qeval.benchmarks.text import summarization
from pytest_qeval.benchmarks.text.summarization import PATH, SHA256, SUMMARIZATION
from pytest_qeval.errors import DataError
from pytest_qeval.quantize.corpus import stdlib_functions
from pytest_qeval.quantize.overlap import find_overlap

STDLIB = Path(sysconfig.get_path("stdlib"))
ROWS = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]
MADE_BY = ROWS[0]["python"]


def test_the_file_is_the_one_that_was_frozen() -> None:
    benchmark = SUMMARIZATION.load(None)

    assert (len(benchmark.problems), benchmark.sha256) == (N_PAIRS, SHA256)
    assert list(benchmark.problems) == [f"summarization/{n}" for n in range(N_PAIRS)]


def test_an_edited_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores on other sentences could not be compared."""
    edited = tmp_path / "summarization.jsonl"
    edited.write_bytes(PATH.read_bytes().replace(b"Return", b"Give", 1))
    monkeypatch.setattr(summarization, "PATH", edited)

    with pytest.raises(DataError, match="is not as it was packaged"):
        SUMMARIZATION.load(None)


def test_every_pair_is_a_short_function_and_a_sentence() -> None:
    """3 to 25 lines that parse, one function without docstring; nothing twice, many modules, no tests."""
    for row in ROWS:
        (function,) = ast.parse(row["code"]).body
        assert isinstance(function, ast.FunctionDef)
        assert ast.get_docstring(function) is None
        assert 3 <= sum(bool(line.strip()) for line in row["code"].splitlines()) <= 25
        assert row["reference"][0].isupper()
        assert row["reference"].endswith(".")
        assert "\n" not in row["reference"]
        assert "\r" not in row["code"]
    assert len({row["code"] for row in ROWS}) == len({row["reference"] for row in ROWS}) == N_PAIRS
    packages = Counter(row["module"].removesuffix(".py").split("/")[0] for row in ROWS)
    assert len(packages) >= 20
    assert max(packages.values()) <= N_PAIRS / 9
    assert not any("test" in part for row in ROWS for part in row["module"].split("/")[:-1] if part != "unittest")


def test_pythons_licence_lies_beside_them() -> None:
    licence = PATH.with_name("summarization.LICENSE.txt").read_text(encoding="utf-8")

    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in licence


@pytest.mark.skipif(
    ".".join(map(str, sys.version_info[:3])) != MADE_BY or not (STDLIB / "tkinter").is_dir(),
    reason=f"the pairs are from the complete standard library of Python {MADE_BY}",
)
def test_the_script_draws_the_same_pairs_again() -> None:
    drawn = "".join(json.dumps(asdict(pair)) + "\n" for pair in choose(STDLIB))

    assert drawn.encode() == PATH.read_bytes()


def test_pairs_are_drawn_in_turn_from_what_there_is(tmp_path: Path) -> None:
    """From packages and private modules; no tests, nothing recipes are calibrated on, nothing without a sentence."""
    good = 'def {0}(x):\n    """Give the {0} of it.{1}"""\n    y = x\n    return y\n'
    files = {
        "_private.py": "".join(good.format(name, "") for name in ("one", "two")),
        "package/module.py": good.format("three", "\n\n    More.\n    "),
        "package/long.py": good.format("four", "\n    It goes on.\n    "),
        "package/tests/module.py": good.format("five", ""),
        "package/short.py": 'def six(x):\n    """Give the six of it."""\n    return x\n',
        "package/twice.py": good.format("three", ""),
        "public.py": good.format("seven", ""),
        "email/message.py": good.format("eight", ""),
        "package/broken.py": "def nine(:\n",
    }
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")

    drawn = choose(tmp_path)

    assert [(pair.module, pair.name) for pair in drawn] == [
        ("_private.py", "one"), ("_private.py", "two"), ("package/module.py", "three"),
    ]  # fmt: skip
    assert drawn[2].code == "def three(x):\n    y = x\n    return y\n"
    assert [pair.task_id for pair in drawn] == [f"summarization/{n}" for n in range(3)]
    assert choose(tmp_path) == drawn


def test_no_recipe_is_calibrated_on_them() -> None:
    """Whatever the seed: not one text of the default calibration overlaps with a problem."""
    problems = [(row["task_id"], row["code"] + row["reference"]) for row in ROWS]

    assert find_overlap(stdlib_functions(STDLIB), problems) is None

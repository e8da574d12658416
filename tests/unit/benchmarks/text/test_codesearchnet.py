"""CodeSearchNet's rows, from a folder or the hub."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.text import codesearchnet
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.benchmarks.text.codesearchnet import CODESEARCHNET, FILES
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Json

Load = Callable[..., TextBenchmark]

ROW: Json = {
    "func_name": "Point.add",
    "code": 'def add(self, other):\n    """Give the sum of two points.\n\n    :param other: a point\n    """\n    '
    "return self.x + other.x\n",
    "code_tokens": ["def", "add", "(", "self", ",", "other", ")", ":", "return", "self", ".", "x"],
    "docstring": "Give the sum of two points.\n\n    :param other: a point",
    "docstring_tokens": ["Give", "the", "sum", "of", "two", "points", "."],
}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write rows where they are looked for first, and read them."""

    def write_and_load(*rows: Json) -> TextBenchmark:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / FILES[0]).write_text(text, encoding="utf-8")
        benchmark = CODESEARCHNET.load(tmp_path)
        assert isinstance(benchmark, TextBenchmark)
        return benchmark

    return write_and_load


def test_the_docstring_is_the_reference_and_not_in_the_code(load: Load) -> None:
    benchmark = load(ROW)
    problem = benchmark.problems["CodeSearchNet/0"]

    assert problem.prompt == "def add(self, other):\n    return self.x + other.x\n"
    assert problem.canonical_solution == "Give the sum of two points ."
    assert problem.entry_point == "add"
    assert benchmark.prompt(problem, "source").text == " ".join(ROW["code_tokens"])


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({"docstring_tokens": ["r", "Give", "it"]}, "Give it"),
        ({"docstring_tokens": None}, "Give the sum of two points."),
        ({"docstring_tokens": ["Give", "\n", "it"]}, "Give it"),
    ],
    ids=["raw-string", "no-tokens", "line-end"],
)
def test_the_reference_is_the_first_paragraph(load: Load, changes: Json, reference: str) -> None:
    """Its tokens joined by blanks, without the prefix of a raw string; else the text."""
    assert load(ROW | changes).problems["CodeSearchNet/0"].canonical_solution == reference


def test_python_2_loses_its_docstring_too(load: Load) -> None:
    """Half of the data is older than Python 3, which cannot parse it."""
    benchmark = load(
        ROW | {"code": 'def add(self):\r\n\t"""Give the sum of two points."""\r\n\tprint self.x, 0777\r\n'}
    )

    assert benchmark.problems["CodeSearchNet/0"].prompt == "def add(self):\n\tprint self.x, 0777\n"


@pytest.mark.parametrize(
    "code",
    [
        'def add(self):\n    x = 1\n    """Give the sum of two points."""\n',
        'def add(self):\n  """Give the sum of two points.',
    ],
    ids=["elsewhere", "torn"],
)
def test_code_that_still_contains_it_is_left_out(load: Load, code: str) -> None:
    """A prompt must not contain the reference; the task ids of the others do not change."""
    benchmark = load(ROW | {"code": code}, ROW)

    assert list(benchmark.problems) == ["CodeSearchNet/1"]
    assert benchmark.excluded == {"CodeSearchNet/0": "its docstring could not be taken out of its code"}


def test_tokens_that_contain_it_are_not_given_to_an_encoder(load: Load) -> None:
    tokens = ["def", "add", ":", '"""', "Give the sum of two points.", '"""']
    benchmark = load(ROW | {"code_tokens": tokens})

    assert "Give the sum" not in benchmark.prompt(benchmark.problems["CodeSearchNet/0"], "source").text


def test_an_empty_docstring_is_left_out(load: Load) -> None:
    silent = ROW | {"docstring": "", "docstring_tokens": [], "code": "def f():\n    pass\n"}

    assert load(silent, ROW).excluded == {"CodeSearchNet/0": "its docstring is empty"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": None, "code_tokens": None}, r"line 1: expected code or code_tokens"),
        ({"docstring": None, "docstring_tokens": None}, r"line 1: expected docstring or docstring_tokens"),
        ({"code": 3}, r"line 1: expected text in the field code"),
        ({"docstring_tokens": [3]}, r"line 1: expected a list of texts in the field docstring_tokens"),
    ],
)
def test_a_wrong_row_is_named(load: Load, changes: Json, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load(ROW | changes)


def test_a_file_without_functions_is_refused(load: Load) -> None:
    with pytest.raises(DataError, match="holds no functions with docstrings"):
        load()


@pytest.mark.parametrize("name", FILES)
def test_it_is_found_under_all_its_names(tmp_path: Path, name: str) -> None:
    """CodeXGLUE's own layout included, compressed or not."""
    assert not CODESEARCHNET.is_here(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(ROW).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    assert CODESEARCHNET.is_here(tmp_path)
    assert list(CODESEARCHNET.load(tmp_path).problems) == ["CodeSearchNet/0"]


def test_the_hub_has_the_same_problems(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows from there give the checksum that the file gives, so that a saved baseline holds for both."""
    fetched: list[tuple[str, ...]] = []

    def fetch(*arguments: str, split: str, title: str, remedy: str) -> list[Json]:
        fetched.append((*arguments, split))
        assert "codesearchnet-python.jsonl" in remedy
        return [ROW | {"id": 0, "license": "unknown"}]

    monkeypatch.setattr(codesearchnet, "fetch_rows", fetch)

    assert CODESEARCHNET.load(None).sha256 == load(ROW).sha256
    assert fetched == [("google/code_x_glue_ct_code_to_text", "python", "test")]

"""The sanitized edition of MBPP."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from pytest_qeval.benchmarks import mbpp
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.mbpp import MBPP_SANITIZED
from pytest_qeval.benchmarks.rows import sha256_of
from pytest_qeval.errors import DataError
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Json
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation

Load = Callable[..., Benchmark]

PLAIN: Json = {
    "source_file": "a notebook",
    "task_id": 12,
    "prompt": "Write a function to halve a number.",
    "code": "def half(n):\n  return n / 2 ",
    "test_imports": [],
    "test_list": ["assert half(2) == 1"],
}
ODD = [
    PLAIN,
    PLAIN | {"task_id": 13, "test_imports": ["import math"], "test_list": ["assert math.isclose(half(1), 0.5)"]},
    PLAIN | {"task_id": 14, "test_list": ["assert not half(0)", "assert set([half(4)]) == set((2, ))"]},
    PLAIN
    | {"task_id": 15, "code": "def g(n):\n return n\ndef half(n):\n return g(n) / 2", "test_list": ["assert half(1)"]},
]


def accept_any_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use rows of our own as if they were the published ones."""
    monkeypatch.setattr(mbpp, "verify_sha256", lambda content, *_, **__: sha256_of(content))


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a way to read rows of our own as if they were the published ones."""

    def load_rows(*rows: object) -> Benchmark:
        content = json.dumps(rows).encode()
        (tmp_path / "sanitized-mbpp.json").write_bytes(content)
        accept_any_content(monkeypatch)
        return MBPP_SANITIZED.load(tmp_path)

    return load_rows


def test_references_pass_whatever_their_tests_look_like(load: Load) -> None:
    """Tests of this edition are not all of the form `f(x) == y`, and some import what they need."""
    benchmark = load(*ODD)
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        right = [pool.submit(benchmark.program(one, one.canonical_solution)) for one in benchmark.problems.values()]
        wrong = [
            pool.submit(benchmark.program(one, "def half(n): return -7"))
            for one in list(benchmark.problems.values())[:3]
        ]

        assert [future.result().status for future in right] == ["passed"] * 4
        assert [future.result().status for future in wrong] == ["failed"] * 3


def test_its_prompts_have_the_form_of_mbpp(load: Load) -> None:
    """Text and first test in a docstring, the same stops, the same split, the same ids."""
    benchmark = load(*(PLAIN | {"task_id": number} for number in (10, 11, 510, 511)))

    assert benchmark.name == "mbpp-sanitized"
    assert list(benchmark.problems) == ["MBPP/11", "MBPP/510"]
    problem = benchmark.problems["MBPP/11"]
    assert benchmark.prompt(problem).text == '"""\nWrite a function to halve a number.\nassert half(2) == 1\n"""\n'
    assert problem.canonical_solution == "def half(n):\n  return n / 2 \n"
    assert benchmark.stops == mbpp.SCRIPT_STOPS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON .*truncated"),
        (json.dumps([PLAIN]).encode()[:-9], "not JSON .*truncated"),
        (b"[]", "holds no problems"),
        (b"{}", "expected a JSON array of objects, found dict"),
        (b"[3]", "entry 1: expected a JSON object, found int"),
        (b"\xff", "not UTF-8"),
        (json.dumps([PLAIN, PLAIN]).encode(), "entry 2: the task id 12 occurs twice"),
        (json.dumps([PLAIN | {"prompt": 3}]).encode(), r"entry 1 \(task id 12\): expected the text fields prompt"),
        (
            json.dumps([PLAIN | {"test_imports": "import math"}]).encode(),
            r"entry 1 \(task id 12\): expected a list of statements in the field test_imports",
        ),
        (
            json.dumps([PLAIN | {"test_imports": ["import"]}]).encode(),
            r"entry 1 \(task id 12\): expected Python in code, test_imports and test_list",
        ),
        (json.dumps([PLAIN]).encode(), r"is not sanitized MBPP: sha256 \w+…, expected ca95deaa9a01…"),
    ],
)
def test_bad_data_names_file_and_entry(tmp_path: Path, content: bytes, message: str) -> None:
    """File and entry where an entry is wrong, the checksum where all could be read."""
    path = tmp_path / "sanitized-mbpp.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message) as caught:
        MBPP_SANITIZED.load(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_hubs_rows_give_the_published_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One array on one line, without an end of line, the fields in the file's order."""

    def load_dataset(name: str, config: str, *, split: str) -> object:
        assert (name, config, split) == ("google-research-datasets/mbpp", "sanitized", "prompt+test+validation+train")
        return [dict(sorted(row.items())) for row in ODD]

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined] # a stand-in
    monkeypatch.setitem(sys.modules, "datasets", module)
    accept_any_content(monkeypatch)

    assert len(MBPP_SANITIZED.load(tmp_path).problems) == 4

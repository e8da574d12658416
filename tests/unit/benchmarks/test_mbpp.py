"""MBPP's rows become problems in both forms."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks import mbpp
from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.mbpp import MBPP, MBPP_ALL, MBPP_FUNCTION
from pytest_qeval.benchmarks.mbpp_rows import read_rows
from pytest_qeval.benchmarks.rows import sha256_of
from pytest_qeval.errors import DataError
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Json
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation

Load = Callable[..., Benchmark]

PLAIN: Json = {
    "text": "Write a function to double a number.",
    "code": "def twice(n):\r\n\treturn n + n",
    "task_id": 11,
    "test_setup_code": "",
    "test_list": ["assert twice(1) == 2", "assert twice(2)==4 ", "assert twice(-1) == -2"],
    "challenge_test_list": [],
}


def row(code: str, *tests: str, **fields: object) -> Json:
    return PLAIN | {"code": code, "test_list": list(tests), **fields}


ODD_ROWS: Mapping[str, Json] = {
    "tabs and CRLF": PLAIN,
    "called check": row("def rev(n):\r\n    return -n\r\ndef check(n):\r\n    return rev(n)", "assert check(3) == -3"),
    "called sum": row("def sum(a, b):\n sum = a\n for _ in range(b): sum += 1\n return sum", "assert sum(2, 3) == 5"),
    "wrapped call": row("def lobb(n): \n\treturn n / 1", "assert int(lobb(5)) == 5"),
    "several functions": row("def g(n):\n  return n\ndef f(n):\n  return g(n)", "assert f(1) == 1", "assert f(2) == 2"),
    "a class inside": row("class P:\n  v = 3\ndef f():\n  return P().v", "assert f() == 3"),
    "a module's constant": row("import math\nMAX = 4\ndef f(n):\n  return math.sqrt(MAX) * n", "assert f(2) == 4.0"),
    "setup uses the program": row(
        "def make(n):\n  return [n]\ndef f(x):\n  return x[0]",
        "assert f(root) == 7",
        test_setup_code="root = make(7) \r\nroot.append(1)",
    ),
    "setup hides a name": row("def f(x):\n  return x", "assert f(data) == [1]", test_setup_code="data = [1]"),
    "a message for a tuple": row("def f(x):\n return x", "assert f(1) == 1,2"),
    "no ASCII": row("def f(x):\n  return 'n’th ' + x", "assert f('é') == 'n’th é'", text="1²+2²: n’th"),
    "backslashes": row("import re\ndef f(x):\n  return re.split('\\w|\\n', x)", "assert f('\\na') == ['', '', '']"),
    "a test over two lines": row("def f(*x):\n  return len(x)", "assert f(1,\r\n  2) == 2\n"),
    "one line": row("def f(x): return x", "assert f(1) == 1"),
}


def accept_any_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use rows of our own as if they were the published ones."""
    monkeypatch.setattr(mbpp, "verify_sha256", lambda content, *_, **__: sha256_of(content))


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a way to read rows of our own as if they were the published ones."""

    def load_rows(source: BenchmarkSource, *rows: object) -> Benchmark:
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / "mbpp.jsonl").write_bytes(content)
        accept_any_content(monkeypatch)
        return source.load(tmp_path)

    return load_rows


def numbered(rows: Iterable[Json]) -> list[Json]:
    return [row | {"task_id": 11 + index} for index, row in enumerate(rows)]


def execute(benchmark: Benchmark, completions: Mapping[str, str]) -> dict[str, Execution]:
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=20.0, workers=2)) as pool:
        problems = benchmark.problems
        futures = {id_: pool.submit(benchmark.program(problems[id_], text)) for id_, text in completions.items()}
        return {task_id: future.result() for task_id, future in futures.items()}


@pytest.mark.parametrize("source", [MBPP, MBPP_FUNCTION], ids=lambda source: source.name)
def test_the_reference_of_every_odd_row_passes(load: Load, source: BenchmarkSource) -> None:
    """Whatever the name of the function and the style of the reference."""
    benchmark = load(source, *numbered(ODD_ROWS.values()))
    found = execute(benchmark, {id_: problem.canonical_solution for id_, problem in benchmark.problems.items()})

    assert {name: one for name, one in zip(ODD_ROWS, found.values(), strict=True) if one.status != "passed"} == {}


def test_a_function_that_returns_nothing_passes_no_odd_row(load: Load) -> None:
    """A test that an empty function passes tests nothing."""
    benchmark = load(MBPP, *numbered(ODD_ROWS.values()))
    stubs = {id_: f"def {problem.entry_point}(*args): return None\n" for id_, problem in benchmark.problems.items()}
    helpers = {"MBPP/18": "def make(n): return [n]\n" + stubs["MBPP/18"]}  # the setup needs it

    found = execute(benchmark, stubs | helpers)

    assert {execution.status for execution in found.values()} <= {"failed", "error"}
    assert found["MBPP/18"].status == "failed"


@pytest.mark.parametrize(
    ("odd", "name"),
    [("called check", "check"), ("called sum", "sum"), ("wrapped call", "lobb"), ("several functions", "f")],
)
def test_the_entry_point_is_read_from_the_tests(load: Load, odd: str, name: str) -> None:
    """It is the function that all tests call, whatever else is defined or called."""
    (problem,) = load(MBPP, ODD_ROWS[odd]).problems.values()

    assert problem.entry_point == name


def test_the_test_calls_the_candidate_alone(load: Load) -> None:
    """A renamed function can be judged by the same test."""
    (problem,) = load(MBPP, ODD_ROWS["wrapped call"]).problems.values()

    assert problem.test == "def check(candidate):\n    assert int(candidate(5)) == 5\n"


def test_the_script_form_shows_the_text_and_the_first_test(load: Load) -> None:
    """InCoder's and bigcode's prompt, character by character; the other tests stay unseen."""
    benchmark = load(MBPP, PLAIN)
    (problem,) = benchmark.problems.values()

    assert benchmark.prompt(problem).text == '"""\nWrite a function to double a number.\nassert twice(1) == 2\n"""\n'
    assert problem.canonical_solution == "def twice(n):\n\treturn n + n\n"
    assert benchmark.stops == ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")


def test_the_function_form_ends_where_a_body_begins(load: Load) -> None:
    """Signature, text and all tests as examples, indented by four blanks whatever the reference does."""
    benchmark = load(MBPP_FUNCTION, PLAIN)
    (problem,) = benchmark.problems.values()

    assert benchmark.prompt(problem).text == (
        "def twice(n):\n"
        '    """\n'
        "    Write a function to double a number.\n"
        "    >>> twice(1)\n"
        "    2\n"
        "    >>> twice(2)\n"
        "    4\n"
        "    >>> twice(-1)\n"
        "    -2\n"
        '    """\n'
    )
    assert problem.canonical_solution == "    return n + n\n"


def test_helpers_follow_the_body_that_needs_them(load: Load) -> None:
    """The prompt gives none of the reference away."""
    (problem,) = load(MBPP_FUNCTION, ODD_ROWS["a module's constant"]).problems.values()

    assert problem.prompt.startswith("def f(n):\n")
    assert problem.canonical_solution == "    return math.sqrt(MAX) * n\n\n\nimport math\nMAX = 4\n"


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ("a message for a tuple", "    >>> f(1)\n    1\n"),
        ("wrapped call", "    >>> int(lobb(5))\n    5\n"),
        ("a test over two lines", "    >>> f(1, 2)\n    2\n"),
    ],
)
def test_examples_say_what_the_test_means(load: Load, odd: str, shown: str) -> None:
    """`assert f(1) == 1,2` compares with 1: the 2 is the message of the assertion."""
    (problem,) = load(MBPP_FUNCTION, ODD_ROWS[odd]).problems.values()

    assert shown in problem.prompt


LETTERS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters='"'))


@given(LETTERS, LETTERS)
def test_a_docstring_holds_the_text_of_the_row(text: str, argument: str) -> None:
    """Backslashes, quotes and foreign letters are unchanged in the literal."""
    content = json.dumps(row("def f(x):\n return x", f"assert f({argument!r}) == {argument!r}", text=text)).encode()
    (read,) = read_rows(content, source="file")
    namespace: dict[str, Callable[[], None]] = {}

    exec(f"{mbpp.function_prompt(read)}    return None\n", namespace)  # noqa: S102 - our own prompt

    doc = str(namespace["f"].__doc__)
    assert text in doc
    assert f"    >>> f({argument!r})\n    {argument!r}\n" in doc


def test_the_test_split_is_used_unless_all_are_wanted(load: Load) -> None:
    """Ids 11 to 510 by the paper; the others are for prompts, validation and training."""
    rows = [PLAIN | {"task_id": number} for number in (1, 10, 11, 510, 511, 974)]

    assert list(load(MBPP, *rows).problems) == ["MBPP/11", "MBPP/510"]
    assert list(load(MBPP_FUNCTION, *rows).problems) == ["MBPP/11", "MBPP/510"]
    assert list(load(MBPP_ALL, *rows).problems) == [f"MBPP/{row['task_id']}" for row in rows]


def test_what_cannot_be_judged_is_left_out_with_its_reason(load: Load) -> None:
    """Only problems of the chosen split are counted."""
    rows = [PLAIN | {"task_id": number} for number in (11, 367, 601)]
    benchmark = load(MBPP, *rows)

    assert list(benchmark.problems) == ["MBPP/11"]
    assert benchmark.excluded == {"MBPP/367": "its tests build objects of a class that the program defines"}
    assert set(load(MBPP_ALL, *rows).excluded) == {"MBPP/367", "MBPP/601"}


LINE = json.dumps(PLAIN).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no problems"),
        (LINE[:-20], "line 1: not JSON .*truncated"),
        (LINE + b'{"text": "\xff"}\n', r"line 2: not UTF-8 \(invalid start byte at byte 11\)"),
        (LINE + LINE, "line 2: the task id 11 occurs twice"),
        (b"{}\n", "line 1: expected a whole number in the field task_id"),
        (b'{"task_id": 7}\n', r"line 1 \(task id 7\): expected the text fields text, code, test_setup_code"),
        (json.dumps(PLAIN | {"task_id": "11"}).encode(), "line 1: expected a whole number in the field task_id"),
        (
            json.dumps(PLAIN | {"test_list": []}).encode(),
            r"line 1 \(task id 11\): expected a list of assert statements",
        ),
        (
            json.dumps(PLAIN | {"test_list": [3]}).encode(),
            r"line 1 \(task id 11\): expected a list of assert statements",
        ),
        (json.dumps(PLAIN | {"code": "def f(:"}).encode(), r"line 1 \(task id 11\): expected Python in code"),
        (json.dumps(PLAIN | {"test_list": ["twice(1)"]}).encode(), r"line 1 \(task id 11\): expected tests like"),
        (json.dumps(PLAIN | {"test_list": ["assert 2 == 2"]}).encode(), r"line 1 \(task id 11\): expected tests like"),
        (
            json.dumps(PLAIN | {"test_list": ["assert len('') == 0"]}).encode(),
            r"no function that code defines \(twice\)",
        ),
        (json.dumps(PLAIN | {"code": "x = 1"}).encode(), r"no function that code defines \(none\)"),
        (LINE, r"is not MBPP: sha256 \w+…, expected ccf64ceae9c5…"),
    ],
)
def test_bad_data_names_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    """File and line where a line is wrong, the checksum where all lines could be read."""
    path = tmp_path / "mbpp.jsonl"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message) as caught:
        MBPP.load(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def fake_hub(monkeypatch: pytest.MonkeyPatch, rows: object) -> None:
    def load_dataset(name: str, config: str, *, split: str) -> object:
        assert (name, config, split) == ("google-research-datasets/mbpp", "full", "prompt+test+validation+train")
        if isinstance(rows, Exception):
            raise rows
        return rows

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined] # a stand-in
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_without_a_file_the_rows_come_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its rows give the bytes of the published file, whatever the order of their fields."""
    fake_hub(monkeypatch, [dict(sorted(PLAIN.items()))])
    accept_any_content(monkeypatch)

    assert list(MBPP.load(tmp_path).problems) == ["MBPP/11"]


def test_other_rows_under_that_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub data set that changed is not MBPP any more."""
    fake_hub(monkeypatch, [PLAIN])
    with pytest.raises(DataError, match="hub:google-research-datasets/mbpp is not MBPP"):
        MBPP.load(None)
    fake_hub(monkeypatch, [{"task_id": 11, "text": "", "code": ""}])
    with pytest.raises(DataError, match=r"hub:google-research-datasets/mbpp, line 1 \(task id 11\): expected the text"):
        MBPP.load(None)


@pytest.mark.parametrize("error", [ConnectionError("offline\nsince noon"), ValueError("no such data set")])
def test_an_unreachable_hub_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Offline, a folder helps, and the message says so in one line."""
    fake_hub(monkeypatch, error)

    with pytest.raises(
        DataError, match=r"^MBPP could not be fetched.*: point --qeval-data at a folder with mbpp.jsonl.$"
    ):
        MBPP.load(None)


def test_without_the_hubs_package_there_is_the_same_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is not installed is no traceback."""
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(DataError, match=r"MBPP's problems are not on this machine: point --qeval-data"):
        MBPP.load(None)

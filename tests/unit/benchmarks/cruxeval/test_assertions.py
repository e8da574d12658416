"""Prompts of CRUXEval, and what a completion becomes; nothing is executed in a sandbox."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.cruxeval.assertions import AssertionBenchmark
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow
from pytest_qeval.benchmarks.python_source import parse
from pytest_qeval.schema import PromptStyle
from tests.unit.benchmarks.cruxeval.rows import CALLING, INPUTS, JOIN, NAMED, NOTHING, OUTPUTS, REPEAT, ROWS

BOTH = pytest.mark.parametrize("benchmark", [OUTPUTS, INPUTS], ids=["output", "input"])
OUTPUT, INPUT = OUTPUTS.problems["CRUXEval-O/0"], INPUTS.problems["CRUXEval-I/0"]


def answer_of(benchmark: AssertionBenchmark, row: CruxRow, completion: str, style: PromptStyle = "completion") -> Any:
    """Execute a harmless completion as the solver would, and return what the judge would get."""
    problem = next(one for one in benchmark.problems.values() if one.cluster == f"CRUXEval/{row.number}")
    space: dict[str, Any] = {}
    exec(benchmark.program(problem, completion, style).code, space)  # noqa: S102 - ours
    return space["answer"]()


def test_a_program_has_the_same_cluster_in_both_directions() -> None:
    """Its task ids differ."""
    clusters = [[problem.cluster for problem in one.problems.values()] for one in (OUTPUTS, INPUTS)]

    assert clusters[0] == clusters[1] == [f"CRUXEval/{row.number}" for row in ROWS]
    assert OUTPUTS.problems.keys().isdisjoint(INPUTS.problems)


def test_the_prompt_ends_where_the_literal_begins() -> None:
    """After two solved problems; a stripped blank lets the tokenizer make its usual token of a blank and a quote."""
    text = OUTPUTS.prompt(OUTPUT).text

    assert text == f"{OUTPUTS.examples}{JOIN.code}\nassert f(['a', 'b'], '!') =="
    assert OUTPUT.canonical_solution == " 'a-b-!'"
    assert INPUTS.prompt(INPUT).text == f"{INPUTS.examples}{JOIN.code}\nassert 'a-b-!' == f"
    assert INPUT.canonical_solution == "(['a', 'b'], '!')"


@BOTH
def test_the_examples_hold(benchmark: AssertionBenchmark) -> None:
    """They are Python, and each ends as a completion has to end."""
    exec(benchmark.examples, {})  # noqa: S102 - ours
    assert benchmark.examples.count("\nassert ") == 2
    assert benchmark.stops == ("\n",)


@BOTH
def test_a_chat_s_reply_goes_on_with_the_assertion(benchmark: AssertionBenchmark) -> None:
    """In both chat styles, so that the reply is as short as a completion."""
    problem = next(iter(benchmark.problems.values()))
    prompt = benchmark.prompt(problem, "chat")

    assert prompt.text == f"```python\n{problem.prompt.splitlines()[-1]}"
    assert prompt.user == f"{benchmark.task}\n\n```python\n{problem.prompt}\n```"
    assert benchmark.prompt(problem, "chat-prefilled") == prompt
    assert benchmark.stops_in("chat") == benchmark.stops_in("completion") == ("\n",)


@BOTH
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_the_reference_is_taken_as_it_is(benchmark: AssertionBenchmark, row: CruxRow) -> None:
    """What the model wrote is what follows the trusted part, so that a samples file can be replayed."""
    problem = list(benchmark.problems.values())[row.number]
    program = benchmark.program(problem, problem.canonical_solution)

    assert program.follow_up == problem.canonical_solution
    assert program.test == problem.test
    assert program.entry_point == "answer"


def test_values_and_arguments_are_what_was_written() -> None:
    assert answer_of(OUTPUTS, JOIN, " 'a'  # the first") == "a"
    assert answer_of(OUTPUTS, REPEAT, "5") == 5
    assert answer_of(INPUTS, JOIN, "(['a'], mark='b')") == ((["a"],), {"mark": "b"})
    assert answer_of(INPUTS, NAMED, "(known[:1])") == (([1],), {})
    assert answer_of(INPUTS, NOTHING, "()") == ((), {})
    assert answer_of(INPUTS, CALLING, "([], bool)") == (([], bool), {})


@pytest.mark.parametrize("end", ["", "\n", "\n[/ANSWER]\nassert f(1) == 2", "\n```\nIt joins."])
def test_only_the_first_line_counts(end: str) -> None:
    """Engines stop there; other tools' completions may go on."""
    assert answer_of(OUTPUTS, JOIN, f" 'a-b-!'{end}") == "a-b-!"
    assert answer_of(INPUTS, JOIN, f"(['a', 'b'], '!'){end}") == ((["a", "b"], "!"), {})


@pytest.mark.parametrize(
    "reply",
    [" 'a-b-!'", " 'a-b-!'\n```", "```python\nassert f(['a', 'b'], '!') == 'a-b-!'\n```", "<think>'c'</think> 'a-b-!'"],
)
def test_a_reply_may_repeat_the_assertion(reply: str) -> None:
    """Or hold thoughts, which are dropped."""
    assert answer_of(OUTPUTS, JOIN, reply, "chat") == "a-b-!"


def test_a_whole_program_is_read_from_its_assertion_on() -> None:
    program = OUTPUTS.program(OUTPUT, f"{OUTPUT.prompt} 'a-b-!'\n", whole=True)

    assert program == OUTPUTS.program(OUTPUT, " 'a-b-!'")


NO_LITERALS = (
    " f(['a', 'b'], '!')", " f", " 'a' + '-b-!'", " 'a-b-!' or 1", " 'a-b-!' if 1 else 2", " 'a-b-!' == 'a-b-!'",
    " 'a-b-!' != 1", " 'a-b-!', 1", " 'a-b-!'; import os", " 'a-b-!'\rimport os", " [one for one in 'a']",
    " ('a').upper()", " f'a-b-{1}'", " (yield)", " lambda: 1", " (lambda: 1)", " {**{}}", " [*'ab']", " '%s' % 1",
    " {'a': 1}['a']", " {[]: 1}", " (x := 1)", " not 1", " *a, b", " 1 in [1]", " 1 and 1", " >= 1", " 'a", " [1",
    " 1)", "", "  ", "\\", " 1 \\", "\0", " é",
    " " + "[" * 3000, " " + "(" * 90 + "1" + ")" * 90 + ".real", " -" * 500 + "x", " " + "9" * 9999,
)  # fmt: skip


@pytest.mark.parametrize("text", NO_LITERALS)
def test_what_is_no_literal_does_not_count(text: str) -> None:
    """Nor what ends the assertion as something else than one equality; the trusted test refuses it unseen."""
    assert OUTPUTS.find_flaw(text).startswith("the completion ")
    test = OUTPUTS.program(OUTPUT, text).test
    space: dict[str, Any] = {}
    exec(test, space)  # noqa: S102 - ours
    with pytest.raises(AssertionError, match="the completion "):
        space["check"](lambda: "a-b-!")


NO_CALLS = (
    "() or True", "() == 'a'", "() if 1 else 2", "().x", "()()", "()[0]", "() + ''", "(); x = 1", "()\rx = 1", "(), 1",
    "", "oo()", " is f()", "('a'", "('a'))", "['a']", " = 1", ".upper()", " == 2", "('a') and ('b')", "[0](1)", "\\",
    "\0",
)  # fmt: skip


@pytest.mark.parametrize("text", NO_CALLS)
def test_what_is_no_call_does_not_count(text: str) -> None:
    assert INPUTS.find_flaw(text) == "the completion does not complete the assertion with one call"


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(SCALARS, inner, max_size=3)
        | st.sets(SCALARS, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_every_literal_counts(value: object) -> None:
    """As Python writes it; the value is the same, of the same type."""
    text = f" {value!r}"

    assert OUTPUTS.find_flaw(text) == ""
    found = answer_of(OUTPUTS, REPEAT, text)
    assert found == value
    assert type(found) is type(value)
    assert answer_of(INPUTS, REPEAT, f"({value!r}, key={value!r})") == ((value,), {"key": value})


@given(st.text(alphabet=" 01'\"[](){},:.-+*=fx#\\\n\r;\t", max_size=12))
def test_whatever_counts_is_one_literal(text: str) -> None:
    """The solver then executes a function that returns it, and nothing else."""
    if OUTPUTS.find_flaw(text):
        return
    match parse(OUTPUTS.prelude(OUTPUT) + text).body:
        case [ast.FunctionDef(body=[ast.Return(value=value)])]:
            assert value is not None
            ast.literal_eval(value)
            return
    pytest.fail(f"{text!r} is more than a literal")


@given(st.text(alphabet=" 01'\"[](){},:.-+*=fx#\\\n\r;\t", max_size=12))
def test_whatever_counts_is_one_call(text: str) -> None:
    if INPUTS.find_flaw(text):
        return
    match parse(INPUTS.prelude(INPUT) + text).body:
        case [_, ast.FunctionDef(name="f"), ast.FunctionDef(body=[ast.Return(value=ast.Call(func=ast.Name(id="f")))])]:
            return
    pytest.fail(f"{text!r} is more than a call")


@BOTH
def test_broken_completions_are_python(benchmark: AssertionBenchmark) -> None:
    """One with a syntax error would prove nothing."""
    for problem in benchmark.problems.values():
        assert list(benchmark.broken(problem)) == ["empty", "constant", "spoof"]
        for completion in benchmark.broken(problem).values():
            compile(benchmark.program(problem, completion).code, "<completion>", "exec")

"""Rows of CRUXEval's form, made for tests."""

from __future__ import annotations

from pytest_qeval.benchmarks.cruxeval.input import NAME as INPUT
from pytest_qeval.benchmarks.cruxeval.input import InputBenchmark
from pytest_qeval.benchmarks.cruxeval.input import make_problem as make_input
from pytest_qeval.benchmarks.cruxeval.output import NAME as OUTPUT
from pytest_qeval.benchmarks.cruxeval.output import OutputBenchmark
from pytest_qeval.benchmarks.cruxeval.output import make_problem as make_output
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow

JOIN = CruxRow(
    number=0,
    code="def f(words, mark):\n    words.append(mark)\n    return '-'.join(words)",
    arguments="['a', 'b'], '!'",
    output="'a-b-!'",
)
REPEAT = CruxRow(
    number=1,
    code="def f(n):\n    total = []\n    while n:\n        total += [0] * n\n        n -= 1\n    return total",
    arguments="2",
    output="[0, 0, 0]",
)
NAMED = CruxRow(number=2, code="known = [1, 2]\ndef f(values):\n    return values[::step]\nstep = -1",
                arguments="known[:]", output="[2, 1]")  # fmt: skip
CALLING = CruxRow(number=3, code="def f(values, sign):\n    return [sign(one) for one in values]",
                  arguments="[0, 3], lambda x: x < 2", output="[True, False]")  # fmt: skip
NOTHING = CruxRow(number=4, code="def f():\n    return {'a': (1.5, None)}", arguments="", output="{'a': (1.5, None)}")
ROWS = (JOIN, REPEAT, NAMED, CALLING, NOTHING)

_OUTPUTS = {problem.task_id: problem for problem in map(make_output, ROWS)}
_INPUTS = {problem.task_id: problem for problem in map(make_input, ROWS)}
OUTPUTS = OutputBenchmark(name=OUTPUT, version="1", sha256="0" * 64, problems=_OUTPUTS)
INPUTS = InputBenchmark(name=INPUT, version="1", sha256="0" * 64, problems=_INPUTS)

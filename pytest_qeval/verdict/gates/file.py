"""Gate files: TOML with gates for single recipes, with reasons, and with proof required for some.

require_proof = false            # optional, for all gates of the file

[[gate]]
expression = "pass@1 drop <= 2pt"
recipe = "int8*"                 # optional: a candidate, a pattern, or a list of them
benchmark = "humaneval"          # optional, as in front of an expression
require_proof = true             # optional, comes before that of the file
primary = true                   # optional, the comparison that the choice among several candidates is about
reason = "agreed for 2.0"        # optional, shown when the gate fails
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_qeval.errors import GateError
from pytest_qeval.toml_table import Table, read_toml
from pytest_qeval.verdict.gates.grammar import Gate, check_pool, parse_gate

_KEYS = ("require_proof", "gate")
_PROVABLE = ("drop", "relative_drop", "increase")
_GATE_KEYS = ("expression", "recipe", "benchmark", "require_proof", "primary", "reason")


def read_gate_file(path: Path) -> tuple[Gate, ...]:
    """Read the gates of a TOML file; one for a list of recipes becomes one gate for each of them.

    Raises:
        GateError: naming the file, the number of the gate and the key that is wrong.
    """
    file = read_toml(path, kind="gate file", error=GateError)
    file.check_keys(_KEYS)
    proof = file.flag("require_proof")
    gates = tuple(
        replace(gate, require_proof=proof if gate.require_proof is None else gate.require_proof)
        for table in file.tables("gate")
        for gate in _gates(table)
    )
    if not gates:
        raise GateError(f"{file.where} holds no gate: write [[gate]], and below it expression = 'pass@1 drop <= 2pt'.")
    return gates


def _gates(table: Table) -> Iterator[Gate]:
    """Read one `[[gate]]`."""
    table.check_keys(_GATE_KEYS)
    gate, benchmark = _expression(table), table.line("benchmark")
    if benchmark and not gate.per_benchmark:
        raise GateError(
            f"{table.where}: {gate.metric} is measured once a run, not once a benchmark; leave 'benchmark' out."
        )
    if benchmark and gate.benchmark not in {None, benchmark}:
        raise GateError(
            f"{table.where}: {benchmark!r} and {gate.expression!r} name two benchmarks; leave one of them out."
        )
    primary = table.flag("primary") or False
    if primary and gate.form not in _PROVABLE:
        raise GateError(
            f"{table.where}: {gate.expression!r} compares nothing by an interval; only a drop or increase is primary."
        )
    recipes = table.lines("recipe")
    if recipes == ():
        raise table.wrong("recipe", "one line of text, or a list of at least one")
    for recipe in recipes or (None,):
        changed = replace(
            gate,
            recipe=recipe,
            benchmark=benchmark or gate.benchmark,
            require_proof=table.flag("require_proof"),
            primary=primary,
            reason=table.line("reason") or "",
        )
        yield check_pool(changed)


def _expression(table: Table) -> Gate:
    expression = table.line("expression")
    if expression is None:
        raise GateError(f"{table.where}: the key 'expression' is missing; give one, such as 'pass@1 drop <= 2pt'.")
    try:
        return parse_gate(expression)
    except GateError as error:
        raise GateError(f"{table.where}: {error}") from None

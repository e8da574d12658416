"""Whether a perturbed problem is worth asking: proved by its text and its syntax tree, without running it."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.perturb.base import Category
from pytest_qeval.perturb.source import Function, Source, description, parsed
from pytest_qeval.schema import Problem

__all__ = ["Proof", "ProofStatus", "prove"]

ProofStatus = Literal["applied", "unchanged", "invalid"]
"""applied: something changed and what must stay has stayed. unchanged: nothing was perturbed, so nothing is measured.
invalid: the question is broken, so that no answer could be held against a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What can be said about a perturbed problem before anything runs."""

    status: ProofStatus
    reason: str = ""
    """Why it is unchanged or invalid; empty where it is applied."""


def prove(original: Problem, perturbed: Problem, *, category: Category | None = None) -> Proof:
    """Compare a problem with what a perturbation made of it.

    Args:
        original: what the perturbation was given (for the form half: the half-given problem).
        perturbed: what it gave back.
        category: of the perturbation. Syntax is perturbed only where the syntax tree of prompt and solution differs
            in more than docstrings; for everything else it is enough that the prompt does.
    """
    if perturbed.prompt == original.prompt:
        return Proof(status="unchanged", reason="the prompt is the same")
    before, after = Source.of(original), Source.of(perturbed)
    fault = _fault_of_code(original, perturbed, before, after) or _fault_of_test(original, perturbed)
    if fault:
        return Proof(status="invalid", reason=fault)
    if category == "syntax" and before and after and _code(before) == _code(after):
        return Proof(status="unchanged", reason="the syntax tree is the same")
    return Proof(status="applied")


def _code(source: Source) -> str:
    """Spell the syntax tree, but not what docstrings say: ReCode's syntax perturbations trim them."""
    tree = copy.deepcopy(source.tree)
    for node in ast.walk(tree):
        told = description(node) if isinstance(node, Function | ast.Module) else None
        if told is not None:
            told.value = ast.Constant("")
    return ast.dump(tree)


def _fault_of_code(original: Problem, perturbed: Problem, before: Source | None, after: Source | None) -> str:
    """Check that the program compiles and that the function takes what it took."""
    if before is None and {"\r", "\f"} & {*original.prompt, *original.canonical_solution}:
        return "the original has carriage returns or form feeds: end its lines with \\n alone"
    if before is None:
        return f"the original does not compile, or does not define {original.entry_point!r} at module level"
    if after is None:
        return f"prompt and solution do not compile, or do not define {perturbed.entry_point!r}"
    old, new = _parameters(before), _parameters(after)
    return "" if old == new else f"the parameters are ({', '.join(new)}) instead of ({', '.join(old)})"


def _parameters(source: Source) -> list[str]:
    """Return the parameters' names in order, with the stars of those that collect."""
    arguments = source.function.args
    ordered = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    collecting = [(star, found) for star, found in (("*", arguments.vararg), ("**", arguments.kwarg)) if found]
    return [argument.arg for argument in ordered] + [star + argument.arg for star, argument in collecting]


def _fault_of_test(original: Problem, perturbed: Problem) -> str:
    """Check that a test which calls the function by its name, beside its candidate, calls it by the new one."""
    tests = parsed(original.test), parsed(perturbed.test)
    if tests[0] is None or tests[1] is None:
        return "the test does not compile"
    before, after = _names(tests[0]), _names(tests[1])
    if original.entry_point in before and perturbed.entry_point not in after:
        return f"the test names {original.entry_point!r}, but not {perturbed.entry_point!r}"
    if original.entry_point != perturbed.entry_point and original.entry_point in after:
        return f"the test still names {original.entry_point!r}"
    return ""


def _names(test: ast.Module) -> set[str]:
    """Return the names that a test reads and does not define itself."""
    nodes = list(ast.walk(test))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    parameters = {node.arg for node in nodes if isinstance(node, ast.arg)}
    return read - stored - defined - parameters

"""Static check of a perturbed problem, by its text and syntax tree, without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.perturb.base import Category
from pytest_qeval.perturb.source import Function, Source, bound_names, docstring_of, parse_program
from pytest_qeval.schema import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Result of the static check of a perturbed problem."""

    status: Literal["applied", "unchanged", "repeated", "invalid"]
    """applied: the prompt changed and the program is valid. unchanged: the prompt is nominal. repeated: another seed
    made the same prompt. invalid: the perturbed problem is broken, so its completions say nothing about a model."""
    reason: str = ""
    """Why it is unchanged or invalid."""


def check_perturbed(nominal: Problem, perturbed: Problem, *, category: Category | None = None) -> Validity:
    """Compare a perturbed problem with the nominal one, for the form half with the half-given one.

    In the category syntax a problem is perturbed only where the syntax tree of prompt and solution differs in more than
    docstrings; in the others a changed prompt is enough.
    """
    if perturbed.prompt == nominal.prompt:
        return Validity(status="unchanged", reason="the prompt is the same")
    before, after = Source.of(nominal), Source.of(perturbed)
    fault = _find_code_fault(nominal, perturbed, before, after) or _find_test_fault(nominal, perturbed)
    if fault:
        return Validity(status="invalid", reason=fault)
    if category == "syntax" and before and after and _dump_code(before) == _dump_code(after):
        return Validity(status="unchanged", reason="the syntax tree is the same")
    return Validity(status="applied")


def _dump_code(source: Source) -> str:
    """Dump the syntax tree without the text of docstrings, which ReCode's syntax perturbations trim."""
    tree = parse_program(source.text) or source.tree  # a copy, since the docstrings are replaced
    for node in ast.walk(tree):
        docstring = docstring_of(node) if isinstance(node, Function | ast.Module) else None
        if docstring is not None:
            docstring.value = ast.Constant("")
    return ast.dump(tree)


def _find_code_fault(nominal: Problem, perturbed: Problem, before: Source | None, after: Source | None) -> str:
    """Check that the program compiles and that the function keeps its parameters."""
    if before is None and {"\r", "\f"} & {*nominal.prompt, *nominal.canonical_solution}:
        return "the original has carriage returns or form feeds: end its lines with \\n alone"
    if before is None:
        return f"the original does not compile, or does not define {nominal.entry_point!r} at module level"
    if after is None:
        return f"prompt and solution do not compile, or do not define {perturbed.entry_point!r}"
    old, new = _parameters(before), _parameters(after)
    return "" if old == new else f"the parameters are ({', '.join(new)}) instead of ({', '.join(old)})"


def _parameters(source: Source) -> list[str]:
    """Return the names of the parameters in order, `*args` and `**kwargs` with their stars."""
    arguments = source.function.args
    ordered = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return ordered + [star + found.arg for star, found in (("*", arguments.vararg), ("**", arguments.kwarg)) if found]


def _find_test_fault(nominal: Problem, perturbed: Problem) -> str:
    """Check that a test which uses the function's name, beside `candidate`, uses the new name."""
    tests = parse_program(nominal.test), parse_program(perturbed.test)
    if tests[0] is None or tests[1] is None:
        return "the test does not compile"
    before, after = _free_names(tests[0]), _free_names(tests[1])
    if nominal.entry_point in before and perturbed.entry_point not in after:
        return f"the test names {nominal.entry_point!r}, but not {perturbed.entry_point!r}"
    if nominal.entry_point != perturbed.entry_point and nominal.entry_point in after:
        return f"the test still names {nominal.entry_point!r}"
    return ""


def _free_names(test: ast.Module) -> set[str]:
    """Return the names that a test reads and does not define itself."""
    nodes = list(ast.walk(test))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read.difference(*map(bound_names, nodes))

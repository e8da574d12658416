"""Perturbations of the name of a local variable, wherever the function uses it.

Parameters keep their names, unlike in ReCode: a call by keyword would break, and a completion written from the
docstring may well use them. New names are fixed, random, or proposed by a model of code: `variable_names.jsonl` has one
object a line with the `task_id`, the `variable`, and its `names`, the best first. The first name that is free is taken.
ReCode also takes names from a masked language model (VarRenamerCB; Wang et al., 2022, arXiv:2212.10264).
"""

from __future__ import annotations

import ast
import builtins
import random
import string
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pytest_qeval.perturb.base import Apply, Perturbation, on_source
from pytest_qeval.perturb.code.renaming import is_free
from pytest_qeval.perturb.source import (
    Edit,
    Source,
    apply_first_valid,
    bound_names,
    fresh_name,
    walk_outside_f_strings,
)
from pytest_qeval.perturb.task_rows import TaskRow, find_file, read_rows
from pytest_qeval.schema import Problem

NAMES_FILE = "variable_names.jsonl"
_DRAWS = 100
_LOOKING_AT_NAMES = frozenset({"locals", "vars", "eval", "exec", "globals"})


def most_frequent_variable(source: Source) -> Sequence[ast.Name]:
    """Return every use, in the whole function, of the local variable that the given half uses most.

    Of equally frequent variables the first counts. Names that cannot be renamed everywhere are skipped: parameters,
    imports, nested functions, names of the module or of Python, and names in f-strings.
    """
    uses: dict[str, list[ast.Name]] = {}
    names = [node for node in walk_outside_f_strings(source.function) if isinstance(node, ast.Name)]
    for node in sorted(names, key=source.start):
        uses.setdefault(node.id, []).append(node)
    given = {name: [source.start(node) < source.cut for node in found].count(True) for name, found in uses.items()}
    fixed = _fixed_names(source)
    free = [name for name in uses if given[name] and name not in fixed]
    return uses[max(free, key=lambda name: given[name])] if free and not _LOOKING_AT_NAMES & uses.keys() else ()


def _fixed_names(source: Source) -> set[str]:
    """Return the names that are anything but local variables bound by assignments and loops."""
    nodes = list(ast.walk(source.function))
    inside = {id(node) for node in nodes}
    fixed = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name) and id(node) not in inside}
    fixed.update(dir(builtins))
    fixed.update({node.id for node in nodes if isinstance(node, ast.Name)}.difference(*map(bound_names, nodes)))
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            fixed.update(node.names)
        elif not isinstance(node, ast.Name):
            fixed.update(bound_names(node))
        if isinstance(node, ast.JoinedStr | ast.ClassDef):  # no position, or attributes of a class
            fixed.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
    return fixed


def _renaming(new_name: Callable[[str, Problem, random.Random], str]) -> Apply:
    """Make a perturbation of a function that chooses the new name; it returns the old one where there is no other."""

    def perturb(problem: Problem, source: Source, rng: random.Random) -> Problem:
        uses = most_frequent_variable(source)
        if not uses:
            return problem
        name = new_name(uses[0].id, problem, rng)
        edits = [Edit(start=source.start(use), end=source.end(use), text=name) for use in uses]
        return apply_first_valid(problem, [edits])

    return on_source(perturb)


def _random_name(name: str, problem: Problem, rng: random.Random) -> str:
    """Draw letters and digits until they are a new name; all names of one letter may be taken."""
    for _ in range(_DRAWS):
        first = rng.choice(string.ascii_letters)
        drawn = first + "".join(rng.choices(string.ascii_letters + string.digits, k=len(name) - 1))
        if is_free(drawn, problem):
            return drawn
    return name


_of_variable = partial(
    Perturbation,
    category="syntax",
    level="syntax",
    form="half",
    invariant="Parameters and all other names stay; the variable is renamed in the whole function.",
)

RENAME_VARIABLE_NAIVE = _of_variable(
    name="rename_variable_naive",
    summary="most frequent local variable of the given half renamed to VAR_0",
    apply=_renaming(lambda _name, problem, _rng: fresh_name("VAR_0", problem)),
    random=False,
)
RENAME_VARIABLE_RANDOM = _of_variable(
    name="rename_variable_random",
    summary="most frequent local variable of the given half renamed to as many random letters and digits",
    apply=_renaming(_random_name),
)


class Proposal(TaskRow, frozen=True):
    """A row of `variable_names.jsonl`."""

    variable: str
    names: list[str]
    """Proposed names, the best first."""


def read_proposals(data: Path) -> Mapping[str, Proposal]:
    """Read `variable_names.jsonl` from a data directory, by task id.

    Raises:
        DataError: when it is missing, or a line is no such row.
    """
    return read_rows(find_file(data, NAMES_FILE), Proposal)


def rename_variable_model(proposals: Mapping[str, Proposal]) -> Perturbation:
    """Make the perturbation `rename_variable_model` from the rows of the file.

    A problem that the file does not have, or whose names are all taken, counts as unchanged.
    """

    def proposed_name(name: str, problem: Problem, _rng: random.Random) -> str:
        found = proposals.get(problem.task_id)
        names = found.names if found and found.variable == name else []
        return next((new for new in names if is_free(new, problem)), name)

    return _of_variable(
        name="rename_variable_model",
        summary=f"most frequent local variable of the given half renamed as a model proposed ({NAMES_FILE})",
        apply=_renaming(proposed_name),
        random=False,
    )

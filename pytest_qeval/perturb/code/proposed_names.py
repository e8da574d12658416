"""A local variable under the name that a model of code proposed for its place, read from a file.

`variable_names.jsonl` has one object a line: the `task_id`, the `variable`, and `names` for it, the best first. The
first one that is free in the problem is taken. `names_build` makes the file with a masked language model, which is what
ReCode asks for names (VarRenamerCB; Wang et al., 2022, arXiv:2212.10264), once, so that all models are asked the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.code.renaming import is_free
from pytest_qeval.perturb.code.variables import INVARIANT, renaming
from pytest_qeval.perturb.task_rows import TaskRow, read_rows
from pytest_qeval.schema import Problem

__all__ = ["FILE", "Proposal", "read_proposals", "rename_variable_model"]

FILE = "variable_names.jsonl"


class Proposal(TaskRow, frozen=True):
    """A line of the file."""

    variable: str
    names: list[str]
    """What it could be called, the best first."""


def read_proposals(data: Path) -> Mapping[str, Proposal]:
    """Read the file from a data directory; by task id.

    Raises:
        DataError: when it is missing or a line is none of the above.
    """
    path = data / FILE
    if not path.is_file():
        raise DataError(f"there is no {FILE} in {data}: write one with python -m build_perturbation_files.names")
    return read_rows(path, Proposal)


def rename_variable_model(proposals: Mapping[str, Proposal]) -> Perturbation:
    """Make the perturbation from what was read.

    A problem that the file does not have, or whose names are all taken, stays as it is, and is counted so.
    """

    def proposed(name: str, problem: Problem, _rng: random.Random) -> str:
        found = proposals.get(problem.task_id)
        names = found.names if found and found.variable == name else []
        return next((new for new in names if is_free(new, problem)), name)

    return Perturbation(
        name="rename_variable_model",
        category="syntax",
        level="syntax",
        form="half",
        summary=f"most frequent local variable of the given half called as a model proposed ({FILE})",
        invariant=INVARIANT,
        apply=renaming(proposed),
        random=False,
    )

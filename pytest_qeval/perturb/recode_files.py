"""The released questions of ReCode as perturbations: one for each transformation, its seeds those of the file names.

Files are called `humaneval_<transformation>_s<seed>.jsonl`, gzip'd or not, and may lie anywhere below a folder; ReCode
(Wang et al., 2022, arXiv:2212.10264) has one subfolder a family. Nothing in them is believed: what they ask has to
prove itself as ours does, for a part of them cannot be answered at all.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pytest_qeval.errors import DataError, UnknownNameError
from pytest_qeval.perturb.base import Category, Form, Level, Perturbation
from pytest_qeval.perturb.task_rows import TaskRow, read_rows
from pytest_qeval.schema import Problem

__all__ = ["PREFIX", "find_files", "recode_names", "recode_perturbation"]

PREFIX = "recode"
_BENCHMARK = "humaneval"
"""Their MBPP is a rewritten one, whose nominal problems are none of ours."""
_FILE = re.compile(rf"{_BENCHMARK}_(\w+)_s(\d+)\.jsonl(?:\.gz)?")
_NOMINAL = (f"{_BENCHMARK}_partial.jsonl", f"{_BENCHMARK}_partial.jsonl.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a family of transformations has in common."""

    category: Category
    level: Level
    form: Form = "full"
    invariant: str


_CODE = "Signature, docstring and first half say what they did; the family was released with that half given."
_FAMILIES: Mapping[str, _Kind] = {
    "func_name": _Kind(category="function name", level="name", invariant="Everything but the function's name."),
    "nlaugmenter": _Kind(category="docstring", level="word", invariant="Everything but the docstring."),
    "natgen": _Kind(category="syntax", level="syntax", form="half", invariant=_CODE),
    "format": _Kind(category="format", level="format", form="half", invariant=_CODE),
}
_LEVELS: Mapping[str, Level] = {
    "BackTranslation": "sentence",
    "ButterFingersPerturbation": "character",
    "ChangeCharCase": "character",
    "SwapCharactersPerturbation": "character",
    "WhitespacePerturbation": "character",
}
"""Of the docstring's transformations that do not change words."""
_FAMILY_OF: Mapping[str, str] = {
    **dict.fromkeys(
        (*_LEVELS, "EnglishInflectionalVariation", "SynonymInsertion", "SynonymSubstitution"), "nlaugmenter"
    ),
    **dict.fromkeys(("TenseTransformationFuture", "TenseTransformationPast"), "nlaugmenter"),
    **dict.fromkeys(("DeadCodeInserter", "DeadCodeInserterLast", "ForWhileTransformer", "OperandSwap"), "natgen"),
    **dict.fromkeys(("VarRenamerCB", "VarRenamerNaive", "VarRenamerRN"), "natgen"),
    **dict.fromkeys(("doc2comments", "new_line_aftercode", "new_line_afterdoc"), "format"),
    **dict.fromkeys(("new_lines", "split_lines", "tab_indent"), "format"),
}
"""Where files lie outside the families' folders; whatever begins with `FuncRename` is of `func_name`."""


class _Row(TaskRow, frozen=True):
    """What is read of a line."""

    prompt: str
    entry_point: str
    canonical_solution: str


def recode_names(data: Path) -> tuple[str, ...]:
    """Return the perturbations that a folder holds, as they are asked for: `recode:SynonymInsertion`.

    Raises:
        DataError: when it holds none.
    """
    return tuple(f"{PREFIX}:{name}" for name in find_files(data))


def find_files(data: Path) -> Mapping[str, Mapping[int, Path]]:
    """Find the files below a folder, by transformation and seed.

    Raises:
        DataError: when there are none, or two for one seed.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(data.rglob(f"{_BENCHMARK}_*.jsonl*")):
        match = _FILE.fullmatch(path.name)
        if not match:
            continue
        name, seed = match[1], int(match[2])
        other = found.setdefault(name, {}).setdefault(seed, path)
        if other != path:
            raise DataError(f"both {other} and {path} hold {name}, seed {seed}: let --qeval-data name one of them.")
    if not found:
        raise DataError(
            f"there are no files of ReCode below {data}: expected names such as "
            f"{_BENCHMARK}_ButterFingersPerturbation_s0.jsonl.gz."
        )
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def recode_perturbation(data: Path, transformation: str) -> Perturbation:
    """Read the files of one transformation.

    Raises:
        UnknownNameError: when there is no such file.
        DataError: when a file cannot be read, or its family is not known.
    """
    files = find_files(data)
    if transformation not in files:
        raise UnknownNameError(
            f"there is no {_BENCHMARK}_{transformation}_s0.jsonl below {data}. Available: {', '.join(files)}."
        )
    paths = files[transformation]
    kind = _kind_of(transformation, next(iter(paths.values())))
    versions = {seed: partial(_released, rows=read_rows(path, _Row)) for seed, path in paths.items()}
    halves = _nominal_file(data) if kind.form == "half" else None
    return Perturbation(
        name=f"{PREFIX}:{transformation}",
        category=kind.category,
        level=_LEVELS.get(transformation, kind.level),
        summary=f"as ReCode released it, seeds {', '.join(map(str, versions))}",
        invariant=kind.invariant,
        apply=partial(_released, rows={}),
        form=kind.form,
        versions=versions,
        nominal=partial(_half_released, rows=read_rows(halves, _Row)) if halves else None,
    )


def _kind_of(transformation: str, path: Path) -> _Kind:
    named = "func_name" if transformation.startswith("FuncRename") else _FAMILY_OF.get(transformation)
    family = next((part for part in reversed(path.parts[:-1]) if part in _FAMILIES), named)
    if family is None:
        raise DataError(f"{path}: it is not known what {transformation} perturbs: lay it into {', '.join(_FAMILIES)}.")
    return _FAMILIES[family]


def _nominal_file(data: Path) -> Path | None:
    """Look for ReCode's own half-given problems."""
    return next((path for name in _NOMINAL for path in sorted(data.rglob(name))), None)


def _released(problem: Problem, _rng: random.Random, *, rows: Mapping[str, _Row]) -> Problem:
    """Return what was released; its test is HumanEval's in every row, so the problem keeps its own."""
    if problem.benchmark != _BENCHMARK:
        raise DataError(
            f"ReCode's files ask {_BENCHMARK}, not {problem.benchmark}: add --qeval-benchmark {_BENCHMARK}."
        )
    row = rows.get(problem.task_id)
    if row is None:
        return problem
    solution = row.canonical_solution
    return replace(problem, prompt=row.prompt, entry_point=row.entry_point, canonical_solution=solution)


def _half_released(problem: Problem, *, rows: Mapping[str, _Row]) -> Problem | None:
    """Return the half-given problem; one whose solution has a single line is asked whole by ReCode."""
    row = rows.get(problem.task_id)
    return None if row is None else replace(problem, prompt=row.prompt, canonical_solution=row.canonical_solution)

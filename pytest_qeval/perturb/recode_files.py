"""Read ReCode's released perturbed problems: one perturbation for each transformation, one seed for each file.

Files are called `humaneval_<transformation>_s<seed>.jsonl`, gzipped or not, and may lie anywhere below a folder; ReCode
(Wang et al., 2022, arXiv:2212.10264) has one subfolder for each family. Some of the released problems are broken, so
they are checked as our own are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pytest_qeval.errors import DataError, UnknownNameError
from pytest_qeval.perturb.base import Category, Form, Level, Perturbation
from pytest_qeval.perturb.task_rows import TaskRow, read_rows
from pytest_qeval.schema import Problem

PREFIX = "recode"
_BENCHMARK = "humaneval"
"""ReCode's MBPP is rewritten: its nominal problems are not those of our benchmarks."""
_FILE = re.compile(rf"{_BENCHMARK}_(\w+)_s(\d+)\.jsonl(?:\.gz)?")
_NOMINAL = (f"{_BENCHMARK}_partial.jsonl", f"{_BENCHMARK}_partial.jsonl.gz")
"""ReCode's own half-given problems."""


class _Family(NamedTuple):
    """What the transformations of a family have in common."""

    category: Category
    level: Level
    form: Form
    invariant: str
    transformations: Sequence[str]
    """Their names, for files outside the families' folders."""


_CODE = "Signature, docstring and the meaning of the first half; the family was released with that half given."
_LEVELS: Mapping[str, Level] = {
    "BackTranslation": "sentence",
    "ButterFingersPerturbation": "character",
    "ChangeCharCase": "character",
    "SwapCharactersPerturbation": "character",
    "WhitespacePerturbation": "character",
}
"""Levels of the docstring transformations that do not change words."""
_WORDS = "EnglishInflectionalVariation SynonymInsertion SynonymSubstitution"
_TENSES = "TenseTransformationFuture TenseTransformationPast"
_SYNTAX = (
    "DeadCodeInserter DeadCodeInserterLast ForWhileTransformer OperandSwap VarRenamerCB VarRenamerNaive VarRenamerRN"
)
_FORMAT = "doc2comments new_line_aftercode new_line_afterdoc new_lines split_lines tab_indent"
_FAMILIES: Mapping[str, _Family] = {
    "func_name": _Family("function name", "name", "full", "Everything but the function's name.", ()),  # `FuncRename…`
    "nlaugmenter": _Family(
        "docstring", "word", "full", "Everything but the docstring.", (*_LEVELS, *_WORDS.split(), *_TENSES.split())
    ),
    "natgen": _Family("syntax", "syntax", "half", _CODE, _SYNTAX.split()),
    "format": _Family("format", "format", "half", _CODE, _FORMAT.split()),
}


class _Row(TaskRow, frozen=True):
    """The fields that are read."""

    prompt: str
    entry_point: str
    canonical_solution: str


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
        DataError: when a file cannot be read, or its family is unknown.
    """
    files = find_files(data)
    if transformation not in files:
        raise UnknownNameError(
            f"there is no {_BENCHMARK}_{transformation}_s0.jsonl below {data}. Available: {', '.join(files)}."
        )
    paths = files[transformation]
    family = _family_of(transformation, next(iter(paths.values())))
    versions = {seed: partial(_perturb, rows=read_rows(path, _Row)) for seed, path in paths.items()}
    halves = next((path for name in _NOMINAL for path in sorted(data.rglob(name))), None)
    nominal = partial(_give_half, rows=read_rows(halves, _Row)) if halves and family.form == "half" else None
    return Perturbation(
        name=f"{PREFIX}:{transformation}",
        category=family.category,
        level=_LEVELS.get(transformation, family.level),
        summary=f"as ReCode released it, seeds {', '.join(map(str, versions))}",
        invariant=family.invariant,
        apply=partial(_perturb, rows={}),
        form=family.form,
        versions=versions,
        nominal=nominal,
    )


def _family_of(transformation: str, path: Path) -> _Family:
    """Return the family whose folder the file lies in, or that has the transformation."""
    names = [part for part in reversed(path.parts[:-1]) if part in _FAMILIES]
    names += [name for name, family in _FAMILIES.items() if transformation in family.transformations]
    names += ["func_name"] if transformation.startswith("FuncRename") else []
    if names:
        return _FAMILIES[names[0]]
    raise DataError(
        f"{path}: it is not known what {transformation} perturbs: move the file into a folder with the name of its "
        f"family ({', '.join(_FAMILIES)})."
    )


def _perturb(problem: Problem, _rng: random.Random, *, rows: Mapping[str, _Row]) -> Problem:
    """Return the released problem with our own test: all rows have HumanEval's test, even after a renaming."""
    if problem.benchmark != _BENCHMARK:
        raise DataError(
            f"ReCode's files perturb {_BENCHMARK}, not {problem.benchmark}: add --qeval-benchmark {_BENCHMARK}."
        )
    row = rows.get(problem.task_id)
    if row is None:
        return problem
    solution = row.canonical_solution
    return replace(problem, prompt=row.prompt, entry_point=row.entry_point, canonical_solution=solution)


def _give_half(problem: Problem, *, rows: Mapping[str, _Row]) -> Problem | None:
    """Return ReCode's half-given problem, which is the full problem where the solution has a single line."""
    row = rows.get(problem.task_id)
    return None if row is None else replace(problem, prompt=row.prompt, canonical_solution=row.canonical_solution)

"""Problems of HumanEval+ and MBPP+, whose tests are made from inputs and a reference.

The tables are facts about the published files, from evalplus' documentation and release 0.3.1: which arguments JSON
could not represent, and which problems have several right results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.plus import check as plus_check
from pytest_qeval.benchmarks.problems import find_reference_flaw
from pytest_qeval.benchmarks.rows import text_fields
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentTypes:
    """How a problem's arguments get their types back, in the words of `check.RESTORE`."""

    first: tuple[str, ...] = ()
    """Of the first arguments."""
    rest: str = "as is"
    """Of all others."""


_TUPLE = (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809)
_TUPLES = (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)

_BY_NUMBERS: Mapping[Iterable[int], ArgumentTypes] = {
    _TUPLE: ArgumentTypes(rest="tuple"),
    _TUPLES: ArgumentTypes(rest="tuples"),
    (259, 401, 445): ArgumentTypes(rest="tuple of tuples"),
    (580, 615, 791): ArgumentTypes(rest="deep tuple"),
    (75, 413, 444, 753): ArgumentTypes(first=("tuples",)),
    (250, 307, 405, 446, 617, 720, 763, 808): ArgumentTypes(first=("tuple",)),
    (106, 750): ArgumentTypes(first=("as is", "tuple")),
    (115,): ArgumentTypes(first=("sets",)),
    (124,): ArgumentTypes(first=("float", "complex")),
    (252,): ArgumentTypes(first=("complex",)),
    (278,): ArgumentTypes(first=("tuple with tuples",)),
    (722,): ArgumentTypes(first=("dict of tuples",)),
}
ARGUMENT_TYPES: Mapping[str, ArgumentTypes] = {
    f"Mbpp/{number}": types for numbers, types in _BY_NUMBERS.items() for number in numbers
}
"""By task id; the arguments of all other problems stay as JSON has them."""

_SETS = (
    *("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"),
    *("larg_nnum", "intersection_array", "find_dissimilar", "Diff"),
)
COMPARISONS: Mapping[str, str] = {
    **dict.fromkeys(_SETS, "same set"),  # Mbpp/2, 7, 111, 140, 232, 249, 579, 769: in any order
    **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), "some"),  # a match or True, None or False
    "are_equivalent": "anything",  # Mbpp/164: its reference is wrong
    "sum_div": "or zero",  # Mbpp/295
    "digit_distance_nums": "padded distance",  # Mbpp/558
    "surface_Area": "upright surface",  # Mbpp/581
    "find_zero": "root",  # HumanEval/32
}
"""By the function's name, in the words of `check.COMPARISONS`; all other results must equal the reference's."""

_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution")
_INPUT_FIELDS = ("base_input", "plus_input")
_TEST = """\
import json

SPACE = {{"__name__": "plus_check"}}
ARGUMENTS = {arguments!r}
exec(compile({source!r}, "<check>", "exec"), SPACE)


def note_expected(reference):
    return SPACE["note_expected"](reference, **json.loads(ARGUMENTS))


def check(candidate, expected=()):
    found = SPACE["find_disagreement"](candidate, expected, **json.loads(ARGUMENTS))
    if found:
        raise AssertionError(found)
"""


def parse_plus_problem(row: Mapping[str, Any], benchmark: str, where: str) -> Problem:
    """Return the problem of a row; its test compares with the reference on every input.

    Raises:
        DataError: naming `where`, for a row that cannot be prompted or judged.
    """
    texts = text_fields(row, _FIELDS, where)
    atol = row.get("atol")
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or not atol >= 0:
        raise DataError(f"{where}: expected a number from 0 on in the field atol.")
    inputs = {name.removesuffix("_input"): _inputs(row.get(name), name, where) for name in _INPUT_FIELDS}
    test = _test(texts, inputs, float(atol))
    # The id of the problem that it extends, in the original benchmark's spelling.
    cluster = texts["task_id"].replace("Mbpp/", "MBPP/")
    problem = Problem(benchmark=benchmark, test=test, cluster=cluster, **dict[str, Any](texts))
    flaw = find_reference_flaw(problem)
    if flaw:
        raise DataError(f"{where}: {flaw}.")
    if not any(inputs.values()):
        raise DataError(f"{where}: no inputs in {' and '.join(_INPUT_FIELDS)}: every program would pass.")
    return problem


def _inputs(value: object, name: str, where: str) -> list[list[Any]]:
    if value == {}:  # where no inputs were added, as in Mbpp/793 of the published file
        return []
    if not isinstance(value, list) or not all(isinstance(arguments, list) for arguments in value):
        raise DataError(f"{where}: expected a list of lists of arguments in the field {name}.")
    return value


def _test(texts: Mapping[str, str], inputs: Mapping[str, list[list[Any]]], atol: float) -> str:
    types = ARGUMENT_TYPES.get(texts["task_id"], ArgumentTypes())
    # As JSON inside a literal: a literal of many thousand values takes a second to compile.
    arguments = {
        "source": texts["prompt"] + texts["canonical_solution"],
        "entry_point": texts["entry_point"],
        "inputs": inputs,
        "first": types.first,
        "rest": types.rest,
        "comparison": COMPARISONS.get(texts["entry_point"], "equal"),
        "atol": atol,
    }
    return _TEST.format(source=_check_source(), arguments=json.dumps(arguments))


@cache
def _check_source() -> str:
    return Path(plus_check.__file__).read_text(encoding="utf-8")

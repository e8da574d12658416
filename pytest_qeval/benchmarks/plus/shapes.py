"""Which arguments of MBPP+ JSON could not write, and which problems of HumanEval+ and MBPP+ have several right answers.

Facts about the published files, as evalplus' documentation and release 0.3.1 have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["ORACLES", "SHAPES", "Shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the arguments of a problem get their types back; the words are those of `plus_check.RESTORE`."""

    first: tuple[str, ...] = ()
    """Of the first arguments."""
    rest: str = "as is"
    """Of all others."""


_TUPLE = (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809)
_TUPLES = (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)

_SHAPES: Mapping[Iterable[int], Shape] = {
    _TUPLE: Shape(rest="tuple"),
    _TUPLES: Shape(rest="tuples"),
    (259, 401, 445): Shape(rest="tuple of tuples"),
    (580, 615, 791): Shape(rest="deep tuple"),
    (75, 413, 444, 753): Shape(first=("tuples",)),
    (250, 307, 405, 446, 617, 720, 763, 808): Shape(first=("tuple",)),
    (106, 750): Shape(first=("as is", "tuple")),
    (115,): Shape(first=("sets",)),
    (124,): Shape(first=("float", "complex")),
    (252,): Shape(first=("complex",)),
    (278,): Shape(first=("tuple with tuples",)),
    (722,): Shape(first=("dict of tuples",)),
}
SHAPES: Mapping[str, Shape] = {f"Mbpp/{number}": shape for numbers, shape in _SHAPES.items() for number in numbers}
"""By task id; the arguments of all other problems are what JSON has."""

_SETS = (
    *("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"),
    *("larg_nnum", "intersection_array", "find_dissimilar", "Diff"),
)
ORACLES: Mapping[str, str] = {
    **dict.fromkeys(_SETS, "same set"),  # Mbpp/2, 7, 111, 140, 232, 249, 579, 769: in any order
    **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), "some"),  # a match or True, None or False
    "are_equivalent": "anything",  # Mbpp/164: its reference is wrong
    "sum_div": "or zero",  # Mbpp/295
    "digit_distance_nums": "padded distance",  # Mbpp/558
    "surface_Area": "upright surface",  # Mbpp/581
    "find_zero": "root",  # HumanEval/32
}
"""By the function's name; the answers to all other problems have to equal the reference's."""

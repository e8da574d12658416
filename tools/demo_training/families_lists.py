"""List families that reduce a list of integers or select from it by position."""

from typing import Final

from demo_training.family import Family, family
from demo_training.fragments import NUMBERS

_IN: Final = "[in|of|from]"
_REDUCTIONS: Final = (
    family(
        "sum list",
        "ints -> int",
        "return sum($x)",
        nouns=(f"the [sum|total] of [all |the |all the |]{NUMBERS} [in|of] $x", "the [sum|total] of $x"),
        verbs=(f"[add up|sum|sum up] [all |the |all the |]{NUMBERS} [in|of] $x", "sum $x"),
    ),
    family(
        "sum loop",
        "ints -> int",
        "total = 0\nfor v in $x:\n    total += v\nreturn total",
        nouns=("the [sum|total] of $x[,|] [computed|found] with a loop",),
        verbs=(f"loop over $x and add up its {NUMBERS}", f"use a loop to add up the {NUMBERS} in $x"),
    ),
    family(
        "largest",
        "ints -> int",
        "return max($x)",
        nouns=(
            f"the [largest|greatest|biggest|maximum|highest] [number|value|element|item] {_IN} $x",
            "the maximum of $x",
        ),
    ),
    family(
        "smallest",
        "ints -> int",
        "return min($x)",
        nouns=(f"the [smallest|lowest|least|minimum] [number|value|element|item] {_IN} $x", "the minimum of $x"),
    ),
    family(
        "length",
        "ints -> int",
        "return len($x)",
        nouns=(f"the [number|count] of {NUMBERS} in $x", "the length of $x", f"how many {NUMBERS} $x [has|contains]"),
        verbs=(f"count the {NUMBERS} in $x",),
    ),
    family(
        "product list",
        "ints -> int",
        "result = 1\nfor v in $x:\n    result *= v\nreturn result",
        nouns=(f"the product of [all |the |all the |]{NUMBERS} [in|of] $x", "the product of $x"),
        verbs=(f"multiply [all |the |all the |]{NUMBERS} [in|of] $x[| together]",),
    ),
    family(
        "spread",
        "ints -> int",
        "return max($x) - min($x)",
        nouns=(
            (
                "the difference between the [largest|greatest|biggest|maximum] and the "
                "[smallest|lowest|minimum] [number|value|element] [in|of] $x"
            ),
            "the spread of $x",
            "the [largest|biggest] minus the [smallest|lowest] [number|value] in $x",
        ),
    ),
    family(
        "mean",
        "ints -> float",
        "return sum($x) / len($x)",
        nouns=(f"the [average|mean|arithmetic mean] of [the |all |]{NUMBERS} [in|of] $x", "the [average|mean] of $x"),
    ),
    family(
        "distinct count",
        "ints -> int",
        "return len(set($x))",
        nouns=(
            f"the number of [distinct|different|unique] {NUMBERS} in $x",
            f"how many [distinct|different|unique] {NUMBERS} $x [has|contains]",
        ),
        verbs=(f"count the [distinct|different|unique] {NUMBERS} [in|of] $x",),
    ),
    family(
        "second largest",
        "ints -> int",
        "return sorted($x)[-2]",
        nouns=("the second [largest|greatest|biggest|highest] [number|value|element] [in|of] $x",),
    ),
    family(
        "second smallest",
        "ints -> int",
        "return sorted($x)[1]",
        nouns=("the second [smallest|lowest] [number|value|element] [in|of] $x",),
    ),
    family(
        "count constant",
        "ints -> int",
        "return $x.count($k)",
        constants="number",
        nouns=(
            "the number of times $k [occurs|appears] in $x",
            "how [often|many times] $k [occurs|appears|is found] in $x",
            "the [number|count] of [occurrences of |]$k in $x",
        ),
        verbs=("count [the occurrences of |how often |]$k [appears |occurs |]in $x",),
    ),
    family(
        "sum plus constant",
        "ints -> int",
        "return sum($x) + $k",
        constants="number",
        nouns=(
            "the [sum|total] of $x plus $k",
            "$k more than the [sum|total] of $x",
            f"the sum of the {NUMBERS} in $x, increased by $k",
        ),
        verbs=(f"add up [the |all |]{NUMBERS} [in|of] $x and [then |]add $k",),
    ),
    family(
        "sum times constant",
        "ints -> int",
        "return sum($x) * $k",
        constants="number",
        nouns=("the [sum|total] of $x [times|multiplied by] $k", "$k times the [sum|total] of $x"),
        verbs=(f"add up [the |all |]{NUMBERS} [in|of] $x and [then |]multiply [the result |the sum |it |]by $k",),
    ),
    family(
        "largest plus constant",
        "ints -> int",
        "return max($x) + $k",
        constants="number",
        nouns=(
            "the [largest|maximum|biggest] [number |value |]of $x plus $k",
            "$k more than the [largest|maximum|biggest] [number|value] in $x",
        ),
        verbs=("find the [largest|maximum|biggest] [number|value] in $x and [then |]add $k[| to it]",),
    ),
)
_POSITIONS: Final = (
    family(
        "first",
        "ints -> int",
        "return $x[0]",
        group="positions",
        nouns=(f"the first [number|value|element|item|entry] {_IN} $x",),
    ),
    family(
        "last",
        "ints -> int",
        "return $x[-1]",
        group="positions",
        nouns=(f"the [last|final] [number|value|element|item|entry] {_IN} $x",),
    ),
    family(
        "take first",
        "ints -> list[int]",
        "return $x[:$k]",
        constants="small",
        group="positions",
        nouns=(f"the first $k {NUMBERS} {_IN} $x",),
        verbs=(f"[keep|take] [only |]the first $k {NUMBERS} {_IN} $x",),
    ),
    family(
        "take last",
        "ints -> list[int]",
        "return $x[-$k:]",
        constants="small",
        group="positions",
        nouns=(f"the [last|final] $k {NUMBERS} {_IN} $x",),
        verbs=(f"[keep|take] [only |]the [last|final] $k {NUMBERS} {_IN} $x",),
    ),
    family(
        "skip first",
        "ints -> list[int]",
        "return $x[$k:]",
        constants="small",
        group="positions",
        nouns=(f"$x without [its|the] first $k {NUMBERS}", f"all {NUMBERS} {_IN} $x [after|except|but] the first $k"),
        verbs=(f"[drop|skip|remove] the first $k {NUMBERS} {_IN} $x",),
    ),
    family(
        "skip last",
        "ints -> list[int]",
        "return $x[:-$k]",
        constants="small",
        group="positions",
        nouns=(
            f"$x without [its|the] [last|final] $k {NUMBERS}",
            f"all {NUMBERS} {_IN} $x [except|but] the [last|final] $k",
        ),
        verbs=(f"[drop|skip|remove] the [last|final] $k {NUMBERS} {_IN} $x",),
    ),
    family(
        "every step",
        "ints -> list[int]",
        "return $x[::$k]",
        constants="small",
        group="positions",
        nouns=(f"the {NUMBERS} of $x [taken |]in steps of $k", f"one out of $k {NUMBERS} of $x"),
        verbs=("take $x in steps of $k", "step through $x by $k"),
    ),
    family(
        "ends swapped",
        "ints -> tuple[int, int]",
        "return ($x[0], $x[-1])",
        group="positions",
        nouns=("a [tuple|pair] [of|with] the first and [the |]last [number|value|element|item] [of|in] $x",),
    ),
    family(
        "add ends",
        "ints -> int",
        "return $x[0] + $x[-1]",
        group="positions",
        nouns=("the [sum|total] of the first and [the |]last [number|value|element|item] [of|in] $x",),
        verbs=("add the first and [the |]last [number|value|element|item] of $x",),
    ),
)
FAMILIES: Final[tuple[Family, ...]] = (*_REDUCTIONS, *_POSITIONS)

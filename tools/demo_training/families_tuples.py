"""List families over pairs of integers."""

from typing import Final

from demo_training.family import Family, family

_PAIRS: Final = (
    family(
        "swap pair",
        "pair -> tuple[int, int]",
        "return ($x[1], $x[0])",
        group="tuples",
        nouns=("$x with [its|the] two [values|elements|items] swapped", "the pair $x in reverse order"),
        verbs=("swap the two [values|elements|items] of $x", "swap the pair $x"),
    ),
    family(
        "sum pair",
        "pair -> int",
        "return $x[0] + $x[1]",
        group="tuples",
        nouns=("the sum of [both|the two] [numbers|values|elements] of $x",),
        verbs=("add [both|the two] [numbers|values|elements] of $x",),
    ),
    family(
        "product pair",
        "pair -> int",
        "return $x[0] * $x[1]",
        group="tuples",
        nouns=("the product of [both|the two] [numbers|values|elements] of $x",),
        verbs=("multiply [both|the two] [numbers|values|elements] of $x",),
    ),
    family(
        "difference pair",
        "pair -> int",
        "return $x[0] - $x[1]",
        group="tuples",
        nouns=("the first [number|value|element] of $x minus the second",),
        verbs=("subtract the second [number|value|element] of $x from the first",),
    ),
    family(
        "extremes",
        "ints -> tuple[int, int]",
        "return (min($x), max($x))",
        group="tuples",
        nouns=(
            (
                "a [tuple|pair] [of|with] the [smallest|lowest|minimum] and [the "
                "|][largest|biggest|maximum] [number|value|element] [of|in] $x"
            ),
        ),
    ),
    family(
        "sum and length",
        "ints -> tuple[int, int]",
        "return (sum($x), len($x))",
        group="tuples",
        nouns=("a [tuple|pair] [of|with] the [sum|total] and the [length|number of elements] of $x",),
    ),
    family(
        "pair with constant",
        "int -> tuple[int, int]",
        "return ($x, $k)",
        constants="number",
        group="tuples",
        nouns=("[a|the] [tuple|pair] [of|with] $x and $k",),
        verbs=("[pair|combine] $x with $k [in a tuple|as a tuple]",),
    ),
    family(
        "quotient and remainder",
        "int -> tuple[int, int]",
        "return divmod($x, $k)",
        constants="number",
        group="tuples",
        nouns=(
            "[a|the] [tuple|pair] [of|with] [the |]quotient and [the |]remainder of $x divided by $k",
            "the quotient and the remainder [of $x divided|when dividing $x] by $k",
        ),
    ),
    family(
        "order two",
        "int, int -> tuple[int, int]",
        "return (min($x, $y), max($x, $y))",
        group="tuples",
        nouns=("[a|the] [tuple|pair] [of|with] $x and $y in [ascending|increasing] order",),
    ),
    family(
        "pair of two",
        "int, int -> tuple[int, int]",
        "return ($x, $y)",
        group="tuples",
        nouns=("[a|the] [tuple|pair] [of|with] $x and $y",),
    ),
    family(
        "reversed pair of two",
        "int, int -> tuple[int, int]",
        "return ($y, $x)",
        group="tuples",
        nouns=("[a|the] [tuple|pair] [of|with] $y and $x", "$x and $y swapped[| as a tuple]"),
        verbs=("swap $x and $y",),
    ),
)
FAMILIES: Final[tuple[Family, ...]] = (*_PAIRS,)

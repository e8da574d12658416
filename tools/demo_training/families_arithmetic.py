"""List families of arithmetic: one or two operations with constants, or with several parameters."""

from typing import Final

from demo_training.family import Family, family

_CONSTANT_ARITHMETIC: Final = (
    family(
        "add constant",
        "int -> int",
        "return $x + $k",
        constants="number",
        nouns=(
            "[the sum of|] $x [and|plus] $k",
            "$x [increased by|plus|raised by|with] $k[| added to it]",
            "$k more than $x",
            "the [number|value|integer] that is $k [greater|larger|bigger|higher] than $x",
        ),
        verbs=(
            "add $k to $x",
            "increase $x by $k",
            "[raise|shift|move] $x [|up ]by $k",
            "[take|start with] $x and add $k[| to it]",
        ),
    ),
    family(
        "subtract constant",
        "int -> int",
        "return $x - $k",
        constants="number",
        nouns=(
            "$x minus $k",
            "$x [decreased|reduced|lowered] by $k",
            "$k less than $x",
            "the difference [of|between] $x and $k",
            "the [number|value|integer] that is $k [smaller|less|lower] than $x",
        ),
        verbs=(
            "subtract $k from $x",
            "[decrease|reduce|lower] $x by $k",
            "take $k away from $x",
            "[take|start with] $x and subtract $k[| from it]",
        ),
    ),
    family(
        "multiply constant",
        "int -> int",
        "return $x * $k",
        constants="number",
        nouns=(
            "$x [times|multiplied by] $k",
            "the product of $x and $k",
            "$k times $x",
            "$x scaled by [a factor of |]$k",
        ),
        verbs=("multiply $x by $k", "scale $x by [a factor of |]$k", "[take|start with] $x and multiply it by $k"),
    ),
    family(
        "divide constant",
        "int -> int",
        "return $x // $k",
        constants="number",
        nouns=(
            "$x divided by $k[,| and] rounded down",
            "the [integer|whole|floor] quotient of $x and $k",
            "how many times $k fits into $x",
            "the [integer|floor|whole number] division of $x by $k",
            "the whole part of $x divided by $k",
        ),
        verbs=(
            "divide $x by $k [and round down|using integer division|and drop the remainder]",
            "[integer|floor] divide $x by $k",
        ),
    ),
    family(
        "remainder constant",
        "int -> int",
        "return $x % $k",
        constants="number",
        nouns=(
            "the remainder of $x divided by $k",
            "the remainder [when|after] [dividing $x by $k|$x is divided by $k]",
            "$x modulo $k",
            "what is left [when|after] [dividing $x by $k|$x is divided by $k]",
        ),
        verbs=("divide $x by $k and [keep|take] [only |]the remainder", "take $x modulo $k", "reduce $x modulo $k"),
    ),
    family(
        "subtract from constant",
        "int -> int",
        "return $k - $x",
        constants="number",
        nouns=(
            "$k minus $x",
            "$k [decreased|reduced|lowered] by $x",
            "what is left [of|from] $k after [taking away|subtracting] $x",
            "how much $x is below $k",
        ),
        verbs=("subtract $x from $k", "take $x away from $k", "[take|start with] $k and subtract $x"),
    ),
    family(
        "distance constant",
        "int -> int",
        "return abs($x - $k)",
        constants="number",
        nouns=(
            "the distance [between|of] $x [and|from] $k",
            "the absolute difference [between|of] $x and $k",
            "how far $x is [away |]from $k",
        ),
        verbs=(
            "measure [the distance from $x to $k|how far $x is from $k]",
            "subtract $k from $x and [take|drop] the [absolute value|sign]",
        ),
    ),
    family(
        "multiply then add",
        "int -> int",
        "return $x * $k + $j",
        constants=("number", "number"),
        nouns=(
            "$x [times|multiplied by] $k[,| and then] [plus|increased by] $j",
            "$k times $x plus $j",
            "the product of $x and $k, plus $j",
        ),
        verbs=(
            "multiply $x by $k and [then |]add $j[| to the product| to it]",
            "scale $x by $k, then [add|increase it by] $j",
        ),
    ),
    family(
        "add then multiply",
        "int -> int",
        "return ($x + $k) * $j",
        constants=("number", "number"),
        nouns=(
            "the sum of $x and $k, [times|multiplied by] $j",
            "$x plus $k, [all|everything|the whole] [times|multiplied by] $j",
        ),
        verbs=(
            "add $k to $x and [then |]multiply [the sum |the result |it |]by $j",
            "increase $x by $k, then [multiply|scale] [it |the result |]by $j",
        ),
    ),
    family(
        "subtract then multiply",
        "int -> int",
        "return ($x - $k) * $j",
        constants=("number", "number"),
        nouns=(
            "the difference of $x and $k, [times|multiplied by] $j",
            "$x minus $k, [all|everything] [times|multiplied by] $j",
        ),
        verbs=(
            "subtract $k from $x and [then |]multiply [the result |it |]by $j",
            "[decrease|reduce] $x by $k, then [multiply|scale] [it |]by $j",
        ),
    ),
    family(
        "multiply then subtract",
        "int -> int",
        "return $x * $k - $j",
        constants=("number", "number"),
        nouns=("$x [times|multiplied by] $k[,| and then] [minus|decreased by] $j", "$k times $x minus $j"),
        verbs=(
            "multiply $x by $k and [then |]subtract $j[| from the product| from it]",
            "scale $x by $k, then [subtract|take away] $j",
        ),
    ),
    family(
        "add then remainder",
        "int -> int",
        "return ($x + $k) % $j",
        constants=("number", "number"),
        nouns=("the sum of $x and $k modulo $j", "the remainder of $x plus $k divided by $j"),
        verbs=(
            "add $k to $x and [then |]take the remainder [modulo|after division by|of dividing by] $j",
            "increase $x by $k, then take it modulo $j",
        ),
    ),
)
_TWO_NUMBERS: Final = (
    family(
        "add two",
        "int, int -> int",
        "return $x + $y",
        nouns=("the [sum|total] of $x and $y", "$x plus $y", "$x increased by $y"),
        verbs=("add $x and $y[| together]", "add $y to $x", "sum $x and $y"),
    ),
    family(
        "subtract two",
        "int, int -> int",
        "return $x - $y",
        nouns=("the difference [of|between] $x and $y", "$x minus $y", "$x [reduced|decreased] by $y"),
        verbs=("subtract $y from $x", "take $y away from $x"),
    ),
    family(
        "multiply two",
        "int, int -> int",
        "return $x * $y",
        nouns=("the product of $x and $y", "$x [times|multiplied by] $y"),
        verbs=("multiply $x [by|with] $y", "multiply $x and $y"),
    ),
    family(
        "larger of two",
        "int, int -> int",
        "return max($x, $y)",
        nouns=(
            "the [larger|greater|bigger|maximum|higher] [one |number |value |]of $x and $y",
            "whichever of $x and $y is [larger|greater|bigger]",
        ),
        verbs=("[pick|choose|keep] the [larger|greater|bigger] of $x and $y",),
    ),
    family(
        "smaller of two",
        "int, int -> int",
        "return min($x, $y)",
        nouns=(
            "the [smaller|lesser|minimum|lower] [one |number |value |]of $x and $y",
            "whichever of $x and $y is [smaller|lower|less]",
        ),
        verbs=("[pick|choose|keep] the [smaller|lesser|lower] of $x and $y",),
    ),
    family(
        "distance two",
        "int, int -> int",
        "return abs($x - $y)",
        nouns=(
            "the distance [between|of] $x and $y",
            "the absolute difference [between|of] $x and $y",
            "how far [apart $x and $y are|$x is from $y]",
        ),
    ),
    family(
        "sum of three",
        "int, int, int -> int",
        "return $x + $y + $z",
        nouns=("the [sum|total] of $x, $y and $z", "$x plus $y plus $z"),
        verbs=("add $x, $y and $z[| together]", "add up $x, $y and $z"),
    ),
    family(
        "largest of three",
        "int, int, int -> int",
        "return max($x, $y, $z)",
        nouns=("the [largest|greatest|biggest|maximum] of $x, $y and $z",),
        verbs=("[pick|choose|find] the [largest|biggest] of $x, $y and $z",),
    ),
    family(
        "smallest of three",
        "int, int, int -> int",
        "return min($x, $y, $z)",
        nouns=("the [smallest|lowest|least|minimum] of $x, $y and $z",),
        verbs=("[pick|choose|find] the [smallest|lowest] of $x, $y and $z",),
    ),
)
FAMILIES: Final[tuple[Family, ...]] = (*_CONSTANT_ARITHMETIC, *_TWO_NUMBERS)

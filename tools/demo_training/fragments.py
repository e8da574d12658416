"""List the building blocks of composed families: predicates, transformations and aggregations of numbers.

In code, `$v` is the loop variable; a phrase of a predicate completes "that are ...".
"""

from dataclasses import dataclass, replace
from typing import Final

NUMBERS: Final = "[numbers|integers|values|elements|items|entries]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """Hold a condition on one number: its code and the phrase that completes "is ..." ."""

    name: str
    code: str
    phrase: str
    constants: tuple[str, ...] = ()
    adjective: bool = False

    @property
    def selection(self) -> str:
        """Return the pattern of a plural noun phrase for the numbers that satisfy the condition."""
        relative = f"{NUMBERS} [that are|which are|being] {self.phrase}"
        if self.adjective:
            return f"[{self.phrase} {NUMBERS}|{self.phrase} {NUMBERS}|{relative}]"
        return f"[{relative}|{NUMBERS} {self.phrase}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformation:
    """Hold a change of one number: its code, its past participle and the noun of the result."""

    name: str
    code: str
    participle: str
    verb: str
    plural: str = ""
    constants: tuple[str, ...] = ()
    verb_first: bool = True
    """Whether the verb phrase stands before its object ("add 3 to ..."), not around it ("multiply ... by 3")."""

    def with_second_constant(self) -> "Transformation":
        """Return the same change with its constant in the second slot."""
        texts = {name: getattr(self, name).replace("$k", "$j") for name in ("code", "participle", "verb", "plural")}
        return replace(self, **texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """Hold a reduction of a list to one number: its function, none for counting, and its wording."""

    name: str
    function: str
    noun: str
    verb: str = ""

    @property
    def counts(self) -> bool:
        """Return whether the values themselves do not matter."""
        return not self.function

    @property
    def needs_default(self) -> bool:
        """Return whether the function fails on nothing at all."""
        return self.function in {"max", "min"}


def loop(code: str) -> str:
    """Return a fragment's code with the loop variable of every generated function."""
    return code.replace("$v", "v")


PREDICATES: Final = (
    Predicate(name="even", code="$v % 2 == 0", phrase="even", adjective=True),
    Predicate(name="odd", code="$v % 2 != 0", phrase="odd", adjective=True),
    Predicate(name="positive", code="$v > 0", phrase="positive", adjective=True),
    Predicate(name="negative", code="$v < 0", phrase="negative", adjective=True),
    Predicate(name="nonzero", code="$v != 0", phrase="[nonzero|non-zero]", adjective=True),
    Predicate(
        name="above",
        code="$v > $k",
        phrase="[greater than|larger than|bigger than|above|over|more than] $k",
        constants=("number",),
    ),
    Predicate(
        name="below", code="$v < $k", phrase="[less than|smaller than|lower than|below|under] $k", constants=("number",)
    ),
    Predicate(
        name="minimum",
        code="$v >= $k",
        phrase="[at least $k|greater than or equal to $k|not less than $k|not smaller than $k|$k or more|not below $k]",
        constants=("number",),
    ),
    Predicate(
        name="maximum",
        code="$v <= $k",
        phrase="[at most $k|less than or equal to $k|not greater than $k|not larger than $k|$k or less|not above $k]",
        constants=("number",),
    ),
    Predicate(
        name="multiple",
        code="$v % $k == 0",
        phrase="[divisible by|a multiple of|multiples of|evenly divisible by] $k",
        constants=("number",),
    ),
    Predicate(
        name="not multiple",
        code="$v % $k != 0",
        phrase="not [divisible by|a multiple of|multiples of] $k",
        constants=("number",),
    ),
    Predicate(name="equal", code="$v == $k", phrase="[equal to|exactly|the same as] $k", constants=("number",)),
    Predicate(
        name="different",
        code="$v != $k",
        phrase="[not equal to|different from|not the same as] $k",
        constants=("number",),
    ),
    Predicate(
        name="between",
        code="$k <= $v <= $j",
        phrase="[between $k and $j|in the range from $k to $j|from $k to $j|at least $k and at most $j]",
        constants=("number", "high"),
    ),
)
TRANSFORMATIONS: Final = (
    Transformation(name="square", code="$v ** 2", participle="squared", verb="square", plural="squares"),
    Transformation(name="cube", code="$v ** 3", participle="cubed", verb="cube", plural="cubes"),
    Transformation(
        name="double", code="$v * 2", participle="[doubled|multiplied by two]", verb="double", plural="doubles"
    ),
    Transformation(
        name="halve", code="$v // 2", participle="halved[| and rounded down]", verb="halve", plural="halves"
    ),
    Transformation(
        name="negate",
        code="-$v",
        participle="[negated|with its sign flipped]",
        verb="[negate|flip the sign of]",
        plural="negatives",
    ),
    Transformation(
        name="absolute",
        code="abs($v)",
        participle="[without its sign|made positive]",
        verb="take the absolute value of",
        plural="absolute values",
    ),
    Transformation(
        name="add",
        code="$v + $k",
        participle="[increased by $k|plus $k|raised by $k]",
        verb="add $k to",
        constants=("number",),
    ),
    Transformation(
        name="subtract",
        code="$v - $k",
        participle="[decreased by $k|minus $k|reduced by $k|lowered by $k]",
        verb="[subtract $k from|take $k away from]",
        constants=("number",),
    ),
    Transformation(
        name="multiply",
        code="$v * $k",
        participle="[multiplied by $k|times $k|scaled by $k]",
        verb_first=False,
        verb="[multiply|scale] by $k",
        constants=("number",),
    ),
    Transformation(
        name="divide",
        code="$v // $k",
        participle="divided by $k[,| and] rounded down",
        verb_first=False,
        verb="[floor|integer]-divide by $k",
        constants=("number",),
    ),
    Transformation(
        name="remainder",
        code="$v % $k",
        participle="[modulo $k|reduced modulo $k]",
        verb_first=False,
        verb="take modulo $k",
        plural="remainders modulo $k",
        constants=("number",),
    ),
    Transformation(
        name="cap",
        code="min($v, $k)",
        participle="[capped at $k|limited to at most $k]",
        verb_first=False,
        verb="cap at $k",
        constants=("number",),
    ),
    Transformation(
        name="raise",
        code="max($v, $k)",
        participle="[raised to at least $k|limited to at least $k]",
        verb_first=False,
        verb="raise to at least $k",
        constants=("number",),
    ),
)
AGGREGATIONS: Final = (
    Aggregation(name="sum", function="sum", noun="[sum|total] of", verb="[add up|sum|sum up|add together]"),
    Aggregation(name="largest", function="max", noun="[largest|greatest|biggest|maximum|highest] [one |]of"),
    Aggregation(name="smallest", function="min", noun="[smallest|lowest|least|minimum] [one |]of"),
    Aggregation(name="count", function="", noun="[number|count] of", verb="count"),
)

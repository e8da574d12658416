"""List families that decide: predicates on numbers, lists and texts, and values chosen by a condition."""

from typing import Final

from demo_training.family import Family, family, yes_or_no
from demo_training.fragments import PREDICATES

_NUMBER_PREDICATES: Final = tuple(
    family(
        f"is {predicate.name}",
        "int -> bool",
        f"return {predicate.code.replace('$v', '$x')}",
        group="predicate",
        constants=predicate.constants,
        **yes_or_no(f"$x is {predicate.phrase}"),
    )
    for predicate in PREDICATES
)
_CHOICES: Final = tuple(
    family(
        f"{label} if {predicate.name}",
        "int -> int",
        f"if {predicate.code.replace('$v', '$x')}:\n    return {then}\nreturn {other}",
        group="choice",
        constants=predicate.constants,
        nouns=(f"{then_text} [if|when] $x is {predicate.phrase}[, otherwise|, else| and otherwise| and] {other_text}",),
        verbs=(
            (
                f"[if|when] $x is {predicate.phrase}, return {then_text}[, "
                f"otherwise|, else|; otherwise] [return |]{other_text}"
            ),
            f"return {then_text} for {predicate.phrase} $x and {other_text} otherwise"
            if predicate.adjective
            else f"[if|when] $x is {predicate.phrase} [give|return] {then_text}[, otherwise|, else] {other_text}",
        ),
    )
    for predicate in PREDICATES
    for label, then, then_text, other, other_text in (
        ("double", "$x * 2", "[twice $x|$x doubled|$x times two|the double of $x]", "$x", "$x[| itself| unchanged]"),
        ("zero", "0", "[0|zero]", "$x", "$x[| itself| unchanged]"),
        ("negate", "-$x", "[the negative of $x|$x negated|minus $x]", "$x", "$x[| itself| unchanged]"),
        ("square", "$x ** 2", "[the square of $x|$x squared]", "$x", "$x[| itself| unchanged]"),
        ("one", "1", "[1|one]", "0", "[0|zero]"),
    )
)
_THRESHOLD_CHOICES: Final = tuple(
    family(
        f"label by {name}",
        "int -> str",
        f"return $j if $x {sign} $k else 'no'",
        constants=("number", "word"),
        group="choice",
        nouns=(f"$j [if|when] $x is {phrase}[, otherwise|, else| and otherwise] 'no'",),
        verbs=(f"[if|when] $x is {phrase}, return $j[, otherwise|, else] [return |]'no'",),
    )
    for name, sign, phrase in (
        ("more", ">", "[greater|larger|bigger|more] than $k"),
        ("less", "<", "[less|smaller|lower] than $k"),
        ("minimum", ">=", "at least $k"),
        ("limit", "<=", "at most $k"),
        ("equal", "==", "[equal to|exactly] $k"),
    )
)
_NUMBER_PAIRS: Final = tuple(
    family(name, "int, int -> bool", body, group="predicate", **yes_or_no(*clauses))
    for name, body, clauses in (
        ("equal two", "return $x == $y", ("$x and $y are [equal|the same]", "$x equals $y", "$x is equal to $y")),
        ("greater two", "return $x > $y", ("$x is [greater|larger|bigger] than $y", "$x exceeds $y")),
        ("less two", "return $x < $y", ("$x is [less|smaller|lower] than $y", "$x is below $y")),
        (
            "divides two",
            "return $x % $y == 0 if $y else False",
            ("$x is [divisible by|a multiple of] $y", "$y divides $x"),
        ),
        (
            "same parity",
            "return $x % 2 == $y % 2",
            ("$x and $y have the same parity", "$x and $y are both even or both odd"),
        ),
    )
)
_LIST_PREDICATES: Final = tuple(
    family(name, types, body, group="predicate", constants=constants, **yes_or_no(*clauses))
    for name, types, body, constants, clauses in (
        (
            "contains constant",
            "ints -> bool",
            "return $k in $x",
            "number",
            ("$k is [in|an element of|a member of|part of] $x", "$x [contains|includes|has|holds] $k"),
        ),
        (
            "contains value",
            "ints, int -> bool",
            "return $y in $x",
            (),
            ("$y is [in|an element of|a member of|part of] $x", "$x [contains|includes] $y"),
        ),
        (
            "is sorted",
            "ints -> bool",
            "return $x == sorted($x)",
            (),
            ("$x is [sorted|ordered|in ascending order|in increasing order]",),
        ),
        (
            "has duplicates",
            "ints -> bool",
            "return len($x) != len(set($x))",
            (),
            ("$x [has|contains] [duplicates|repeated values|duplicate values]",),
        ),
        (
            "all distinct",
            "ints -> bool",
            "return len($x) == len(set($x))",
            (),
            ("all [values|numbers|elements] [in|of] $x are [distinct|different|unique]", "$x has no duplicates"),
        ),
        (
            "list palindrome",
            "ints -> bool",
            "return $x == $x[::-1]",
            (),
            ("$x [reads|is] the same [forwards and backwards|in both directions]", "$x is a palindrome"),
        ),
        (
            "longer than",
            "ints -> bool",
            "return len($x) > $k",
            "small",
            (
                "$x [has|contains] more than $k [elements|values|items|numbers]",
                "$x is longer than $k[| elements| items]",
            ),
        ),
        (
            "sum exceeds",
            "ints -> bool",
            "return sum($x) > $k",
            "number",
            (
                "the [sum|total] of $x [exceeds|is greater than|is larger than|is above] $k",
                "the [numbers|values] in $x add up to more than $k",
            ),
        ),
    )
)
_TEXT_PREDICATES: Final = tuple(
    family(name, types, body, group="predicate", constants=constants, **yes_or_no(*clauses))
    for name, types, body, constants, clauses in (
        (
            "starts with",
            "word -> bool",
            "return $x.startswith($k)",
            "affix",
            ("$x [starts|begins] with $k", "$k is [a|the] prefix of $x"),
        ),
        (
            "ends with",
            "word -> bool",
            "return $x.endswith($k)",
            "affix",
            ("$x [ends|finishes] with $k", "$k is [a|the] suffix of $x"),
        ),
        (
            "text contains",
            "text -> bool",
            "return $k in $x",
            "affix",
            ("$x [contains|includes] [the text |the substring |]$k", "$k [occurs|appears|is found] in $x"),
        ),
        (
            "text contains text",
            "text, word -> bool",
            "return $y in $x",
            (),
            ("$x [contains|includes] $y", "$y [occurs|appears] in $x"),
        ),
        (
            "palindrome",
            "word -> bool",
            "return $x == $x[::-1]",
            (),
            ("$x is a palindrome", "$x [reads|is] the same [forwards and backwards|in both directions]"),
        ),
        (
            "all digits",
            "word -> bool",
            "return $x.isdigit()",
            (),
            ("$x [consists|is made] [only |]of digits", "[all|all the] characters [of|in] $x are digits"),
        ),
        (
            "all letters",
            "word -> bool",
            "return $x.isalpha()",
            (),
            ("$x [consists|is made] [only |]of letters", "[all|all the] characters [of|in] $x are letters"),
        ),
        (
            "all upper",
            "word -> bool",
            "return $x.isupper()",
            (),
            ("$x is [in |]upper case", "[all|all the] letters [of|in] $x are upper case"),
        ),
        (
            "text longer",
            "text -> bool",
            "return len($x) > $k",
            "small",
            ("$x [has|contains] more than $k characters", "$x is longer than $k[| characters]"),
        ),
        (
            "text length is",
            "text -> bool",
            "return len($x) == $k",
            "small",
            ("$x [has|contains] exactly $k characters", "the length of $x [is|equals] $k"),
        ),
        (
            "text empty",
            "text -> bool",
            "return len($x) == 0",
            (),
            ("$x is [empty|an empty string]", "$x has no characters"),
        ),
    )
)
FAMILIES: Final[tuple[Family, ...]] = (
    *_NUMBER_PREDICATES,
    *_CHOICES,
    *_THRESHOLD_CHOICES,
    *_NUMBER_PAIRS,
    *_LIST_PREDICATES,
    *_TEXT_PREDICATES,
)

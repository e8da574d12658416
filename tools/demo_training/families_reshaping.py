"""List families that change or reorder a list of integers, or combine several lists."""

from typing import Final

from demo_training.family import Family, family
from demo_training.fragments import NUMBERS

_CHANGES: Final = (
    family(
        "append constant",
        "ints -> list[int]",
        "return $x + [$k]",
        constants="number",
        nouns=("$x with $k [appended|added at the end|at the end]", "[a|the] list $x followed by $k"),
        verbs=("append $k to $x", "[add|put] $k [at|to] the end of $x"),
    ),
    family(
        "prepend constant",
        "ints -> list[int]",
        "return [$k] + $x",
        constants="number",
        nouns=("$x with $k [prepended|added at the front|in front|at the start]", "a list of $k followed by $x"),
        verbs=("prepend $k to $x", "[add|put] $k [at|to] the [front|start|beginning] of $x"),
    ),
    family(
        "remove constant",
        "ints -> list[int]",
        "return [v for v in $x if v != $k]",
        constants="number",
        nouns=("$x without [the number |any |every |]$k", "$x with [every|all|each] $k removed"),
        verbs=("[remove|drop|delete] [every|all|each|all occurrences of] $k from $x",),
    ),
    family(
        "replace constant",
        "ints -> list[int]",
        "return [$j if v == $k else v for v in $x]",
        constants=("number", "number"),
        nouns=("$x with [every|all|each] $k [replaced by|changed to|replaced with] $j",),
        verbs=("replace [every|all|each] $k [in|of] $x [by|with] $j", "change [every|all|each] $k in $x to $j"),
    ),
    family(
        "sorted",
        "ints -> list[int]",
        "return sorted($x)",
        nouns=(
            "$x [sorted|in ascending order|in increasing order|sorted in ascending order]",
            "a sorted [copy|version] of $x",
            "$x from [smallest|lowest] to [largest|highest]",
        ),
        verbs=("sort $x[| in ascending order| in increasing order| from smallest to largest]",),
    ),
    family(
        "sorted down",
        "ints -> list[int]",
        "return sorted($x, reverse=True)",
        nouns=(
            "$x [sorted |][in descending order|in decreasing order]",
            "$x from [largest|highest] to [smallest|lowest]",
        ),
        verbs=("sort $x [in descending order|in decreasing order|from largest to smallest|from high to low]",),
    ),
    family(
        "reversed",
        "ints -> list[int]",
        "return $x[::-1]",
        nouns=(
            "$x [reversed|backwards|in reverse order|in reverse]",
            f"[a|the] list of the {NUMBERS} of $x in reverse order",
            "a reversed [copy|version] of $x",
        ),
        verbs=("reverse [the list |the order of |]$x",),
    ),
    family(
        "unique sorted",
        "ints -> list[int]",
        "return sorted(set($x))",
        nouns=(
            (
                f"[the |a sorted list of the ][distinct|unique|different] {NUMBERS} "
                "[of|in] $x[| in ascending order| in sorted order]"
            ),
        ),
        verbs=(
            "[remove|drop] duplicates from $x and sort [the rest|it|the result]",
            f"sort the [distinct|unique] {NUMBERS} of $x",
        ),
    ),
    family(
        "largest few",
        "ints -> list[int]",
        "return sorted($x, reverse=True)[:$k]",
        constants="small",
        nouns=(f"the $k [largest|greatest|biggest|highest] {NUMBERS} [in|of] $x",),
    ),
    family(
        "smallest few",
        "ints -> list[int]",
        "return sorted($x)[:$k]",
        constants="small",
        nouns=(f"the $k [smallest|lowest] {NUMBERS} [in|of] $x",),
    ),
    family(
        "running total",
        "ints -> list[int]",
        "result = []\ntotal = 0\nfor v in $x:\n    total += v\n    result.append(total)\nreturn result",
        nouns=("[the|a list of the] [running|cumulative] [totals|sums] of $x",),
        verbs=("[compute|build] [running|cumulative] sums over $x",),
    ),
    family(
        "differences",
        "ints -> list[int]",
        "return [$x[i + 1] - $x[i] for i in range(len($x) - 1)]",
        nouns=(
            f"[the|a list of the] differences [between|of] [neighbouring|adjacent|consecutive] {NUMBERS} [of|in] $x",
        ),
        verbs=("subtract each [number|element] of $x from the next one",),
    ),
    family(
        "as texts",
        "ints -> list[str]",
        "return [str(v) for v in $x]",
        nouns=(f"[the |all ]{NUMBERS} [of|in] $x as strings", "$x as a list of strings"),
        verbs=("convert [each|every] [number|element|value] [in|of] $x to a string",),
    ),
    family(
        "joined numbers",
        "ints -> str",
        "return $k.join(str(v) for v in $x)",
        constants="separator",
        nouns=(f"the {NUMBERS} of $x [joined|connected|separated] [by|with] $k",),
        verbs=(f"join the {NUMBERS} of $x with $k", f"write the {NUMBERS} of $x with $k between them"),
    ),
    family(
        "repeat list",
        "ints -> list[int]",
        "return $x * $k",
        constants="small",
        nouns=("$x repeated $k times",),
        verbs=("repeat [the list |]$x $k times",),
    ),
)
_PAIRS: Final = (
    family(
        "concat",
        "ints, ints -> list[int]",
        "return $x + $y",
        group="two lists",
        nouns=("[the list |]$x followed by $y", "$x and $y [joined|concatenated|as one list]"),
        verbs=("concatenate $x and $y", "[append|attach] $y to $x", "join [the lists |]$x and $y"),
    ),
    family(
        "pairwise sums",
        "ints, ints -> list[int]",
        "return [v + w for v, w in zip($x, $y)]",
        group="two lists",
        nouns=("[the|a list of the] [pairwise|elementwise] sums of $x and $y",),
        verbs=("add $x and $y [element by element|pairwise|elementwise]",),
    ),
    family(
        "pairwise products",
        "ints, ints -> list[int]",
        "return [v * w for v, w in zip($x, $y)]",
        group="two lists",
        nouns=("[the|a list of the] [pairwise|elementwise] products of $x and $y",),
        verbs=("multiply $x and $y [element by element|pairwise|elementwise]",),
    ),
    family(
        "dot",
        "ints, ints -> int",
        "return sum(v * w for v, w in zip($x, $y))",
        group="two lists",
        nouns=(
            "the [dot|scalar|inner] product of $x and $y",
            "the sum of the [pairwise|elementwise] products of $x and $y",
        ),
    ),
    family(
        "common",
        "ints, ints -> list[int]",
        "return [v for v in $x if v in $y]",
        group="two lists",
        nouns=(
            f"the {NUMBERS} of $x that are [also|contained] in $y",
            f"the {NUMBERS} [common to|shared by] $x and $y",
        ),
        verbs=(f"keep [only |]the {NUMBERS} of $x that are [also |]in $y",),
    ),
    family(
        "missing",
        "ints, ints -> list[int]",
        "return [v for v in $x if v not in $y]",
        group="two lists",
        nouns=(f"the {NUMBERS} of $x that are [not|missing] in $y",),
        verbs=(f"remove [all|the] {NUMBERS} of $y from $x",),
    ),
    family(
        "pairs",
        "ints, ints -> list[tuple[int, int]]",
        "return list(zip($x, $y))",
        group="two lists",
        nouns=("[the|a list of] pairs of $x and $y",),
        verbs=("pair [up |]$x with $y", "zip $x and $y"),
    ),
    family(
        "contain sum",
        "ints, ints -> int",
        "return sum($x) + sum($y)",
        group="two lists",
        nouns=("the [sum|total] of [all |the ]numbers in $x and $y",),
        verbs=("add up [all |the ]numbers in $x and $y",),
    ),
    family(
        "flatten",
        "nested -> list[int]",
        "return [v for row in $x for v in row]",
        group="two lists",
        nouns=("$x [flattened|as one flat list]", f"[all |the ]{NUMBERS} of all lists in $x"),
        verbs=("flatten $x[| into one list]",),
    ),
    family(
        "inner sums",
        "nested -> list[int]",
        "return [sum(row) for row in $x]",
        group="two lists",
        nouns=(
            "[the|a list of the] [sum|total] of each [inner list|row|list] [in|of] $x",
            "the [sums|totals] of the [rows|inner lists] [in|of] $x",
        ),
        verbs=("[sum|add up] each [inner list|row|list] [in|of] $x",),
    ),
    family(
        "inner lengths",
        "nested -> list[int]",
        "return [len(row) for row in $x]",
        group="two lists",
        nouns=(
            "[the|a list of the] length of each [inner list|row|list] [in|of] $x",
            "the lengths of the [rows|inner lists] [in|of] $x",
        ),
    ),
    family(
        "inner largest",
        "nested -> list[int]",
        "return [max(row) for row in $x]",
        group="two lists",
        nouns=(
            "[the|a list of the] [largest|biggest|maximum] [number|value] of each [inner list|row|list] [in|of] $x",
        ),
    ),
)
FAMILIES: Final[tuple[Family, ...]] = (*_CHANGES, *_PAIRS)

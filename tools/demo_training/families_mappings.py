"""List families over dictionaries."""

from typing import Final

from demo_training.family import Family, family, yes_or_no

_MAPPINGS: Final = (
    family(
        "sorted keys",
        "mapping -> list[str]",
        "return sorted($x)",
        group="mappings",
        nouns=(
            "[the|all] keys of $x [sorted|in sorted order|in alphabetical order|as a sorted list]",
            "a sorted list of the keys [of|in] $x",
        ),
        verbs=("sort the keys of $x",),
    ),
    family(
        "sum values",
        "mapping -> int",
        "return sum($x.values())",
        group="mappings",
        nouns=("the [sum|total] of [the|all|all the] values [of|in] $x",),
        verbs=("add up [the|all] values [of|in] $x",),
    ),
    family(
        "largest value",
        "mapping -> int",
        "return max($x.values())",
        group="mappings",
        nouns=("the [largest|greatest|biggest|maximum] value [of|in] $x",),
    ),
    family(
        "smallest value",
        "mapping -> int",
        "return min($x.values())",
        group="mappings",
        nouns=("the [smallest|lowest|minimum] value [of|in] $x",),
    ),
    family(
        "best key",
        "mapping -> str",
        "return max($x, key=$x.get)",
        group="mappings",
        nouns=("the key [with|that has] the [largest|greatest|biggest|maximum|highest] value [in|of] $x",),
    ),
    family(
        "worst key",
        "mapping -> str",
        "return min($x, key=$x.get)",
        group="mappings",
        nouns=("the key [with|that has] the [smallest|lowest|minimum] value [in|of] $x",),
    ),
    family(
        "size",
        "mapping -> int",
        "return len($x)",
        group="mappings",
        nouns=("the number of [keys|entries|pairs] in $x", "how many [keys|entries] $x [has|contains]"),
        verbs=("count the [keys|entries] [in|of] $x",),
    ),
    family(
        "look up",
        "mapping -> int",
        "return $x.get($k, 0)",
        constants="word",
        group="mappings",
        nouns=(
            "the value of [the key |]$k in $x, or 0 if [it is missing|there is none]",
            "the value $x has for [the key |]$k, [and|or] 0 [if it is missing|otherwise]",
        ),
        verbs=("look up [the key |]$k in $x, [with|using] 0 as default",),
    ),
    family(
        "look up default",
        "mapping -> int",
        "return $x.get($k, $j)",
        constants=("word", "number"),
        group="mappings",
        nouns=("the value of [the key |]$k in $x, or $j if [it is missing|there is none]",),
        verbs=("look up [the key |]$k in $x, [with|using] $j as default",),
    ),
    family(
        "has key",
        "mapping -> bool",
        "return $k in $x",
        constants="word",
        group="mappings",
        **yes_or_no("$k is a key [of|in] $x", "$x [has|contains] the key $k"),
    ),
    family(
        "keep values above",
        "mapping -> dict[str, int]",
        "return {key: v for key, v in $x.items() if v > $k}",
        constants="number",
        group="mappings",
        nouns=("the entries of $x [with|that have] [a value|values] [greater than|above|larger than|over] $k",),
        verbs=("keep [only |]the entries of $x [with|that have] [a value|values] [greater than|above|larger than] $k",),
    ),
    family(
        "keep values below",
        "mapping -> dict[str, int]",
        "return {key: v for key, v in $x.items() if v < $k}",
        constants="number",
        group="mappings",
        nouns=("the entries of $x [with|that have] [a value|values] [less than|below|smaller than|under] $k",),
        verbs=("keep [only |]the entries of $x [with|that have] [a value|values] [less than|below|smaller than] $k",),
    ),
    family(
        "keys above",
        "mapping -> list[str]",
        "return [key for key, v in $x.items() if v > $k]",
        constants="number",
        group="mappings",
        nouns=("[the|all] keys of $x [whose value is|with a value] [greater than|above|larger than] $k",),
        verbs=("list [the|all] keys of $x [whose value is|with a value] [greater than|above|larger than] $k",),
    ),
    family(
        "values plus",
        "mapping -> dict[str, int]",
        "return {key: v + $k for key, v in $x.items()}",
        constants="number",
        group="mappings",
        nouns=("$x with [each|every] value increased by $k", "$x with $k added to [each|every] value"),
        verbs=("[add $k to|increase by $k] [each|every] value [in|of] $x",),
    ),
    family(
        "values times",
        "mapping -> dict[str, int]",
        "return {key: v * $k for key, v in $x.items()}",
        constants="number",
        group="mappings",
        nouns=("$x with [each|every] value multiplied by $k",),
        verbs=("multiply [each|every] value [in|of] $x by $k",),
    ),
    family(
        "invert",
        "mapping -> dict[int, str]",
        "return {v: key for key, v in $x.items()}",
        group="mappings",
        nouns=("$x with keys and values swapped", "a dictionary from the values of $x to its keys"),
        verbs=("swap [the |]keys and values of $x", "invert the dictionary $x"),
    ),
    family(
        "merge",
        "mapping, mapping -> dict[str, int]",
        "return {**$x, **$y}",
        group="mappings",
        nouns=(
            "$x and $y [merged|combined] into one dictionary",
            "[the|a] dictionary [with|of] all entries of $x and $y",
        ),
        verbs=("merge [the dictionaries |]$x and $y",),
    ),
    family(
        "without key",
        "mapping -> dict[str, int]",
        "return {key: v for key, v in $x.items() if key != $k}",
        constants="word",
        group="mappings",
        nouns=("$x without the [key|entry] $k",),
        verbs=("[remove|drop|delete] the [key|entry] $k from $x",),
    ),
    family(
        "with key",
        "mapping -> dict[str, int]",
        "return {**$x, $k: $j}",
        constants=("word", "number"),
        group="mappings",
        nouns=("$x with [the key |]$k [set to|mapped to] $j",),
        verbs=("set [the key |]$k [in|of] $x to $j",),
    ),
    family(
        "count letters",
        "word -> dict[str, int]",
        "return {c: $x.count(c) for c in $x}",
        group="mappings",
        nouns=(
            (
                "a dictionary [from|that maps] [each|every] [character|letter] of $x to [how "
                "often it occurs|its count|its number of occurrences]"
            ),
        ),
        verbs=("count [how often each|each] [character|letter] [occurs |]in $x",),
    ),
    family(
        "count values",
        "ints -> dict[int, int]",
        "return {v: $x.count(v) for v in $x}",
        group="mappings",
        nouns=(
            (
                "a dictionary [from|that maps] [each|every] [number|value|element] of $x to "
                "[how often it occurs|its count|its number of occurrences]"
            ),
        ),
        verbs=("count [how often each|each] [number|value|element] [occurs |]in $x",),
    ),
    family(
        "lengths by word",
        "texts -> dict[str, int]",
        "return {w: len(w) for w in $x}",
        group="mappings",
        nouns=("a dictionary [from|that maps] [each|every] [word|string] [of|in] $x to its length",),
        verbs=("map [each|every] [word|string] [of|in] $x to its length",),
    ),
    family(
        "from lists",
        "texts, ints -> dict[str, int]",
        "return dict(zip($x, $y))",
        group="mappings",
        nouns=("a dictionary [with|that has] the keys $x and the values $y", "a dictionary [from|that maps] $x to $y"),
        verbs=("map [the keys |]$x to [the values |]$y",),
    ),
)
FAMILIES: Final[tuple[Family, ...]] = (*_MAPPINGS,)

"""Compose families that select from a list of integers by a predicate."""

from collections.abc import Iterator
from typing import Final

from demo_training.family import Family, family
from demo_training.fragments import AGGREGATIONS, NUMBERS, PREDICATES, Aggregation, Predicate, loop


def _filters(p: Predicate) -> Iterator[Family]:
    code = loop(p.code)
    yield family(
        f"keep {p.name}",
        "ints -> list[int]",
        f"return [v for v in $x if {code}]",
        group="filter",
        constants=p.constants,
        nouns=(
            f"[the|all|all the|a list of the] {p.selection} [in|of|from] $x",
            f"[the|all] {NUMBERS} [in|of|from] $x [that are|which are] {p.phrase}",
        ),
        verbs=(
            f"[keep|select|filter|collect] [only |]the {p.selection} [in|of|from] $x",
            f"[remove|drop|filter out] all {NUMBERS} [from|of] $x [except those that are|that are not] {p.phrase}",
            f"filter $x to {NUMBERS} that are {p.phrase}",
        ),
    )
    yield family(
        f"drop {p.name}",
        "ints -> list[int]",
        f"return [v for v in $x if not {code}]",
        group="drop",
        constants=p.constants,
        nouns=(f"$x without [the|its] {p.selection}", f"$x with [all|the] {p.selection} [removed|left out]"),
        verbs=(f"[remove|drop|delete|filter out] [all|the] {p.selection} from $x",),
    )


def _every(p: Predicate) -> Iterator[Family]:
    yield family(
        f"all {p.name}",
        "ints -> bool",
        f"return all({loop(p.code)} for v in $x)",
        group="quantified",
        constants=p.constants,
        nouns=(
            f"whether [all|all the] {NUMBERS} [in|of] $x are {p.phrase}",
            f"True if [every|each] [number|value|element|item] [in|of] $x is {p.phrase}[|, otherwise False]",
        ),
        verbs=(f"[check|test|decide|tell] [whether|if] [every|each] [number|value|element] [in|of] $x is {p.phrase}",),
    )


def _some(p: Predicate) -> Iterator[Family]:
    yield family(
        f"any {p.name}",
        "ints -> bool",
        f"return any({loop(p.code)} for v in $x)",
        group="quantified",
        constants=p.constants,
        nouns=(
            f"whether [any|at least one|some] [number|value|element|item] [in|of] $x is {p.phrase}",
            (
                "True if $x [has|contains] [any|at least one|some] "
                f"[number|value|element] that is {p.phrase}[|, otherwise False]"
            ),
        ),
        verbs=(
            f"[check|test|decide|tell] [whether|if] [any|at least one] [number|value|element] [in|of] $x is {p.phrase}",
        ),
    )


def _reduced_code(a: Aggregation, p: Predicate) -> str:
    if a.counts:
        return f"sum(1 for v in $x if {loop(p.code)})"
    chosen = f"v for v in $x if {loop(p.code)}"
    return f"{a.function}(({chosen}), default=0)" if a.needs_default else f"{a.function}({chosen})"


def _reductions(p: Predicate) -> Iterator[Family]:
    for a in AGGREGATIONS:
        tail = ", or 0 if there are none" if a.needs_default else ""
        questions = (f"how many {NUMBERS} [in|of] $x are {p.phrase}",) if a.counts else ()
        yield family(
            f"{a.name} {p.name}",
            "ints -> int",
            f"return {_reduced_code(a, p)}",
            group="reduce",
            constants=p.constants,
            nouns=(f"the {a.noun} [the|all|all the] {p.selection} in $x{tail}", *questions),
            verbs=(f"{a.verb} [the|all|all the|only the] {p.selection} [in|of] $x",) if a.verb else (),
        )


def _orders(p: Predicate) -> Iterator[Family]:
    for name, tail, words in (
        ("up", "", "[sorted|in ascending order|in increasing order]"),
        ("down", ", reverse=True", "[sorted |][in descending order|in decreasing order]"),
    ):
        code = f"v for v in $x if {loop(p.code)}"
        yield family(
            f"sort {name} {p.name}",
            "ints -> list[int]",
            f"return sorted([{code}]{tail})" if tail else f"return sorted({code})",
            group="filter sort",
            constants=p.constants,
            nouns=(f"[the|all] {p.selection} [in|of] $x {words}",),
            verbs=(
                f"sort [the|all] {p.selection} [in|of] $x"
                + (" in descending order" if tail else "[| in ascending order]"),
            ),
        )


FAMILIES: Final[tuple[Family, ...]] = tuple(
    made for p in PREDICATES for maker in (_filters, _every, _some, _reductions, _orders) for made in maker(p)
)

"""Compose families that transform the integers of a list, all of them or those that a predicate selects."""

from collections.abc import Iterator
from typing import Final

from demo_training.family import CONSTANT_SLOTS, Family, family
from demo_training.fragments import (
    AGGREGATIONS,
    NUMBERS,
    PREDICATES,
    TRANSFORMATIONS,
    Predicate,
    Transformation,
    loop,
)


def _each(t: Transformation) -> Iterator[Family]:
    each = "[each|every] [number|value|element|item|entry] [in|of] $x"
    first, _, rest = t.verb.partition(" ")
    yield family(
        f"{t.name} each",
        "ints -> list[int]",
        f"return [{loop(t.code)} for v in $x]",
        group="map",
        constants=t.constants,
        nouns=(
            f"$x with [each|every] [number|value|element|item] {t.participle}",
            f"[a list of |]all {NUMBERS} of $x {t.participle}",
            *((f"[the|a list of the] {t.plural} of [the |all |]{NUMBERS} [in|of] $x",) if t.plural else ()),
        ),
        verbs=(f"{t.verb} {each}" if t.verb_first else f"{first} {each} {rest}",),
    )


def _each_reduced(t: Transformation) -> Iterator[Family]:
    for a in AGGREGATIONS:
        if a.counts:
            continue
        whole = (
            f"the {a.noun} [the|all] {t.plural} of [the |]{NUMBERS} in $x"
            if t.plural
            else f"the {a.noun} [the|all] {NUMBERS} in $x [after each is|each] {t.participle}"
        )
        yield family(
            f"{a.name} {t.name}",
            "ints -> int",
            f"return {a.function}({loop(t.code)} for v in $x)",
            group="map reduce",
            constants=t.constants,
            nouns=(whole, f"the {a.noun} $x [with|after] every [number|value] {t.participle}"),
        )


def _selected(p: Predicate, t: Transformation) -> Family:
    nouns = [
        f"[the|all|all the] {p.selection} [in|of] $x, {t.participle}",
        f"a list of the {p.selection} [in|of] $x, [each|all] {t.participle}",
    ]
    nouns += [f"[the|a list of the] {t.plural} of [the|all|all the] {p.selection} [in|of] $x"] if t.plural else []
    verb = f"{t.verb} [the|all|every one of the] {p.selection} [in|of] $x and [drop|leave out] the [rest|others]"
    return family(
        f"{t.name} {p.name}",
        "ints -> list[int]",
        f"return [{loop(t.code)} for v in $x if {loop(p.code)}]",
        group="filter map",
        constants=(*p.constants, *t.constants),
        nouns=tuple(nouns),
        verbs=(verb,) if t.verb_first else (),
    )


def _selected_sum(p: Predicate, t: Transformation) -> Family:
    noun = (
        f"the [sum|total] of [the|all|all the] {t.plural} of [the |all ]{p.selection} in $x"
        if t.plural
        else f"the [sum|total] of [the|all] {p.selection} in $x, each {t.participle}"
    )
    return family(
        f"sum {t.name} {p.name}",
        "ints -> int",
        f"return sum({loop(t.code)} for v in $x if {loop(p.code)})",
        group="filter map sum",
        constants=(*p.constants, *t.constants),
        nouns=(noun,),
    )


def _selected_only(p: Predicate, t: Transformation) -> Family:
    others = "[keep the others|leave the rest unchanged|leave the others as they are]"
    return family(
        f"maybe {t.name} {p.name}",
        "ints -> list[int]",
        f"return [{loop(t.code)} if {loop(p.code)} else v for v in $x]",
        group="conditional map",
        constants=(*p.constants, *t.constants),
        nouns=(f"$x with [the|all|only the] {p.selection} {t.participle}",),
        verbs=(f"{t.verb} [the|all] {p.selection} [in|of] $x and {others}",) if t.verb_first else (),
    )


def _pairs() -> Iterator[tuple[Predicate, Transformation]]:
    for p in PREDICATES:
        for t in TRANSFORMATIONS:
            if len(p.constants) + len(t.constants) <= len(CONSTANT_SLOTS):
                yield p, t.with_second_constant() if p.constants else t


FAMILIES: Final[tuple[Family, ...]] = (
    *(made for t in TRANSFORMATIONS for maker in (_each, _each_reduced) for made in maker(t)),
    *(maker(p, t) for p, t in _pairs() for maker in (_selected, _selected_sum, _selected_only)),
)

"""Describe one family of synthetic functions and expand its wording patterns.

A pattern is English with alternatives in square brackets (`[sum|total]`, nesting allowed) and slots: `$x`, `$y`, `$z`
are the parameters, `$k`, `$j` the constants. Bodies use the same slots, but no alternatives.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from string import Template
from typing import Final

PARAMETER_SLOTS: Final = ("x", "y", "z")
CONSTANT_SLOTS: Final = ("k", "j")

_INNERMOST: Final = re.compile(r"\[([^\[\]]*)\]")
_PARAMETER: Final = r"(?:the (?:given )?)?(?!(?:a|an|in|the)\b)\w+(?: of \w+)?"
_CONSTANT: Final = r"(?:\d+|'[^']*')"
_SLOT_EXPRESSIONS: Final = {
    **dict.fromkeys(PARAMETER_SLOTS, _PARAMETER),
    **dict.fromkeys(CONSTANT_SLOTS, _CONSTANT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Hold what all functions of one kind share: types, code and the ways to ask for it."""

    name: str
    group: str
    parameters: tuple[str, ...]
    returns: str
    body: str
    constants: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()


def family(name: str, types: str, body: str, **rest: object) -> Family:
    """Build a family from a compact signature such as `int, ints -> int`."""
    parameters, returns = (part.strip() for part in types.split("->"))
    fields: dict[str, object] = {"group": "plain", **rest}
    for key in ("constants", "nouns", "verbs"):
        value = fields.get(key, ())
        fields[key] = (value,) if isinstance(value, str) else value
    kinds = tuple(kind.strip() for kind in parameters.split(","))
    return Family(name=name, parameters=kinds, returns=returns, body=body, **fields)  # type: ignore[arg-type]


def yes_or_no(*clauses: str) -> dict[str, tuple[str, ...]]:
    """Return the noun and verb patterns that ask whether one of the clauses holds."""
    clause = f"[{'|'.join(clauses)}]" if len(clauses) > 1 else clauses[0]
    return {
        "nouns": (
            f"whether {clause}",
            f"True [if|when|exactly when|only if] {clause}[|, otherwise False| and False otherwise|, else False]",
        ),
        "verbs": (f"[check|test|decide|tell|see|say] [whether|if] {clause}", f"answer whether {clause}"),
    }


def choose(pattern: str, rng: Random) -> str:
    """Replace every group of alternatives by one of them, leaving the slots."""
    while (found := _INNERMOST.search(pattern)) is not None:
        chosen = rng.choice(found.group(1).split("|"))
        pattern = pattern[: found.start()] + chosen + pattern[found.end() :]
    return pattern


def fill(template: str, slots: Mapping[str, str]) -> str:
    """Replace the slots of a pattern or body by their texts."""
    return Template(template).substitute(slots)


def wording_expression(pattern: str) -> re.Pattern[str]:
    """Compile a wording pattern into an expression that finds each of its wordings inside a text."""
    pieces = []
    for piece in re.split(r"(\$[a-z]|[\[\]|])", pattern):
        special = {"[": "(?:", "]": ")", "|": "|"}.get(piece)
        pieces.append(special or _SLOT_EXPRESSIONS.get(piece[1:] if piece[:1] == "$" else "") or re.escape(piece))
    return re.compile(rf"(?<!\w)(?:{''.join(pieces)})(?!\w)", re.IGNORECASE)


def body_expression(body: str) -> re.Pattern[str]:
    """Compile a body into an expression that matches its code for any names and constants."""
    pieces = re.split(r"\$([a-z])", body)
    slots = {**dict.fromkeys(PARAMETER_SLOTS, r"\w+"), **dict.fromkeys(CONSTANT_SLOTS, _CONSTANT)}
    return re.compile("".join(slots[piece] if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)))

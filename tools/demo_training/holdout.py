"""Say what training must never see, so that the benchmark `micro` asks for generalisation.

Numbers and texts are split by a rule, function names by a word list. The training corpus draws everything through
the negation of these rules; the problems use only what the rules reserve.
"""

from typing import Final

_NUMBER_MODULUS: Final = 7
_NUMBER_RESIDUE: Final = 5
_TEXT_MODULUS: Final = 5

HELD_OUT_NAME_WORDS: Final = frozenset(
    {"assemble", "deduce", "derive", "determine", "establish", "evaluate", "obtain", "prepare", "produce", "render"},
)
"""Every problem's function name starts with one of these words; no training name contains any of them."""


def is_held_out_number(number: int) -> bool:
    """Return whether an integer constant is reserved for the benchmark."""
    return abs(number) % _NUMBER_MODULUS == _NUMBER_RESIDUE


def is_held_out_text(text: str) -> bool:
    """Return whether a string constant is reserved for the benchmark."""
    return sum(map(ord, text)) % _TEXT_MODULUS == 0


def is_held_out_constant(constant: int | str) -> bool:
    """Return whether a constant of either type is reserved for the benchmark."""
    return is_held_out_number(constant) if isinstance(constant, int) else is_held_out_text(constant)


def is_held_out_name(name: str) -> bool:
    """Return whether a function name contains a word that is reserved for the benchmark."""
    return any(word in name.lower() for word in HELD_OUT_NAME_WORDS)

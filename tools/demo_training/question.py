"""Describe one question of the benchmark `micro` as its author writes it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Hold a signature, the wording, the reference code and the arguments of examples and tests."""

    signature: str
    wording: str
    solution: str
    shown: tuple[tuple[object, ...], ...]
    hidden: tuple[tuple[object, ...], ...]

    @property
    def entry_point(self) -> str:
        """Return the function's name."""
        return self.signature.partition("(")[0]


def question(
    signature: str,
    wording: str,
    solution: str,
    shown: Sequence[object],
    hidden: Sequence[object],
) -> Question:
    """Build a question; arguments that are no tuple belong to functions of one parameter."""
    return Question(
        signature=signature,
        wording=wording,
        solution=solution,
        shown=tuple(one if isinstance(one, tuple) else (one,) for one in shown),
        hidden=tuple(one if isinstance(one, tuple) else (one,) for one in hidden),
    )

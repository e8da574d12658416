"""Describe one problem of the benchmark `micro` as its author writes it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroProblem:
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


def problem(
    signature: str,
    wording: str,
    solution: str,
    shown: Sequence[object],
    hidden: Sequence[object],
) -> MicroProblem:
    """Build a problem; arguments that are no tuple belong to functions of one parameter."""
    return MicroProblem(
        signature=signature,
        wording=wording,
        solution=solution,
        shown=tuple(one if isinstance(one, tuple) else (one,) for one in shown),
        hidden=tuple(one if isinstance(one, tuple) else (one,) for one in hidden),
    )

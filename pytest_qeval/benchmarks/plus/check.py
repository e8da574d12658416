"""The test of HumanEval+ and MBPP+: compare a function with the reference on every input.

Its source is what a judge executes, in a namespace of its own: so it needs nothing but the standard library. The rules
are evalplus' (Liu et al., 2023, arXiv:2305.01210), as its documentation and release 0.3.1 state them.
"""

import copy
import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

RTOL = 1e-7
"""Relative tolerance of floating-point answers."""
LEAST_ATOL = 1e-6
"""Absolute tolerance where the expected value is made of floating-point numbers and the problem names none."""


def deep_tuple(value: Any) -> Any:
    """Turn lists into tuples, however deep they lie."""
    return tuple(map(deep_tuple, value)) if isinstance(value, list) else value


RESTORE: Mapping[str, Callable[[Any], Any]] = {
    "as is": lambda value: value,
    "tuple": tuple,
    "tuples": lambda value: [tuple(item) for item in value],
    "tuple of tuples": lambda value: tuple(tuple(item) for item in value),
    "tuple with tuples": lambda value: tuple(tuple(item) if isinstance(item, list) else item for item in value),
    "deep tuple": deep_tuple,
    "sets": lambda value: [set(item) if isinstance(item, list) and item else {} for item in value],
    "dict of tuples": lambda value: {key: tuple(item) for key, item in value.items()},
    "float": float,
    "complex": complex,
}
"""What JSON made of an argument, and how it becomes what it was."""


def restored(arguments: Sequence[Any], first: Sequence[str], rest: str) -> list[Any]:
    """Return arguments their types back: `first` names those of the first ones, `rest` that of all others."""
    kinds = [*first, *[rest] * len(arguments)]
    return [RESTORE[kind](argument) for kind, argument in zip(kinds, arguments)]  # noqa: B905 - kinds may be more


def is_floats(value: Any) -> bool:
    """Return whether a value is a floating-point number, or a list or tuple of nothing else."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def is_close(answer: Any, expected: Any, atol: float) -> bool:
    """Compare numbers, and lists and tuples of them, within |a - e| <= atol + rtol |e|."""
    if isinstance(expected, (list, tuple)):
        if not isinstance(answer, (list, tuple)) or len(answer) != len(expected):
            return False
        return all(is_close(one, other, atol) for one, other in zip(answer, expected))  # noqa: B905 - of one length
    if not isinstance(expected, (int, float, complex)) or not isinstance(answer, (int, float, complex)):
        return False
    if answer == expected or (answer != answer and expected != expected):  # noqa: PLR0124 - not a number
        return True
    distance = abs(answer - expected)
    return distance < math.inf and distance <= atol + RTOL * abs(expected)


def is_equal(answer: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Compare exactly; where numbers may differ a little, within the tolerances."""
    if answer == expected:
        return True
    tolerance = atol or (LEAST_ATOL if is_floats(expected) else 0.0)
    # A reference that is not a number can only be answered in kind, whatever the tolerance.
    return tolerance != 0 and type(answer) is type(expected) and is_close(answer, expected, tolerance)


def is_some(answer: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Compare whether there is an answer: None means no, and anything else but False means yes."""
    found = answer if isinstance(answer, bool) else answer is not None
    return bool(found == (expected is not None))


def is_root(answer: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Accept every root of the polynomial whose coefficients are the argument."""
    return bool(abs(sum(factor * answer**power for power, factor in enumerate(arguments[0]))) <= atol)


def is_padded_distance(answer: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Accept the sum of the distances of digits, the shorter number filled up with zeros, too."""
    if answer == expected:
        return True
    digits = [str(argument) for argument in arguments]
    width = max(map(len, digits))
    pairs = zip(*(text.zfill(width) for text in digits))  # noqa: B905 - of one length
    return bool(answer == sum(abs(int(one) - int(other)) for one, other in pairs))


def is_upright_surface(answer: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Accept the surface of a square pyramid whose height is meant to be perpendicular, too."""
    if is_equal(answer, expected, arguments, atol):
        return True
    edge, height = arguments
    return bool(abs(answer - round(edge**2 + 2 * edge * math.hypot(edge / 2, height))) <= atol)


ORACLES: Mapping[str, Callable[[Any, Any, Sequence[Any], float], bool]] = {
    "equal": is_equal,
    "same set": lambda answer, expected, arguments, atol: set(answer) == set(expected),
    "some": is_some,
    "anything": lambda answer, expected, arguments, atol: True,
    "or zero": lambda answer, expected, arguments, atol: is_equal(answer, expected, arguments, atol) or answer == 0,
    "root": is_root,
    "padded distance": is_padded_distance,
    "upright surface": is_upright_surface,
}
"""How answers are compared, by name; nearly always `equal`."""


def find_disagreement(
    candidate: Callable[..., Any],
    *,
    source: str,
    entry_point: str,
    inputs: Mapping[str, Sequence[Sequence[Any]]],
    first: Sequence[str] = (),
    rest: str = "as is",
    oracle: str = "equal",
    atol: float = 0.0,
) -> str:
    """Say on which input a candidate and the reference disagree first; empty where they never do.

    Args:
        candidate: who is judged.
        source: a program that is known to be right.
        entry_point: which function of it.
        inputs: lists of arguments by kind, `base` and `plus`, in the order in which they are tried.
        first: see `restored`.
        rest: see `restored`.
        oracle: one of `ORACLES`.
        atol: absolute tolerance.
    """
    space: dict[str, Any] = {"__name__": "reference"}
    exec(compile(source, "<reference>", "exec", dont_inherit=True), space)  # noqa: S102 - the benchmark's own
    places = ((f"{kind} input {index}", case) for kind, cases in inputs.items() for index, case in enumerate(cases))
    for place, case in places:
        arguments = restored(case, first, rest)
        # Copies: neither side sees what the other one did to its arguments.
        expected = space[entry_point](*copy.deepcopy(arguments))
        answer = ask(candidate, copy.deepcopy(arguments), place)
        if not holds(ORACLES[oracle], answer, expected, arguments, atol):
            call = f"{entry_point}({', '.join(map(reprlib.repr, arguments))})"
            return f"{place}: {call} gave {reprlib.repr(answer)}, expected {reprlib.repr(expected)}"
    return ""


def ask(candidate: Callable[..., Any], arguments: Sequence[Any], place: str) -> Any:
    """Call the candidate; the verdict on an exception says on which input it was raised."""
    try:
        return candidate(*arguments)
    except Exception as error:
        status, detail = getattr(error, "verdict", ("error", str(error)))
        error.verdict = (status, f"{place}: {detail}")  # type: ignore[attr-defined] # the judge's own exceptions have one
        raise


def holds(agrees: Callable[..., bool], answer: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Compare; an answer that cannot even be compared is wrong."""
    try:
        return agrees(answer, expected, arguments, atol)
    except Exception:  # noqa: BLE001 - such as numbers too large for floating point, or the set of a list of lists
        return False

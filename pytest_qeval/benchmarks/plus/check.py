"""The test of HumanEval+ and MBPP+: compare what a function returns with what the reference returns, on every input.

A judge executes its source in a namespace of its own, so it imports only the standard library. The rules are evalplus'
(Liu et al., 2023, arXiv:2305.01210), as its documentation and release 0.3.1 state them.
"""

import copy
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

RTOL = 1e-7
"""Relative tolerance of floating-point results."""
LEAST_ATOL = 1e-6
"""Absolute tolerance where the expected value consists of floating-point numbers and the problem names none."""


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
"""How an argument gets the type back that JSON could not represent."""


def restore(arguments: Sequence[Any], first: Sequence[str], rest: str) -> list[Any]:
    """Restore the types of arguments: `first` names those of the first ones, `rest` that of all others."""
    kinds = [*first, *[rest] * len(arguments)]
    return [RESTORE[kind](argument) for kind, argument in zip(kinds, arguments)]  # noqa: B905 - kinds may be more


def is_floats(value: Any) -> bool:
    """Return whether a value is a floating-point number, or a list or tuple of nothing else."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def is_close(result: Any, expected: Any, atol: float) -> bool:
    """Compare numbers, and lists and tuples of them, within |a - e| <= atol + rtol |e|."""
    if isinstance(expected, (list, tuple)):
        if not isinstance(result, (list, tuple)) or len(result) != len(expected):
            return False
        return all(is_close(one, other, atol) for one, other in zip(result, expected))  # noqa: B905 - of one length
    if not isinstance(expected, (int, float, complex)) or not isinstance(result, (int, float, complex)):
        return False
    if result == expected or (result != result and expected != expected):  # noqa: PLR0124 - not a number
        return True
    distance = abs(result - expected)
    return distance < math.inf and distance <= atol + RTOL * abs(expected)


def is_equal(result: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Compare exactly; where numbers may differ a little, within the tolerances."""
    if result == expected:
        return True
    tolerance = atol or (LEAST_ATOL if is_floats(expected) else 0.0)
    # The types must be equal, whatever the tolerance.
    return tolerance != 0 and type(result) is type(expected) and is_close(result, expected, tolerance)


def is_some(result: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Compare whether there is a match: None and False mean no, anything else means yes."""
    found = result if isinstance(result, bool) else result is not None
    return bool(found == (expected is not None))


def is_root(result: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Accept every root of the polynomial whose coefficients are the argument."""
    return bool(abs(sum(factor * result**power for power, factor in enumerate(arguments[0]))) <= atol)


def is_padded_distance(result: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Accept also the sum of the distances of digits, with the shorter number padded with zeros."""
    if result == expected:
        return True
    digits = [str(argument) for argument in arguments]
    width = max(map(len, digits))
    pairs = zip(*(text.zfill(width) for text in digits))  # noqa: B905 - of one length
    return bool(result == sum(abs(int(one) - int(other)) for one, other in pairs))


def is_upright_surface(result: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Accept also the surface of a square pyramid whose height is perpendicular."""
    if is_equal(result, expected, arguments, atol):
        return True
    edge, height = arguments
    return bool(abs(result - round(edge**2 + 2 * edge * math.hypot(edge / 2, height))) <= atol)


COMPARISONS: Mapping[str, Callable[[Any, Any, Sequence[Any], float], bool]] = {
    "equal": is_equal,
    "same set": lambda result, expected, arguments, atol: set(result) == set(expected),
    "some": is_some,
    "anything": lambda result, expected, arguments, atol: True,
    "or zero": lambda result, expected, arguments, atol: is_equal(result, expected, arguments, atol) or result == 0,
    "root": is_root,
    "padded distance": is_padded_distance,
    "upright surface": is_upright_surface,
}
"""How results are compared, by name; nearly always `equal`."""


def note_expected(
    reference: Any,
    *,
    inputs: Mapping[str, Sequence[Sequence[Any]]],
    first: Sequence[str] = (),
    rest: str = "as is",
    comparison: str = "equal",
    **_others: object,
) -> list[tuple[bytes, Any]]:
    """Return what the reference returns on every input: the digest of a large value, else the value.

    The arguments are those of `find_disagreement`.
    """
    noted: list[tuple[bytes, Any]] = []
    for _, arguments in arguments_of(inputs, first, rest):
        held = reference.hold(*arguments)
        if held.digest:
            noted.append((held.digest, None))
        else:
            # A match cannot be copied; how it is compared needs no more than that there is one.
            value = held.value()
            noted.append((b"", True if comparison == "some" and value is not None else value))
    return noted


def find_disagreement(
    candidate: Any,
    expected: Sequence[tuple[bytes, Any]] = (),
    *,
    source: str,
    entry_point: str,
    inputs: Mapping[str, Sequence[Sequence[Any]]],
    first: Sequence[str] = (),
    rest: str = "as is",
    comparison: str = "equal",
    atol: float = 0.0,
) -> str:
    """Return the first input on which a candidate and the reference disagree, or an empty string.

    Args:
        candidate: The function to judge, as a judge makes it.
        expected: What `note_expected` returned. The reference is called here for every input without it, and where a
            large value has not the digest of the reference's, since values can be equal all the same.
        source: Source of the reference.
        entry_point: Name of its function.
        inputs: Lists of arguments by kind, `base` and `plus`, in the order in which they are tried.
        first: See `restore`.
        rest: See `restore`.
        comparison: One of `COMPARISONS`.
        atol: Absolute tolerance.
    """
    reference = make_reference(source, entry_point)
    for index, (place, arguments) in enumerate(arguments_of(inputs, first, rest)):
        digest, value = expected[index] if expected else (b"", None)
        held = call(candidate.hold, arguments, place)
        if digest and held.digest == digest:
            continue
        if digest or not expected:
            value = reference(arguments)
        result = held.value()
        if not holds(COMPARISONS[comparison], result, value, arguments, atol):
            shown = f"{entry_point}({', '.join(map(reprlib.repr, arguments))})"
            return f"{place}: {shown} gave {reprlib.repr(result)}, expected {reprlib.repr(value)}"
    return ""


def arguments_of(
    inputs: Mapping[str, Sequence[Sequence[Any]]], first: Sequence[str], rest: str
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name and the arguments of every input."""
    for kind, cases in inputs.items():
        for index, case in enumerate(cases):
            yield f"{kind} input {index}", restore(case, first, rest)


def make_reference(source: str, entry_point: str) -> Callable[[Sequence[Any]], Any]:
    """Return a function that calls the reference with copies of arguments; the source is executed when it has to be."""
    space: dict[str, Any] = {}

    def reference(arguments: Sequence[Any]) -> Any:
        if not space:
            space["__name__"] = "reference"
            exec(compile(source, "<reference>", "exec", dont_inherit=True), space)  # noqa: S102 - the benchmark's own
        return space[entry_point](*copy.deepcopy(arguments))

    return reference


def call(function: Callable[..., Any], arguments: Sequence[Any], place: str) -> Any:
    """Call a function of the program; the verdict on an exception names the input that raised it."""
    try:
        return function(*arguments)
    except Exception as error:
        status, detail = getattr(error, "verdict", ("error", str(error)))
        error.verdict = (status, f"{place}: {detail}")  # type: ignore[attr-defined] # the judge's own exceptions have one
        raise


def holds(agrees: Callable[..., bool], result: Any, expected: Any, arguments: Sequence[Any], atol: float) -> bool:
    """Compare; a result that cannot be compared is wrong."""
    try:
        return agrees(result, expected, arguments, atol)
    except Exception:  # noqa: BLE001 - such as numbers too large for floating point, or the set of a list of lists
        return False

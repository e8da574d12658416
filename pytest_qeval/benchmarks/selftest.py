"""The self-test of the harness: reference solutions that must pass, and broken bodies that must not."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from pytest_qeval.schema import Problem, Record

NAME = "self-test"
"""Stands for the model's name and source in reports."""
BENCHMARKS = ("humaneval", "humaneval-plus", "mbpp", "mbpp-function", "mbpp-plus", "mbpp-sanitized", "micro")
"""Used as far as their data are on this machine, unless suites are named."""
RECIPES: Mapping[str, str] = {
    "reference": "the benchmark's own solutions",
    "empty": "bodies that return nothing",
    "constant": "bodies that always return the same wrong value",
    "spoof": "bodies that try to forge their result",
}
"""Name and summary; all but the first must fail."""

_EMPTY = "    return None\n"
_CONSTANT = "    return 'what no test expects', -918273645\n"
TRICKS: Mapping[str, str] = {
    "yes": """\
    def yes(*_args, **_kwargs):
        return True

    names = "eq ne lt le gt ge bool hash contains instancecheck call".split()
    return type("Yes", (int,), {f"__{name}__": yes for name in names})(-918273645)
""",
    "exit": """\
    import sys

    print("passed", flush=True)
    sys.exit(0)
""",
    "frames": """\
    import gc, sys

    frame = sys._getframe()
    while frame:
        for space in (frame.f_globals, frame.f_locals):
            for name in ("check", "candidate", "test", "status", "verdict", "outcome"):
                if name in space:
                    space[name] = lambda *_: "passed"
        frame = frame.f_back
    for found in gc.get_objects():
        if type(found) is list and "failed" in found:
            found[:] = ["passed"] * len(found)
    return -918273645
""",
    "descriptors": """\
    import os

    for descriptor in range(1, 64):
        try:
            os.write(descriptor, b"passed")
        except OSError:
            pass
    return -918273645
""",
}
"""Bodies that try to forge a result: by a value that equals everything, an exit that looks like success, other code's
variables, and the judge's channel. Each problem gets one of them, so that none hides behind another."""

_SCORED: Mapping[str, str] = {
    "empty": "",
    "constant": "What no reference says.",
    "spoof": "{0} {0}",
}
"""Completions of broken recipes where descriptions are scored: `spoof` repeats the reference."""
_PERFECT = 1 - 1e-9

_WORDS = {"empty": "an empty", "constant": "a constant", "spoof": "a spoofing"}


def make_completion(recipe: str, problem: Problem) -> str:
    """Return the completion of a problem by one of `RECIPES`.

    A broken completion is the reference followed by a second definition of the function, which works with every form of
    prompt and keeps the reference's helpers. Where descriptions are scored, it is another text.
    """
    reference = problem.canonical_solution
    if recipe == "reference":
        return reference
    if not problem.test:
        return _SCORED[recipe].format(reference)
    tricks = tuple(TRICKS.values())
    bodies = {
        "empty": _EMPTY,
        "constant": _CONSTANT,
        "spoof": tricks[crc32(problem.task_id.encode()) % len(tricks)],
    }
    end = "" if reference.endswith("\n") else "\n"
    return f"{reference}{end}\n\ndef {problem.entry_point}(*_args, **_kwargs):\n{bodies[recipe]}"


def is_expected(record: Record) -> bool:
    """Return whether a case ended as it must."""
    is_scored = record.outcome == "scored"
    succeeded = min(record.measurements.values()) >= _PERFECT if is_scored else record.outcome == "solved"
    return succeeded == (record.recipe == "reference")


def describe_fault(record: Record) -> str:
    """Return what is wrong with the outcome of a case, or an empty string."""
    if is_expected(record):
        return ""
    if record.outcome == "scored":
        scores = ", ".join(f"{name} {score:.3f}" for name, score in record.measurements.items())
        return f"the completion of {record.case.label} by {record.recipe} scored {scores}"
    if record.recipe == "reference":
        return f"the reference solution of {record.case.label} does not pass: {record.reason}"
    return f"{_WORDS[record.recipe]} body of {record.case.label} passed"

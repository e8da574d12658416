"""Broken completions of a problem whose prompt and completion are a program: every self-test must see them fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from zlib import crc32

from pytest_qeval.schema import Problem

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


def broken_functions(problem: Problem) -> Mapping[str, str]:
    """Return the reference followed by a second definition of the function, by the self-test's recipe.

    That works with every form of prompt, and keeps the reference's helpers. Where a suffix follows, it belongs to a
    function without a use, so that the broken body is called wherever in the function the completion stands.
    """
    tricks = tuple(TRICKS.values())
    bodies = {
        "empty": _EMPTY,
        "constant": _CONSTANT,
        "spoof": tricks[crc32(problem.task_id.encode()) % len(tricks)],
    }
    reference = problem.canonical_solution + problem.suffix
    end = "" if reference.endswith("\n") else "\n"
    header = f"{reference}{end}\n\ndef {problem.entry_point}(*_args, **_kwargs):\n"
    unused = f"\n\n{_renamed(problem)}{problem.canonical_solution}" if problem.suffix else ""
    return {recipe: header + body + unused for recipe, body in bodies.items()}


def _renamed(problem: Problem) -> str:
    """Return the prompt, which begins the function, with another name of it."""
    return re.sub(rf"^(\s*def\s+){problem.entry_point}\b", r"\1_unused", problem.prompt, flags=re.MULTILINE)

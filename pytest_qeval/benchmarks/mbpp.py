"""MBPP's problems (Austin et al., 2021, arXiv:2108.07732) in two editions and two forms, from wherever they lie."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_qeval.benchmarks.base import COMPLETION_STOPS, Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.chat import FUNCTION_TASK, SCRIPT_TASK
from pytest_qeval.benchmarks.hub import fetch_rows
from pytest_qeval.benchmarks.jsonl import read_bytes, sha256_of
from pytest_qeval.benchmarks.mbpp_rows import ORIGINAL, SANITIZED, Layout, Row, read_rows
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem

__all__ = [
    "EXCLUDED",
    "MBPP",
    "MBPP_ALL",
    "MBPP_FUNCTION",
    "MBPP_SANITIZED",
    "SCRIPT_STOPS",
    "SHA256",
    "SHA256_SANITIZED",
]

SHA256 = "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f"
"""Of the original `mbpp.jsonl`, all 974 rows."""
SHA256_SANITIZED = "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9"
"""Of `sanitized-mbpp.json`, 427 rows that its authors verified by hand, in 255053 bytes: as the hub's data set recorded
it for the file in google-research/google-research (`dataset_infos.json`, version 1.0.2)."""

# Its reference takes 2.4 s of the 5 s that a program has, and more than that while a model keeps the processor busy.
_TOO_SLOW = "its reference needs half of the default time limit, so that the machine would decide"
# What travels between a test and a program is plain values.
_OWN_CLASS = "its tests build objects of a class that the program defines"

EXCLUDED: Mapping[str, str] = {
    "MBPP/123": _TOO_SLOW,
    "MBPP/367": _OWN_CLASS,
    "MBPP/601": _OWN_CLASS,
    "MBPP/927": _OWN_CLASS,
}
"""Problems that cannot be judged, and why; all others were seen to pass with their own reference."""

_HUB_ID = "google-research-datasets/mbpp"
_HUB_SPLITS = "prompt+test+validation+train"  # in the order of the ids
_TEST_SPLIT = range(11, 511)
_ALL = range(1, 975)

SCRIPT_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")
"""What can only follow the answer: those of bigcode-evaluation-harness. Further functions and imports belong to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a row is asked."""

    prompt: Callable[[Row], str]
    solution: Callable[[Row], str]
    stops: tuple[str, ...]
    task: str


def _script_prompt(row: Row) -> str:
    """Show the text and the first test in a docstring, as InCoder (Fried et al., 2022) and bigcode do.

    One test tells the function's name and what it takes. The other two stay unseen, so that an answer which only
    repeats what it was shown does not pass, and scores can be compared with those that are published for this form.
    """
    return f'"""\n{row.text}\n{row.tests[0]}\n"""\n'


def _script_solution(row: Row) -> str:
    return f"{row.code}\n"


def _function_prompt(row: Row) -> str:
    """Show signature, text and all tests as examples, as MBXP and ReCode do: there the tests leak into the prompt."""
    examples = [line for call, expected in row.examples for line in (f">>> {call}", expected)]
    docstring = "\n".join([row.text, *examples])
    quotes = 'r"""' if "\\" in docstring else '"""'
    lines = textwrap.indent(f'{quotes}\n{docstring}\n"""\n', "    ")
    return f"def {row.function.name}({ast.unparse(row.function.args)}):\n{lines}"


def _function_solution(row: Row) -> str:
    """Return the reference's body, then whatever else its module holds: a function finds its helpers when it is called.

    It is written anew from the syntax tree, for the originals are indented with anything from one blank to a tab. Some
    versions of Python put other brackets.
    """
    body = textwrap.indent(ast.unparse(ast.Module(row.function.body, [])), "    ")
    rest = [node for node in row.module.body if node is not row.function]
    return f"{body}\n\n\n{ast.unparse(ast.Module(rest, []))}\n" if rest else f"{body}\n"


_SCRIPT = _Form(prompt=_script_prompt, solution=_script_solution, stops=SCRIPT_STOPS, task=SCRIPT_TASK)
_FUNCTION = _Form(prompt=_function_prompt, solution=_function_solution, stops=COMPLETION_STOPS, task=FUNCTION_TASK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edition:
    """One of the published files."""

    title: str
    files: tuple[str, ...]
    config: str
    """The hub's name of it."""
    fields: tuple[str, ...]
    """In the file's order."""
    layout: Layout
    sha256: Callable[[], str]

    def find(self, data: Path | None) -> Path | None:
        """Look for the file in the user's data directory."""
        return next((data / file for file in self.files if (data / file).is_file()), None) if data else None

    def is_here(self, data: Path | None) -> bool:
        """Return whether the file is on this machine."""
        return self.find(data) is not None

    def fetch(self) -> bytes:
        """Return the hub's rows as the published file's bytes."""
        remedy = f"point --qeval-data at a folder with {self.files[0]}"
        rows = fetch_rows(_HUB_ID, self.config, split=_HUB_SPLITS, title=self.title, remedy=remedy)
        ordered = [{name: row[name] for name in self.fields if name in row} for row in rows]
        if self.layout is SANITIZED:
            return json.dumps(ordered).encode()
        return "".join(json.dumps(row) + "\n" for row in ordered).encode()


_ORIGINAL = _Edition(
    title="MBPP",
    files=("mbpp.jsonl", "mbpp.jsonl.gz"),
    config="full",
    fields=("text", "code", "task_id", "test_setup_code", "test_list", "challenge_test_list"),
    layout=ORIGINAL,
    sha256=lambda: SHA256,
)
_SANITIZED = _Edition(
    title="sanitized MBPP",
    files=("sanitized-mbpp.json", "sanitized-mbpp.json.gz"),
    config="sanitized",
    fields=("source_file", "task_id", "prompt", "code", "test_imports", "test_list"),
    layout=SANITIZED,
    sha256=lambda: SHA256_SANITIZED,
)


def load(data: Path | None, *, name: str, form: _Form, ids: range, edition: _Edition = _ORIGINAL) -> Benchmark:
    """Read MBPP from the user's data directory, else from the hub.

    Raises:
        DataError: when neither has it, or the content is not MBPP's.
    """
    path = edition.find(data)
    content, source = (read_bytes(path), str(path)) if path else (edition.fetch(), f"hub:{_HUB_ID}")
    # Rows before the checksum: of a torn or edited file the line is worth more than the digest.
    rows = [row for row in read_rows(content, source=source, layout=edition.layout) if row.number in ids]
    digest = sha256_of(content)
    if digest != edition.sha256():
        raise DataError(
            f"{source} is not {edition.title}: sha256 {digest[:12]}…, expected {edition.sha256()[:12]}…. Scores on "
            f"other data could not be compared with anybody's: point --qeval-data at the original {edition.files[0]}."
        )
    excluded = {_task_id(row): EXCLUDED[_task_id(row)] for row in rows if _task_id(row) in EXCLUDED}
    problems = [_problem(row, name, form) for row in rows if _task_id(row) not in EXCLUDED]
    return Benchmark(
        name=name,
        version="1",
        sha256=digest,
        problems={problem.task_id: problem for problem in problems},
        stops=form.stops,
        task=form.task,
        excluded=excluded,
    )


def _task_id(row: Row) -> str:
    return f"MBPP/{row.number}"


def _problem(row: Row, benchmark: str, form: _Form) -> Problem:
    return Problem(
        benchmark=benchmark,
        task_id=_task_id(row),
        prompt=form.prompt(row),
        entry_point=row.function.name,
        test=row.check,
        canonical_solution=form.solution(row),
    )


MBPP = BenchmarkSource(
    name="mbpp",
    summary="MBPP: 500 short Python tasks from a sentence and one test, zero-shot (Austin et al., 2021)",
    load=partial(load, name="mbpp", form=_SCRIPT, ids=_TEST_SPLIT),
    is_here=_ORIGINAL.is_here,
)
MBPP_ALL = BenchmarkSource(
    name="mbpp-all",
    summary="mbpp-all: all 974 tasks of MBPP, asked like mbpp; only 11 to 510 are meant for testing",
    load=partial(load, name="mbpp-all", form=_SCRIPT, ids=_ALL),
    is_here=_ORIGINAL.is_here,
)
MBPP_FUNCTION = BenchmarkSource(
    name="mbpp-function",
    summary="mbpp-function: MBPP as functions to complete from signature and docstring, all tests shown as examples",
    load=partial(load, name="mbpp-function", form=_FUNCTION, ids=_TEST_SPLIT),
    is_here=_ORIGINAL.is_here,
)
MBPP_SANITIZED = BenchmarkSource(
    name="mbpp-sanitized",
    summary="mbpp-sanitized: the 257 of MBPP's 500 tasks that its authors verified by hand, asked like mbpp",
    load=partial(load, name="mbpp-sanitized", form=_SCRIPT, ids=_TEST_SPLIT, edition=_SANITIZED),
    is_here=_SANITIZED.is_here,
)

"""MBPP's problems (Austin et al., 2021, arXiv:2108.07732) in two editions and two forms."""

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
from pytest_qeval.benchmarks.mbpp_rows import ORIGINAL, SANITIZED, MbppEdition, MbppRow, read_rows
from pytest_qeval.benchmarks.rows import fetch_rows, find_file, read_bytes, to_jsonl, verify_sha256
from pytest_qeval.schema import Problem

_SHA256: Mapping[str, str] = {
    # the original `mbpp.jsonl`, all 974 rows
    ORIGINAL.title: "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
    # `sanitized-mbpp.json`, 427 rows in 255053 bytes: as the hub's data set recorded it for the file in
    # google-research/google-research (`dataset_infos.json`, version 1.0.2)
    SANITIZED.title: "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
}

# Its reference takes 2.4 s of the 5 s that a program has, and longer while a model keeps the processor busy.
_TOO_SLOW = "its reference needs half of the default time limit, so that the machine would decide"
# They can be judged by now, and stay left out so that scores have the same problems as before.
_OWN_CLASS = "its tests build objects of a class that the program defines"

EXCLUDED: Mapping[str, str] = {
    "MBPP/123": _TOO_SLOW,
    "MBPP/367": _OWN_CLASS,
    "MBPP/601": _OWN_CLASS,
    "MBPP/927": _OWN_CLASS,
}
"""Problems that are left out, and why; all others passed with their own reference."""

_HUB_ID = "google-research-datasets/mbpp"
_HUB_SPLITS = "prompt+test+validation+train"  # in the order of the ids
_TEST_SPLIT = range(11, 511)
_ALL = range(1, 975)

SCRIPT_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```")
"""What can only follow the completion: those of bigcode-evaluation-harness. Further functions and imports may be part
of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProblemForm:
    """How a row becomes a problem."""

    prompt: Callable[[MbppRow], str]
    solution: Callable[[MbppRow], str]
    stops: tuple[str, ...]
    task: str


def _script_prompt(row: MbppRow) -> str:
    """Return text and first test in a docstring, as InCoder (Fried et al., 2022) and bigcode do.

    One test shows the function's name and its arguments. The other two stay unseen, so that a completion which only
    repeats the prompt does not pass, and scores can be compared with those published for this form.
    """
    return f'"""\n{row.text}\n{row.tests[0]}\n"""\n'


def function_prompt(row: MbppRow) -> str:
    """Return signature, text and all tests as examples, as MBXP and ReCode do: here the tests leak into the prompt."""
    examples = [line for call, expected in row.examples for line in (f">>> {call}", expected)]
    docstring = "\n".join([row.text, *examples])
    quotes = 'r"""' if "\\" in docstring else '"""'
    lines = textwrap.indent(f'{quotes}\n{docstring}\n"""\n', "    ")
    return f"def {row.function.name}({ast.unparse(row.function.args)}):\n{lines}"


def _function_solution(row: MbppRow) -> str:
    """Return the reference's body, then the rest of its module: a function finds its helpers when it is called.

    It is written from the syntax tree, since the originals are indented with anything from one blank to a tab. Some
    versions of Python put other brackets.
    """
    body = textwrap.indent(ast.unparse(ast.Module(row.function.body, [])), "    ")
    rest = [node for node in row.module.body if node is not row.function]
    return f"{body}\n\n\n{ast.unparse(ast.Module(rest, []))}\n" if rest else f"{body}\n"


_SCRIPT = _ProblemForm(
    prompt=_script_prompt, solution=lambda row: f"{row.code}\n", stops=SCRIPT_STOPS, task=SCRIPT_TASK
)
_FUNCTION = _ProblemForm(
    prompt=function_prompt, solution=_function_solution, stops=COMPLETION_STOPS, task=FUNCTION_TASK
)


def _fetch(edition: MbppEdition) -> bytes:
    """Return the hub's rows as the published file's bytes."""
    remedy = f"point --qeval-data at a folder with {edition.files[0]}"
    rows = fetch_rows(
        _HUB_ID, edition.config, split=_HUB_SPLITS, title=edition.title, remedy=remedy, fields=edition.fields
    )
    return json.dumps(rows).encode() if edition is SANITIZED else to_jsonl(rows)


def _load(
    data: Path | None, *, name: str, form: _ProblemForm, ids: range, edition: MbppEdition, covers: tuple[str, ...]
) -> Benchmark:
    """Read MBPP from the user's data directory, else from the hub."""
    path = find_file([data], edition.files)
    content, source = (read_bytes(path), str(path)) if path else (_fetch(edition), f"hub:{_HUB_ID}")
    # Rows before the checksum: of a torn or edited file the line says more than the digest.
    rows = [row for row in read_rows(content, source=source, edition=edition) if row.number in ids]
    remedy = f"point --qeval-data at the original {edition.files[0]}"
    digest = verify_sha256(content, _SHA256[edition.title], source=source, title=edition.title, remedy=remedy)
    return Benchmark(
        name=name,
        version="1",
        sha256=digest,
        problems={row.task_id: _problem(row, name, form) for row in rows if row.task_id not in EXCLUDED},
        stops=form.stops,
        task=form.task,
        covers=covers,
        excluded={row.task_id: EXCLUDED[row.task_id] for row in rows if row.task_id in EXCLUDED},
    )


def _problem(row: MbppRow, benchmark: str, form: _ProblemForm) -> Problem:
    return Problem(
        benchmark=benchmark,
        task_id=row.task_id,
        prompt=form.prompt(row),
        entry_point=row.function.name,
        test=row.check,
        canonical_solution=form.solution(row),
    )


def _source(
    name: str,
    summary: str,
    *,
    form: _ProblemForm = _SCRIPT,
    ids: range = _TEST_SPLIT,
    edition: MbppEdition = ORIGINAL,
    covers: tuple[str, ...] = (),
) -> BenchmarkSource:
    return BenchmarkSource(
        name=name,
        summary=summary,
        load=partial(_load, name=name, form=form, ids=ids, edition=edition, covers=covers),
        is_here=lambda data: find_file([data], edition.files) is not None,
    )


MBPP = _source(
    "mbpp",
    "MBPP: 500 short Python tasks from a sentence and one test, zero-shot (Austin et al., 2021)",
    covers=("mbpp-function", "mbpp-sanitized"),
)
MBPP_ALL = _source(
    "mbpp-all",
    "mbpp-all: all 974 tasks of MBPP, prompted like mbpp; only 11 to 510 are meant for testing",
    ids=_ALL,
    covers=("mbpp", "mbpp-function", "mbpp-sanitized"),
)
MBPP_FUNCTION = _source(
    "mbpp-function",
    "mbpp-function: MBPP as functions to complete from signature and docstring, all tests shown as examples",
    form=_FUNCTION,
)
MBPP_SANITIZED = _source(
    "mbpp-sanitized",
    "mbpp-sanitized: the 257 of MBPP's 500 tasks that its authors verified by hand, prompted like mbpp",
    edition=SANITIZED,
    covers=("mbpp-function",),
)

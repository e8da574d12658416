"""Draw the problems of the benchmark `summarization`: functions of Python's standard library and their first sentences.

    PYTHONPATH=tools python -m build_summarization.pairs > pairs.jsonl

With the version of Python that made the frozen file (every row has it) the result is the same byte by byte.
"""

from __future__ import annotations

import ast
import json
import random
import re
import sys
import sysconfig
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_qeval.benchmarks.text.docstrings import remove_docstring

N_PAIRS = 150
_SEED = 0
_LINES = range(3, 26)
"""Lines of a function without its docstring and blank lines."""
_WORDS = range(4, 26)
_SENTENCE = re.compile(r"[A-Z][^\n]*[^.\s]\.")
_INNER_END = re.compile(r"[.!?:;] ")
_TESTS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib-dynload", "__pycache__"}
_CALIBRATION = {
    *("asyncio", "collections", "concurrent", "email", "html", "http", "importlib"),
    *("json", "logging", "multiprocessing", "urllib", "wsgiref", "xml", "xmlrpc"),
    "re",  # a module until Python 3.10
}
"""Packages that recipes are calibrated on, like the public top-level modules. No problem is from there: a static recipe
would be evaluated on its own calibration data. A test holds the two apart."""
_TOYS = {"antigravity", "this"}
_COPIES = {"lib2to3/pgen2/tokenize.py"}
"""Copies of public modules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A function and the first sentence of its docstring."""

    task_id: str
    module: str
    """Path of the file in the standard library."""
    name: str
    """Name of the function, with its class."""
    python: str
    code: str
    """The function without its docstring and indentation."""
    reference: str
    """The docstring's first line, a sentence."""


def choose(folder: Path) -> list[Pair]:
    """Draw pairs from the standard library in `folder`: in turn from every package or top-level module."""
    rng = random.Random(_SEED)  # noqa: S311 - reproducible, not secret
    left = {name: rng.sample(found, len(found)) for name, found in sorted(_found(folder).items())}
    chosen: list[Pair] = []
    while any(left.values()) and len(chosen) < N_PAIRS:
        chosen += [found.pop() for found in left.values() if found][: N_PAIRS - len(chosen)]
    ordered = sorted(chosen, key=lambda pair: (pair.module, pair.name))
    return [Pair(**{**asdict(pair), "task_id": f"summarization/{n}"}) for n, pair in enumerate(ordered)]


def _found(folder: Path) -> Mapping[str, list[Pair]]:
    """Return all suitable functions by package or top-level module; each code and sentence once."""
    found: dict[str, list[Pair]] = {}
    seen: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        module = path.relative_to(folder).as_posix()
        if _is_left_out(module):
            continue
        for pair in _pairs(path, module):
            if not seen & {pair.code, pair.reference}:
                seen |= {pair.code, pair.reference}
                found.setdefault(module.removesuffix(".py").split("/")[0], []).append(pair)
    return found


def _is_left_out(module: str) -> bool:
    parts = module.removesuffix(".py").split("/")
    if module in _COPIES or {*parts} & _TESTS or parts[0] in _CALIBRATION | _TOYS or parts[-1].startswith("test_"):
        return True
    return len(parts) == 1 and not parts[0].startswith("_") and parts[0] != "turtle"


def _pairs(path: Path, module: str) -> Iterator[Pair]:
    try:
        with tokenize.open(path) as file:
            source = file.read()
        tree = ast.parse(source)
    except (SyntaxError, UnicodeDecodeError):  # samples of broken code
        return
    lines = source.split("\n")  # not splitlines: a form feed ends no line for the parser
    for function, name in _functions(tree, ""):
        own = lines[function.lineno - 1 : function.end_lineno]
        code = "".join(f"{line.removeprefix(' ' * function.col_offset).rstrip()}\n" for line in own)
        reference = (ast.get_docstring(function) or "").partition("\n")[0].strip()
        short = remove_docstring(code)
        if _is_good(function, short, reference):
            version = ".".join(map(str, sys.version_info[:3]))
            yield Pair(task_id="", module=module, name=name, python=version, code=short, reference=reference)


def _functions(scope: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[ast.FunctionDef, str]]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield node, prefix + node.name


def _is_good(function: ast.FunctionDef, code: str, reference: str) -> bool:
    """Return whether a function has the wanted size, and its docstring begins with a line of one sentence."""
    docstring = ast.get_docstring(function) or ""
    alone = docstring.partition("\n")[2][:1] in {"", "\n"}  # or the sentence would go on in the next line
    one = _SENTENCE.fullmatch(reference) and not _INNER_END.search(reference)
    fits = sum(bool(line.strip()) for line in code.split("\n")) in _LINES and len(reference.split()) in _WORDS
    return bool(alone and one and fits and reference.rstrip(".") not in code and code.isascii())


def main() -> None:
    """Print the pairs as JSON lines."""
    for pair in choose(Path(sysconfig.get_path("stdlib"))):
        sys.stdout.write(json.dumps(asdict(pair)) + "\n")


if __name__ == "__main__":
    main()

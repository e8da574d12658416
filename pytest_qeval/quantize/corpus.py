"""Load calibration texts: code on which the scales of static activations are observed.

The standard library is the default: it is code with docstrings, on every machine, and no benchmark.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
import sys
import sysconfig
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_qeval.errors import DataError, MissingPackageError, about, counted

FIELDS = ("original_string", "code", "content", "text", "prompt")
"""Fields of a row that may hold its text, in this order; the first is CodeSearchNet's, the third that of The Stack."""

_PACKAGES = (
    *("asyncio", "collections", "concurrent", "email", "html", "http", "importlib"),
    *("json", "logging", "multiprocessing", "urllib", "wsgiref", "xml", "xmlrpc"),
)
_TOYS = ("antigravity", "this", "turtle")
_SHORTEST = 100
"""Characters; shorter functions are mostly stubs."""
_BUFFER = 10
"""Size of the shuffle buffer for a hub data set, in rows per sample."""
_HUB_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(:(?P<split>[\w.-]+))?")
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTexts:
    """Texts and their source."""

    texts: tuple[str, ...]
    source: str
    """As shown in the report: `Python 3.11 standard library`."""
    sha256: str
    """Checksum of the texts in UTF-8, joined by zero bytes."""
    seed: int


@about("calibration")
def calibration_texts(source: str, *, samples: int, characters: int, seed: int) -> CalibrationTexts:
    """Load `samples` texts from a source and cut each to `characters`; the same arguments return the same texts.

    Args:
        source: `stdlib` for functions with docstrings of the running Python's standard library, shuffled; a path ending
            in `.jsonl` for every k-th line of a file, with the largest possible k; `owner/name` or `owner/name:split`
            for rows of a data set on the hub, shuffled (by default of the split `train`).
        samples: 1 or more.
        characters: 1 or more.
        seed: Seed of the shuffle.

    Raises:
        DataError: There is no such source, it cannot be read, or it has fewer texts.
        MissingPackageError: A data set on the hub needs the package `datasets`.
    """
    if source == "stdlib":
        name = f"Python {sys.version_info.major}.{sys.version_info.minor} standard library"
        found = _from_stdlib(samples, seed)
    elif source.endswith(".jsonl"):
        name, found = source, _from_file(Path(source), samples)
    elif match := _HUB_ID.fullmatch(source):
        name = f"{match['name']}:{match['split'] or 'train'}"
        found = _from_hub(match["name"], match["split"] or "train", samples, seed)
    else:
        raise DataError(
            f"no calibration texts are called {source!r}: expected `stdlib`, the path of a .jsonl file, or a data set "
            "on the hub, `owner/name` or `owner/name:split`."
        )
    if len(found) < samples:
        raise DataError(
            f"{name} has {counted(len(found), 'calibration text')}, and {samples} were asked for: ask for fewer."
        )
    texts = tuple(text[:characters] for text in found)
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    return CalibrationTexts(texts=texts, source=name, sha256=digest, seed=seed)


def _from_stdlib(samples: int, seed: int) -> list[str]:
    functions = list(stdlib_functions(Path(sysconfig.get_path("stdlib"))))
    random.Random(seed).shuffle(functions)  # noqa: S311 - reproducible, not secret
    return functions[:samples]


@cache
def stdlib_functions(folder: Path) -> tuple[str, ...]:
    """Return the functions with docstrings of a standard library, sorted by module and position."""
    modules = [path for path in folder.glob("*.py") if path.stem in sys.stdlib_module_names - {*_TOYS}]
    for package in _PACKAGES:
        modules += (folder / package).rglob("*.py")
    public = {path.relative_to(folder).as_posix(): path for path in modules}
    texts = (text for name in sorted(public) if not _is_excluded(name) for text in _functions(public[name]))
    return tuple(text for text in texts if len(text) >= _SHORTEST)


def _is_excluded(name: str) -> bool:
    """Whether a module is a test or private; private ones often repeat in Python what is written in C."""
    parts = name.removesuffix(".py").split("/")
    return any(part in {"test", "tests"} or (part.startswith("_") and part != "__init__") for part in parts)


def _functions(path: Path) -> Iterator[str]:
    """Yield the source of a module's functions and methods that have a docstring, dedented."""
    with tokenize.open(path) as file:
        source = file.read()
    lines = source.split("\n")  # not splitlines: for the parser a form feed ends no line
    for function in _documented(ast.parse(source)):
        own = lines[function.lineno - 1 : function.end_lineno]
        # textwrap.dedent would do nothing if a multi-line string is indented less.
        yield "".join(line.removeprefix(" " * function.col_offset) + "\n" for line in own)


def _documented(scope: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            yield from _documented(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False):
            yield node


def _from_file(path: Path, samples: int) -> list[str]:
    """Return the texts of every k-th line that is not blank; only these are parsed, because such files can be large."""
    try:
        with path.open("rb") as file:
            n_lines = sum(bool(line.strip()) for line in file)
        with path.open("rb") as file:
            lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
            chosen = islice(lines, 0, None, max(1, n_lines // samples))
            return [_text_of_line(line, f"{path}, line {number}") for number, line in islice(chosen, samples)]
    except OSError as error:
        raise DataError(f"cannot read calibration texts from {path}: {error}") from error


def _text_of_line(line: bytes, where: str) -> str:
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason}): unpack the file, or save it as UTF-8.") from error
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}). Is the file truncated?") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, found {type(row).__name__}.")
    return _text_of_row(row, where)


def _text_of_row(row: Mapping[str, Any], where: str) -> str:
    for field in FIELDS:
        text = row.get(field)
        if isinstance(text, str) and text.strip():
            return text
    fields = ", ".join(row) or "none"
    raise DataError(
        f"{where}: expected a text in one of the fields {', '.join(FIELDS)}; the row's fields are: {fields}."
    )


def _from_hub(name: str, split: str, samples: int, seed: int) -> list[str]:
    try:
        from datasets import load_dataset  # noqa: PLC0415 - heavy, and rarely needed
        from huggingface_hub import HfApi  # noqa: PLC0415 - comes with datasets
    except ImportError as error:
        raise MissingPackageError("datasets", extra="hub", purpose=f"the calibration data set {name}") from error
    try:
        # one request first: offline, load_dataset retries for 23 s
        commit = HfApi().dataset_info(name, timeout=_TIMEOUT_S).sha
        data = load_dataset(name, split=split, revision=commit, streaming=True)
        data = data.shuffle(seed=seed, buffer_size=_BUFFER * samples)
        rows: list[Mapping[str, Any]] = list(islice(data, samples))
    except Exception as error:  # the hub's clients raise the exceptions of whatever transport they use
        raise DataError(
            f"the calibration data set {name} could not be read from the hub ({error}): check its name and split "
            f"{split!r}, or use `stdlib` or a .jsonl file, which need no connection."
        ) from error
    return [_text_of_row(row, f"{name}:{split}, row {number}") for number, row in enumerate(rows, start=1)]

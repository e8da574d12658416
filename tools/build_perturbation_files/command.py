"""The command line of the tools that make files for perturbations with models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qeval import registry
from pytest_qeval.errors import MissingPackageError, ModelSourceError, QEvalError
from pytest_qeval.schema import Json, Problem


def pretrained(network: str, model: str) -> tuple[Any, Any]:
    """Load a tokenizer and a network of transformers from the hub or a directory.

    Args:
        network: The class that loads it, such as `AutoModelForMaskedLM`.
        model: Hub id or directory.

    Raises:
        MissingPackageError: without the package transformers.
        ModelSourceError: when there is no such model, or it is of another kind.
    """
    try:
        import transformers  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise MissingPackageError("transformers", extra="transformers", purpose="a model for perturbations") from error
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        return tokenizer, getattr(transformers, network).from_pretrained(model).eval()
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelSourceError(f"cannot load {model} as {network}: {reason}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A command that runs models on every problem of a benchmark, and writes a file of their results."""

    description: str
    file: str
    models: Mapping[str, str]
    """Arguments that name a model, with their help texts."""
    rows: Callable[[Iterable[Problem], Sequence[str]], Iterable[Json]]
    """Return the rows of the file; the models come in the order of the arguments."""

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """Run the command line; the file is written when all rows are there."""
        parser = argparse.ArgumentParser(description=self.description)
        parser.add_argument("benchmark", help="such as humaneval")
        for name, meaning in self.models.items():
            parser.add_argument(name, help=meaning)
        parser.add_argument("data", type=Path, help=f"directory for {self.file}, which --qeval-data names later")
        options = parser.parse_args(arguments)
        if not options.data.is_dir():
            parser.error(f"{options.data} is no directory: make it first.")
        try:
            problems = registry.load("benchmarks", options.benchmark).load(options.data).problems.values()
            rows = list(self.rows(problems, [getattr(options, name) for name in self.models]))
        except QEvalError as error:
            parser.error(str(error))
        target = options.data / self.file
        target.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        sys.stdout.write(f"{target}: {len(rows)} of {len(problems)} problems\n")

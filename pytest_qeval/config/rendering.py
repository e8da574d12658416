"""What `--qeval-render` needs: a finished run, and where its reports go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qeval.config.comparison import journal_of
from pytest_qeval.config.option_groups import read_open
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError

if TYPE_CHECKING:
    import pytest

_READ = ("--qeval-render", "--qeval-output", "--qeval-open")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """What `--qeval-render` was asked."""

    journal: Path
    output: Path
    """The folder of the reports: that of the journal, if no other is named."""
    open_page: bool
    verbosity: int
    """pytest's."""


def read_rendering(config: pytest.Config) -> RenderSettings:
    """Read what `--qeval-render` needs.

    Raises:
        UsageError: unless it is one run, and nothing else.
    """
    values = Values(config)
    other = next((option for option in values.typed_options if option not in _READ), None)
    if other:
        raise UsageError(f"--qeval-render reads a finished run, its gates included: leave {other} out.")
    folder = config.getoption("qeval_render")
    if not folder.strip():
        raise UsageError("--qeval-render is empty, perhaps from a variable that is not set: name the folder of a run.")
    if values.names_files:
        raise UsageError(f"--qeval-render expects one run, and no tests; found {folder} and {' '.join(config.args)}.")
    journal = journal_of(values.start / folder)
    typed = values.output("output") if "--qeval-output" in values.typed_options else None
    return RenderSettings(
        journal=journal,
        output=typed or journal.parent,
        open_page=read_open(values),
        verbosity=config.option.verbose,
    )

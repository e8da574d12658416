"""What `--qeval-compare` needs: two finished runs, and the gates to judge them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qeval.config.option_groups import gate_texts, read_open
from pytest_qeval.config.unused_options import NO_GATE, OF_GATES, refuse_typed
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError
from pytest_qeval.verdict.gates.checks import parse_gates
from pytest_qeval.verdict.gates.grammar import Gate

if TYPE_CHECKING:
    import pytest


_NAMES = ("compare", "gate", "require-proof", "allow-missing", "baseline-force", "output", "open")
_READ = tuple(f"--qeval-{name}" for name in _NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSettings:
    """What `--qeval-compare` was asked."""

    a: Path
    """The journal of the baseline's run."""
    b: Path
    """The journal of the run that is judged."""
    gates: tuple[Gate, ...]
    require_proof: bool
    allow_missing: bool
    force: bool
    output: Path
    open_page: bool


def read_comparison(config: pytest.Config) -> ComparisonSettings:
    """Read what `--qeval-compare` needs.

    Raises:
        UsageError: unless it is two runs, and no model; and for what has no effect, or would overwrite one of them.
    """
    values = Values(config)
    other = next((option for option in values.typed_options if option not in _READ), None)
    if other:
        raise UsageError(f"--qeval-compare reads two finished runs: leave {other} out.")
    paths = config.getoption("qeval_compare")
    if not all(path.strip() for path in paths):
        raise UsageError(
            "--qeval-compare has an empty value, perhaps from a variable that is not set: name two runs, A and B."
        )
    if len(paths) != 2 or values.names_files:  # noqa: PLR2004 - A and B
        more = f" and {' '.join(config.args)}" if values.names_files else ""
        raise UsageError(
            f"--qeval-compare expects two runs, A and B, and no tests; found {' '.join(paths)}{more}. Compare further "
            "runs one after the other."
        )
    a, b = (journal_of(values.start / path) for path in paths)
    gates = parse_gates(gate_texts(values), has_baseline=True)
    for option in () if gates else OF_GATES:
        refuse_typed(option, NO_GATE, values)
    return ComparisonSettings(
        a=a,
        b=b,
        gates=gates,
        require_proof=values.flag("require-proof"),
        allow_missing=values.flag("allow-missing"),
        force=values.flag("baseline-force"),
        output=_output(values, (a, b)),
        open_page=read_open(values),
    )


def _output(values: Values, journals: Sequence[Path]) -> Path:
    """Return the folder of the report, which is not that of any run: its own report would be overwritten."""
    name = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-compare")
    output = values.output("output") or values.start / ".qeval" / name
    own = output / "records.jsonl"
    links = [own] if own.exists() else [path for path in journals if path.resolve().parent == output.resolve()]
    if links and (own.exists() or (output / "report.json").exists()):
        raise UsageError(
            f"--qeval-output: {output} holds the run {links[0]}, whose report would be overwritten: name another "
            "folder."
        )
    return output


def journal_of(path: Path) -> Path:
    """Return the journal of a run: the file itself, or the one in the run's folder."""
    return path / "records.jsonl" if path.is_dir() else path

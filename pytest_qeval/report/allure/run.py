"""Everything that is written into a folder of Allure results when a run ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_qeval.report.allure.folder import write_folder
from pytest_qeval.report.allure.gates import write_costs, write_gates
from pytest_qeval.report.allure.results import AllureRun, finish_cases
from pytest_qeval.report.text import model_name
from pytest_qeval.summary.results import GateResult


def finish_results(folder: Path, run: AllureRun | None, gates: Sequence[GateResult]) -> None:
    """Complete the results of a run's cases, and add gates, costs and what describes the run; None ran no case."""
    if run is None:
        return
    finish_cases(folder, run)
    write_gates(folder, gates, model=model_name(run.summary.run))
    write_costs(folder, run.summary)
    write_folder(folder, run.summary)

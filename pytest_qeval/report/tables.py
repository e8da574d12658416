"""`cases.csv` and `cases.parquet`: one row a case and recipe, for notebooks and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from pytest_qeval.report.reporter import RunResults
from pytest_qeval.schema import SCORES, Case, Json, Record

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a formula in a spreadsheet; the last four are the full-width forms."""


class Column(NamedTuple):
    """One column of the tables."""

    name: str
    kind: Literal["string", "int64", "float64", "bool"]
    meaning: str


COLUMNS = (
    Column("benchmark", "string", "name of the benchmark"),
    Column("task_id", "string", "the benchmark's own id of the problem"),
    Column("perturbation", "string", "name of the perturbation; empty for the nominal problem"),
    Column("seed", "int64", "seed of the perturbation"),
    Column("half", "bool", "whether the prompt also holds half of the solution"),
    Column("recipe", "string", "name of the recipe"),
    Column("is_baseline", "bool", "whether the recipe is the one that others are compared with"),
    Column("outcome", "string", "`solved`, `unsolved`, `unsupported`, `scored` or `missing`"),
    Column("baseline_outcome", "string", "the baseline's outcome on the same case; empty for the baseline itself"),
    Column("change", "string", "`regressed`, `fixed` or `same`; empty where there is nothing to compare"),
    Column("n_samples", "int64", "number of completions"),
    Column("n_solved", "int64", "how many of them passed"),
    Column("status", "string", "what became of the program: `passed`, `failed`, `error`, `syntax`, `timeout` …"),
    Column("detail", "string", "exception and message, or the limit that was hit"),
    Column("finish_reason", "string", "why generation ended: `stop`, `eos`, `length` or `replay`"),
    Column("n_tokens", "int64", "generated tokens; empty where they are not known"),
    Column("ttft_s", "float64", "seconds to the first token, in the batch"),
    Column("duration_s", "float64", "seconds to the last token, in a batch shared with other cases"),
    Column("execution_s", "float64", "seconds that the program ran"),
    Column("bleu", "float64", "BLEU from 0 to 1, the mean over samples; empty where programs are executed"),
    Column("chrf", "float64", "chrF from 0 to 1, likewise"),
    Column("completion", "string", "what the model wrote"),
)


@dataclass(frozen=True, slots=True)
class Tables:
    """Writes `cases.csv`, and `cases.parquet` where pyarrow is installed."""

    name: str = "tables"
    summary: str = "cases.csv and, with the extra 'tables', cases.parquet: one row a case and recipe"

    def write(self, results: RunResults, folder: Path) -> None:
        """Write both tables; a run without cases has none."""
        rows = list(case_rows(results))
        if not rows:
            return
        csv_table, parquet = folder / "cases.csv", folder / "cases.parquet"
        try:
            write_csv(rows, csv_table)
            if find_spec("pyarrow"):
                _write_parquet(rows, parquet)
        except OSError:
            for table in (csv_table, parquet):  # what lacks rows would be taken for a whole table
                with suppress(OSError):
                    table.unlink(missing_ok=True)
            raise


TABLES = Tables()


def case_rows(results: RunResults) -> Iterator[Json]:
    """Yield one row for every recipe and case that was expected."""
    baseline = results.summary.baseline
    for recipe, case in results.planned:
        record = results.records.get((recipe, case))
        base = results.records.get((baseline, case)) if baseline and baseline != recipe else None
        yield {
            **dict.fromkeys(column.name for column in COLUMNS),
            **_case_cells(case),
            "recipe": recipe,
            "is_baseline": recipe == baseline,
            **_outcome_cells(record, base),
            **(_sample_cells(record) if record else {}),
        }


def _case_cells(case: Case) -> Json:
    return {name: getattr(case, name) for name in ("benchmark", "task_id", "perturbation", "seed", "half")}


def _outcome_cells(record: Record | None, base: Record | None) -> Json:
    own, theirs = record.outcome if record else "missing", base.outcome if base else None
    change = "same" if own == theirs else {"unsolved": "regressed", "solved": "fixed"}.get(own)
    comparable = {own, theirs} <= {"solved", "unsolved"}
    return {"outcome": own, "baseline_outcome": theirs, "change": change if comparable else None}


def _sample_cells(record: Record) -> Json:
    """Return the cells about completions; of several samples those of the first."""
    completion, execution = record.samples[0].completion, record.samples[0].execution
    return {
        "n_samples": len(record.samples),
        "n_solved": record.n_solved,
        "status": execution.status,
        "detail": execution.detail,
        "finish_reason": completion.finish_reason,
        "n_tokens": completion.n_tokens,
        "ttft_s": completion.ttft_s,
        "duration_s": completion.duration_s,
        "execution_s": execution.duration_s,
        **{name: record.measurements.get(name) for name in SCORES},
        "completion": completion.text,
    }


def write_csv(rows: Iterable[Json], path: Path) -> None:
    r"""Write rows as CSV: UTF-8, every text quoted, what is undefined empty, and no text that is a formula.

    Completions are untrusted, and a spreadsheet computes a cell that begins like a formula: such a text gets an
    apostrophe in front of it. NUL, which ends a text for many readers, is written as `\x00`.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow([column.name for column in COLUMNS])
        writer.writerows([_csv_cell(row[column.name]) for column in COLUMNS] for row in rows)


def _csv_cell(value: object) -> object:
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\\x00")
    return f"'{text}" if text.startswith(("\t", "\r")) or text.lstrip().startswith(_FORMULA) else text


def _write_parquet(rows: Sequence[Json], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    types = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema([pa.field(column.name, types[column.kind]) for column in COLUMNS])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, compression="zstd")

"""What a model may write to break out of a report, or to hide in it."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.summarize import SummaryInput
from tests.unit.summary.builders import HEADER, session

HOSTILE = {
    "end of a script": "</script><script>alert(1)</script>",
    "end of a comment": "--><img src=x onerror=alert(1)><!--",
    "a style": "</style><style>*{display:none}</style>",
    "an attribute": '" onmouseover="alert(1)" x=\'',
    "a template": "{{ 7*7 }}{% raw %}",
    "terminal escapes": "\x1b[2J\x1b]0;owned\x07red\x1b[31m",
    "turned text": "access\u202e\u2066// admin\u2069\u2066",
    "no width": "a\u200bb\ufeffc\u00add",
    "NUL": "a\0b",
    "a line of a megabyte": "x" * 1_000_000,
    "half a surrogate pair": "a\ud800b\udfffc",
    "a formula": "=cmd|' /C calc'!A0",
    "Markdown": "`code` ``two`` | cell | **bold** [link](javascript:alert(1)) <details> ~~~ ``` # x",
    "a mention": "@everyone fixes #1 and GH-2, see https://example.com and www.example.com",
    "lines": "a\r\nb\n\n# heading\n- [ ] task\n</details>\n| a |\n|---|",
}


def hostile_session(text: str) -> SummaryInput:
    """Make a session in which everything that a model, a data set or a user writes is this text."""
    found = session("++-", "-++")
    return replace(
        found,
        run=replace(HEADER, command=f"pytest {text}", model={"id": text, "source": "directory"}, ci={"commit": text}),
        planned=[(recipe, _case(case, text)) for recipe, case in found.planned],
        records=[_record(one, text) for one in found.records],
    )


def _case(case: Case, text: str) -> Case:
    return replace(case, task_id=f"{case.task_id} {text[:200]}")


def _record(record: Record, text: str) -> Record:
    samples = tuple(
        replace(
            sample,
            completion=replace(sample.completion, text=f"{record.recipe} {text}"),
            execution=replace(sample.execution, detail=text),
        )
        for sample in record.samples
    )
    return replace(record, case=_case(record.case, text), samples=samples, prompt_diff=text)

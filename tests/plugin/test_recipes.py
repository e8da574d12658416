"""Recipes from the command line to the report: calibrated, exported and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.demo import __file__ as demo_package
from pytest_qeval.schema import Json
from tests.plugin.runs import check_refusal, read_report

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)

MICRO = ("--qeval-model", "demo", "--qeval-suite", "micro", "--qeval-limit", "2", "--qeval-max-new-tokens", "8")
ORIGINAL = Path(demo_package).parent / "model"
FILES = {
    "mixed.toml": """
scheme = "w8a8"
kept = ["lm_head", "*.6.mlp.*"]

[[layers]]
pattern = "*.down_proj"
scheme = "w4a16-g32"
""",
}


@pytest.fixture(autouse=True)
def files(pytester: pytest.Pytester) -> None:
    """Write recipe files and calibration texts into the empty project."""
    for name, content in FILES.items():
        (pytester.path / name).write_text(content, encoding="utf-8")


@pytest.fixture
def overlapping(pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> Sequence[str]:
    """Return the arguments of a run that is calibrated on micro's own problems."""
    rows = [{"text": row["prompt"] + row["canonical_solution"]} for row in micro_rows[:2]]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (pytester.path / "overlap.jsonl").write_text(text, encoding="utf-8")
    return (*MICRO, "--qeval-recipe", "w8a8-static-n2", "--qeval-calibration", "overlap.jsonl")


OVERLAP = "*calibration text 1 of overlap.jsonl for w8a8-static-n2 overlaps with micro/*--qeval-allow-overlap.*"


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_calibration_on_the_benchmark_is_refused(
    run: Run, pytester: pytest.Pytester, mode: tuple[str, ...], overlapping: Sequence[str]
) -> None:
    """By the process that has collected the problems, or the controller of those; no report is left."""
    result = run(*mode, *overlapping)

    if mode == ("-n2",):
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines([f"*ERROR: {OVERLAP[1:-1]}*"])
    else:
        check_refusal(result, OVERLAP)
    result.stdout.no_fnmatch_line("*cases missing*")
    assert not (pytester.path / ".qeval").exists()


def test_an_overlap_can_be_allowed(run: Run, overlapping: Sequence[str]) -> None:
    """The user has been told, and takes it."""
    result = run(*overlapping, "--qeval-allow-overlap", "--collect-only", "-q")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["micro::w8a8-static-n2-micro/0"])


def test_braces_and_files_give_several_recipes(run: Run, pytester: pytest.Pytester) -> None:
    """`w{8,4}a16` is two, a file is a third; all are loaded in turn, here by two workers, and reported by name."""
    result = run(
        "-n2", *MICRO, "--qeval-recipe", "w{8,4}a16", "--qeval-recipe", "mixed.toml", "--qeval-baseline", "none",
        "--qeval-output", "out",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    recipes = read_report(pytester.path / "out")["recipes"]
    assert {name: facts["scheme"] for name, facts in recipes.items()} == {
        "w8a16": "W8A16",
        "w4a16": "W4A16",
        "mixed": "W8A8 mixed",
    }
    layers = {layer["name"].partition("layers.")[2]: layer for layer in recipes["mixed"]["layers"]}
    assert (layers["0.mlp.down_proj"]["bits"], layers["0.mlp.down_proj"]["granularity"]) == (4, "per_group(32)")
    assert (layers["0.mlp.up_proj"]["bits"], layers["0.mlp.up_proj"]["execution"]) == (8, "native")
    assert layers["6.mlp.down_proj"]["kept"]


def test_calibration_is_recorded_and_what_is_exported_is_compared(run: Run, pytester: pytest.Pytester) -> None:
    """Calibrate and export; then evaluate the checkpoint as it is, against the model that it was made from."""
    first = run(
        "-p", "no:xdist", *MICRO, "--qeval-recipe", "w8a8-static-mse-n4", "--qeval-baseline", "none",
        "--qeval-seed", "7", "--qeval-export", "exported", "--qeval-output", "out",
    )  # fmt: skip

    assert first.ret == pytest.ExitCode.OK
    directory = pytester.path / "exported" / "w8a8-static-mse-n4"
    made = read_report(pytester.path / "out")["recipes"]["w8a8-static-mse-n4"]
    check_calibrated(made)
    assert made["disk_bytes"] == (directory / "model.safetensors").stat().st_size

    second = run(
        "-p", "no:xdist", "--qeval-model", f"exported/{directory.name}", f"--qeval-baseline={ORIGINAL}",
        "--qeval-suite", "micro", "--qeval-limit", "2", "--qeval-max-new-tokens", "8", "--qeval-output", "again",
    )  # fmt: skip

    assert second.ret == pytest.ExitCode.OK
    report = read_report(pytester.path / "again")
    assert {name: facts["role"] for name, facts in report["recipes"].items()} == {
        "original": "baseline",
        "as-is": "candidate",
    }
    read = report["recipes"]["as-is"]
    assert (read["scheme"], read["execution"], read["layers"]) == ("W8A8", made["execution"], made["layers"])
    assert read["model_bytes"] == made["model_bytes"]
    assert read["disk_bytes"] is None
    assert report["recipes"]["original"]["execution"] == "full precision"
    comparison = report["benchmarks"]["micro"]["comparisons"]["as-is"]
    assert comparison["baseline"] == "original"


def check_calibrated(facts: Json) -> None:
    """The texts, how many tokens were seen, and what became of every layer."""
    calibration = facts["calibration"]
    assert calibration["source"].startswith("Python 3.")
    assert (calibration["samples"], calibration["seed"], len(calibration["texts_sha256"])) == (4, 7, 64)
    assert calibration["tokens"] > 4 * 32
    assert calibration["duration_s"] > 0
    assert len(facts["layers"]) == 50
    assert [layer["name"] for layer in facts["layers"] if layer["kept"]] == ["lm_head"]
    assert sum(layer["bits"] == 8 for layer in facts["layers"]) == facts["quantized_layers"] == 49

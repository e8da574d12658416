"""The main job on the embedded model: baseline and candidates, one verdict, with and without workers."""

import importlib.util
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin.runs import read_records, read_report

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)
MODES = pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2", "--dist", "worksteal")], ids=["no-xdist", "worksteal"])
def test_the_main_job(request: pytest.FixtureRequest, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Baseline and int8 are loaded, evaluated, compared and judged; every part of the report is there."""
    result = request.getfixturevalue("run" if "-n2" in mode else "run_afresh")(
        *mode, "--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-limit", "6", "--qeval-output", "out",
        "--qeval-gate", "model_bytes ratio <= 0.6",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    report = read_report(pytester.path / "out")
    assert (report["run"]["planned"], report["run"]["missing"], report["verdict"]) == (12, 0, "pass")
    assert list(report["recipes"]) == ["auto", "int8"]
    assert report["recipes"]["int8"]["execution"] == "native"
    assert report["recipes"]["int8"]["quantized_share"] > 0.5
    assert report["recipes"]["int8"]["decoding"] == "continuous batch"
    costs = report["efficiency"]["int8"]
    assert costs["generation"]["new_tokens"] > 0
    assert costs["latency"]["ttft_s"]["n"] == 6
    assert costs["decode"]["latency_per_token_s"]["n"] > 0
    assert costs["memory"]["peak_bytes"] > costs["memory"]["model_bytes"] > 0
    tokens = [
        sum(sample["n_tokens"] for sample in record["samples"])
        for record in read_records(pytester.path / "out")
        if record["recipe"] == "int8"
    ]
    assert costs["generation"]["new_tokens"] == sum(tokens)  # no completion is generated twice
    energy = costs["energy"]
    late = "-n2" in mode and energy.get("undefined", "").startswith("the machine was metered for ")
    assert late or (energy["energy_wh"] > 0 and energy["provenance"] in {"measured", "estimated"})


def test_baseline_drafts_change_no_completion(run_afresh: Run, pytester: pytest.Pytester) -> None:
    """What generating costs is left out and explained."""
    arguments = (
        "-p", "no:xdist", "--qeval-model=demo", "--qeval-recipe=int8", "--qeval-suite=micro", "--qeval-limit=6"
    )  # fmt: skip
    plain = run_afresh(*arguments, "--qeval-output=plain")
    drafted = run_afresh(*arguments, "--qeval-output=drafted", "--qeval-baseline-drafts")

    assert plain.ret == drafted.ret
    assert texts_of(pytester.path / "plain") == texts_of(pytester.path / "drafted")
    drafted.stdout.fnmatch_lines("*int8: completions were drafted from the baseline's, so *")
    efficiency = read_report(pytester.path / "drafted")["efficiency"]
    assert (efficiency["auto"]["drafted"], efficiency["int8"]["drafted"]) == (False, True)
    assert efficiency["int8"]["generation"]["throughput_tokens_per_s"] is None
    assert efficiency["int8"]["energy"] == {
        "undefined": "completions were drafted from the baseline's",
        "blocks": {},
    }


def texts_of(folder: Path) -> list[tuple[str, str, list[str]]]:
    return [
        (record["recipe"], record["task_id"], [sample["completion"] for sample in record["samples"]])
        for record in read_records(folder)
    ]


THREADS = """
def pytest_configure(config):
    if hasattr(config, "workerinput"):
        import torch
        torch.set_num_threads(7)

def pytest_unconfigure(config):
    if hasattr(config, "workerinput"):
        import torch
        with open("threads.txt", "a") as file:
            print(torch.get_num_threads(), file=file)
"""


def test_two_workers_give_the_same_completions(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever decodes a case, and beside which neighbours: in float32 the greedy text is the same.

    And the workers divide the cores, for torch would take all of them in each.
    """
    pytester.makeconftest(THREADS)

    def completions(folder: str, *mode: str) -> dict[str, str]:
        run(
            *mode, "--qeval-model", "demo", "--qeval-recipe", "fp32", "--qeval-baseline", "none",
            "--qeval-suite", "micro", "--qeval-limit", "8", "--qeval-max-new-tokens", "32", "--qeval-output", folder,
        )  # fmt: skip
        lines = (pytester.path / folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        return {row["task_id"]: row["completion"] for row in map(json.loads, lines)}

    alone = completions("one", "-p", "no:xdist")
    monkeypatch.delenv("OMP_NUM_THREADS")

    assert alone == completions("two", "-n2")
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert (pytester.path / "threads.txt").read_text(encoding="utf-8").split() == [str(share)] * 2


@MODES
def test_a_broken_recipe_is_seen_and_fails_the_gate(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Two bits are too few: regressions are shown and proved; with --qeval-strict each is a failed test as well."""
    result = run(
        *mode, "--qeval-model", "demo", "--qeval-recipe", "w2a16", "--qeval-suite", "micro", "--qeval-limit", "24",
        "--qeval-max-new-tokens", "48", "--qeval-strict", "--qeval-output", "out",
        "--qeval-gate", "pass@1 drop <= 10pt",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    comparison = read_report(pytester.path / "out")["benchmarks"]["micro"]["comparisons"]["w2a16"]
    assert comparison["evidence"] == "worse"
    assert len(comparison["regressed"]) >= 5
    result.stdout.fnmatch_lines(["*W2A16 simulated*", "*verdict: FAIL*"])
    failed = re.findall(r"^FAILED .*w2a16-(micro/\d+) - .*regressed: auto solved it", result.stdout.str(), re.MULTILINE)
    assert sorted(failed) == sorted(comparison["regressed"])


def test_samples_are_seeded(run: Run, pytester: pytest.Pytester) -> None:
    """Sampling gives n completions a problem, the same ones for the same seed."""

    def samples(folder: str, seed: str) -> str:
        run(
            "--qeval-model", "demo", "--qeval-recipe", "fp32", "--qeval-baseline", "none", "--qeval-suite", "micro",
            "--qeval-limit", "2", "--qeval-samples", "3", "--qeval-temperature", "2", "--qeval-seed", seed,
            "--qeval-max-new-tokens", "8", "--qeval-output", folder,
        )  # fmt: skip
        return (pytester.path / folder / "samples.jsonl").read_text(encoding="utf-8")

    first = samples("a", "1")

    assert len(first.splitlines()) == 6
    assert samples("b", "1") == first
    assert samples("c", "2") != first


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("recipes", ["auto *", "int8 *", "w2a16 *"]),
        ("benchmarks", ["humaneval *", "mbpp *", "micro *"]),
        ("engines", ["transformers *"]),
        ("suites", ["divergence *baseline*", "humaneval *164 *", "robustness *perturbed*"]),
    ],
)
def test_lists(run: Run, kind: str, lines: list[str]) -> None:
    """--qeval-list prints names with a line each and runs nothing."""
    result = run("--qeval-list", kind)

    assert result.ret == 0
    result.stdout.fnmatch_lines(lines)
    result.stdout.no_fnmatch_line("*test session starts*")


def test_sensitivity_ranks_every_block(run: Run, pytester: pytest.Pytester) -> None:
    """Nothing is generated and only the untouched model is loaded; the baseline has nothing to rank."""
    result = run(
        "--qeval-model", "demo", "--qeval-recipe", "w2a16", "--qeval-suite", "sensitivity",
        "--qeval-limit", "3", "--qeval-output", "out", "-rs",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*sensitivity to w2a16*", "*auto quantizes nothing by a scheme*", "*1 passed, 1 skipped*"]
    )
    report = read_report(pytester.path / "out")
    assert len(report["sensitivity"]["w2a16"]["blocks"]) == 7
    assert report["sensitivity"]["w2a16"]["texts"] == 3
    assert (report["recipes"], report["run"]["planned"]) == ({}, 0)


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_efficiency_alone_is_reported(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """A session without a single case has a report all the same, and a table of layers.

    Recipes are timed in turns, on one worker. A test's limit, which is much shorter than six rounds, does not count.
    """
    limit = ("--timeout=1",) if importlib.util.find_spec("pytest_timeout") else ()
    asked = ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-suite", "efficiency", "--qeval-output", "out")
    selected = (
        "-k",
        "decode-1 or problems or quantize",
        "--qeval-limit",
        "2",
        "--qeval-gate",
        "decode ratio >= 0.001x",
    )
    result = run(*mode, *limit, *asked, *selected)

    result.stdout.fnmatch_lines(["*5 passed, 1 skipped*"])
    report = read_report(pytester.path / "out")
    costs = report["efficiency"]["int8"]
    assert costs["decode"]["latency_per_token_s"]["n"] > 0
    assert costs["timing"]["workloads"]["decode-1"]["beside"] == ["auto"]
    assert [one["task_id"] for one in costs["timing"]["problems"]["problems"]] == ["micro/0", "micro/1"]
    assert [(gate["outcome"], gate["recipe"]) for gate in report["gates"]] == [("pass", "int8")]
    table = (pytester.path / "out" / "layers.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + len(report["recipes"]["int8"]["layers"])
    assert "int8,lm_head," in "\n".join(table)


def test_divergence_is_measured_on_the_baselines_own_completions(run: Run, pytester: pytest.Pytester) -> None:
    """A samples file of an earlier run takes the place of the canonical solutions."""
    model = ("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-limit", "4")
    run(*model, "--qeval-suite", "micro", "--qeval-output", "first")
    texts = ("--qeval-suite", "divergence", "--qeval-divergence-texts", "first/samples-auto.jsonl")
    result = run(*model, *texts, "--qeval-output", "second", "--qeval-gate", "kl <= 0.5")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["divergence of int8 from auto: * tokens of 4 micro completions"])
    found = read_report(pytester.path / "second")["divergence"]["int8"]
    assert (found["texts"], len(found["problems"]), found["incomparable"]) == ("completions", 4, 0)

"""JUnit XML is red where the run is red, and survives what models write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, parse

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, WRONG, write_samples

Run = Callable[..., pytest.RunResult]

HOSTILE = "    return '\0\x1b[31m\u202e</script>]]>-->&=cmd()'\n"


def suite_of(path: Path) -> Element:
    return parse(path).getroot()[0]  # noqa: S314 - our own file


def cases_of(path: Path) -> dict[str, Element]:
    return {str(test.get("name")): test for test in suite_of(path).iter("testcase")}


def properties(element: Element) -> dict[str, str]:
    return {str(one.get("name")): str(one.get("value")) for one in element.findall("properties/property")}


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_gates_and_regressions_are_in_the_xml(
    run: Run, pytester: pytest.Pytester, samples: Path, micro_rows: list[Json], workers: tuple[str, ...]
) -> None:
    """A broken gate is a failure, with the regressed ids; an unsolved problem is none."""
    run("-p", "no:xdist", *REPLAY, str(samples), "--qeval-save-baseline", "b.json.gz")
    texts = {0: HOSTILE, 3: WRONG}
    rows = [
        {"task_id": row["task_id"], "completion": texts.get(index, row["canonical_solution"])}
        for index, row in enumerate(micro_rows[:8])
    ]
    file = pytester.path / write_samples(pytester.path / "candidate.jsonl", rows)
    gates = ("--qeval-gate", "pass@1 drop <= 2pt", "--qeval-gate", "regressed <= 0")
    result = run(*workers, *REPLAY, str(file), "--qeval-baseline", "b.json.gz", *gates, "--junitxml", "r.xml")

    suite = suite_of(pytester.path / "r.xml")
    tests = cases_of(pytester.path / "r.xml")
    regressed = tests["replay-micro/0"].find("skipped")
    both = tests["replay-micro/3"].find("skipped")
    failure = tests["regressed <= 0 (replay, micro)"].find("failure")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped"), suite.get("tests")) == (
        "1",
        "0",
        "2",
        "10",
    )
    assert properties(suite)["qeval.verdict"] == "fail"
    assert regressed is not None
    assert str(regressed.get("message")).startswith("regressed: replay (saved) solved it, replay did not (")
    assert both is not None
    assert "unsolved by both: replay: failed: " in str(both.get("message"))
    assert "; replay (saved): failed: " in str(both.get("message"))
    assert failure is not None
    assert "regressed.micro: micro/0" in str(failure.text)
    assert properties(tests["replay-micro/0"])["qeval.outcome"] == "regressed"
    assert properties(tests["replay-micro/7"])["qeval.outcome"] == "fixed"
    assert tests["pass@1 drop <= 2pt (replay, micro)"].find("failure") is None


def test_a_run_that_judges_nothing_is_red_in_the_xml(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """As its exit status is."""
    pytester.makepyfile("def test_ordinary(): pass")
    gate = ("--qeval-gate", "pass@1 >= 0.5")
    result = run(
        *REPLAY, str(samples), *gate, "--junitxml", "r.xml", "test_a_run_that_judges_nothing_is_red_in_the_xml.py"
    )

    failure = cases_of(pytester.path / "r.xml")["run"].find("failure")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert failure is not None
    assert failure.get("message") == "no gate was judged: no test of the model was selected"


def test_half_a_surrogate_pair_passes_through_workers(
    run: Run, pytester: pytest.Pytester, micro_rows: list[Json]
) -> None:
    """Neither the channel between the processes nor a file can take it as it is."""
    texts = ["    return '\ud800'\n", "    raise ValueError('\\ud800')\n"]
    rows = [{"task_id": row["task_id"], "completion": text} for row, text in zip(micro_rows, texts, strict=False)]
    name = write_samples(pytester.path / "samples.jsonl", rows)
    result = run(
        "-n2", "--qeval-limit", "2", "--qeval-completions", name, "--qeval-output", "out", "--junitxml", "r.xml"
    )

    assert result.ret == pytest.ExitCode.OK
    assert cases_of(pytester.path / "r.xml")["replay-micro/1"].find("skipped") is not None
    assert r"return '\ud800'" in (pytester.path / "out" / "cases.csv").read_text(encoding="utf-8")

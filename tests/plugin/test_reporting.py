"""What is reported when there is little to report: nothing run, nothing loaded, nowhere to write."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin.runs import REPLAY

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(300)


def test_a_gate_without_a_result_is_broken(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Nothing had to be loaded for a test that was skipped, so that the gate cannot be judged."""
    pytester.makepyfile("def test_it(qeval): qeval.measure_stream()")
    result = run(
        "--qeval-completions", str(samples), "--qeval-output", "out", "--qeval-gate", "pass@1 >= 0.1",
        "test_a_gate_without_a_result_is_broken.py",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*FAIL*replay was never loaded*", "verdict: FAIL, the gate is broken"])
    assert json.loads((pytester.path / "out" / "report.json").read_text(encoding="utf-8"))["verdict"] == "fail"


@pytest.mark.parametrize(
    "asked",
    [
        ("-p", "no:xdist", "--collect-only"),
        ("-n2", "--collect-only"),
        ("--setup-plan",),
        ("-n2", "--setup-plan"),
        ("--setup-only",),
        ("--fixtures",),
        ("--fixtures-per-test",),
        ("--cache-show", "-p", "cacheprovider"),
    ],
    ids=" ".join,
)
def test_showing_tests_or_fixtures_reports_nothing(
    run: Run, pytester: pytest.Pytester, samples: Path, asked: tuple[str, ...]
) -> None:
    """What runs no test writes no folder, moves no link, judges no gate: the exit status is pytest's."""
    folder = pytester.mkdir(".qeval")
    (folder / "latest").symlink_to("earlier")
    result = run(*asked, *REPLAY, str(samples), "--qeval-gate", "pass@1 >= 1")

    assert result.ret == pytest.ExitCode.OK
    for word in ("verdict", "gate", "qeval: "):
        result.stdout.no_fnmatch_line(f"*{word}*")
    assert [path.name for path in folder.iterdir()] == ["latest"]
    assert (folder / "latest").readlink() == Path("earlier")


def test_collecting_alone_shows_the_cases(run: Run, samples: Path) -> None:
    """As pytest shows other tests."""
    result = run("--collect-only", *REPLAY, str(samples))

    result.stdout.fnmatch_lines(["*test_micro*replay-micro/0*"])


def test_looking_for_the_output_folder_leaves_nothing(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A folder that can be made is made when there is something to write."""
    result = run("--collect-only", "-q", *REPLAY, str(samples), "--qeval-output", "new/out")

    assert result.ret == pytest.ExitCode.OK
    assert not (pytester.path / "new").exists()

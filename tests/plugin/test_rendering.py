"""The page and the comment of a run, and `--qeval-render`, which makes every report again."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_qeval.report import files
from tests.plugin.runs import REPLAY, check_refusal

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(300)
NO_EXTRA = find_spec("vl_convert") is None or find_spec("jinja2") is None


@pytest.fixture
def empty_plots(imported: None) -> None:
    """Draw the plots: their bytes are compared."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.skipif(NO_EXTRA, reason="the extra 'report' is not installed")
def test_every_report_is_made_again_from_the_records(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Byte for byte; the exit status is what the gates decide; another folder may take them."""
    gates = ("--qeval-gate", "pass@1 >= 1", "--qeval-gate", "pass@1 >= 0.1")
    first = run(*REPLAY, str(samples), "--qeval-output", "out", *gates)
    before = contents(pytester.path / "out")
    for name in before.keys() - {"records.jsonl"}:
        (pytester.path / "out" / name).unlink()
    again = run("--qeval-render", "out")
    elsewhere = run("--qeval-render", "out/records.jsonl", "--qeval-output", "copy", "--qeval-open")

    assert (first.ret, again.ret, elsewhere.ret) == (pytest.ExitCode.TESTS_FAILED,) * 3
    assert {"report.json", "report.html", "summary.md", "samples.jsonl"} <= before.keys()
    assert contents(pytester.path / "out") == before
    assert contents(pytester.path / "copy") == {name: before[name] for name in before.keys() - {"records.jsonl"}}
    again.stdout.fnmatch_lines(["*FAIL*pass@1 >= 1*", "report: *report.json", "page: *report.html"])
    elsewhere.stdout.fnmatch_lines(["no display to open it on: *copy*report.html"])


def test_the_comment_is_appended_to_the_step_summary(
    run: Run, pytester: pytest.Pytester, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood there stays; commit and link are in it."""
    page = pytester.path / "step.md"
    page.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    monkeypatch.setenv("GITHUB_SHA", "0123abc")
    run(*REPLAY, str(samples), "--qeval-output", "out")

    summary = (pytester.path / "out" / "summary.md").read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8") == f"before\n{summary}"
    assert "- Commit 0123abc" in summary


def test_without_the_extra_one_note_says_how_to_install_it(
    run: Run, pytester: pytest.Pytester, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fails, and the comment is there."""
    monkeypatch.setattr(files, "PACKAGES", ("no_such_package",))
    result = run(*REPLAY, str(samples), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["report.html is not written: it needs the package 'no_such_package': pip install 'pytest-qeval?report?'"]
    )
    assert not (pytester.path / "out" / "report.html").exists()
    assert (pytester.path / "out" / "summary.md").exists()


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (("--qeval-render", "out"), "ERROR: *records.jsonl cannot be read: No such file*"),
        (("--qeval-render", ""), "ERROR: --qeval-render is empty, perhaps from a variable*"),
        (
            ("--qeval-render", "out", "--qeval-gate", "pass@1 >= 1"),
            "ERROR: --qeval-render reads a finished run, its gates included: leave --qeval-gate out.",
        ),
        (("--qeval-render", "out", "test_x.py"), "ERROR: --qeval-render expects one run, and no tests; found out *"),
    ],
    ids=["no run", "empty", "a gate", "a test"],
)
def test_what_cannot_be_rendered_is_refused(
    run: Run, pytester: pytest.Pytester, options: tuple[str, ...], refusal: str
) -> None:
    pytester.mkdir("out")
    pytester.makepyfile(test_x="def test_it(): pass")

    check_refusal(run(*options), refusal)

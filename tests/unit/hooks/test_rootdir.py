"""A path among the options does not decide what the project is."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.hooks.rootdir import join_paths
from pytest_qeval.options import N_VALUES
from tests.plugin.runs import check_refusal, read_report, write_samples
from tests.sandboxes import accept_weakest, strongest_isolation

Configure = Callable[..., pytest.Config]
HERE = str(Path(__file__).parent)


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder outside of the project that holds a samples file."""
    folder = tmp_path_factory.mktemp("elsewhere")
    write_samples(folder / "samples.jsonl", [{"task_id": "micro/0", "completion": "    return None\n"}])
    return folder


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        ("--qeval-model {} --qeval-recipe int8", "--qeval-model={} --qeval-recipe int8"),
        ("--qeval-model demo -k {}", "--qeval-model demo -k {}"),
        ("--qeval-strict {}", "--qeval-strict {}"),
        ("{} --qeval-data {} --qeval-output {}", "{} --qeval-data={} --qeval-output={}"),
        ("--qeval-compare {} {} -q", "--qeval-compare={} --qeval-compare={} -q"),
        ("--alluredir {} --qeval-model", "--alluredir {} --qeval-model"),
        ("-- --qeval-model {}", "-- --qeval-model {}"),
    ],
)
def test_only_paths_after_an_option_of_ours_are_joined_to_it(words: str, joined: str) -> None:
    """Test paths, and other plugins' options, stay what they are."""
    assert join_paths(words.replace("{}", HERE).split()) == joined.replace("{}", HERE).split()


@given(st.lists(st.sampled_from([*N_VALUES, "--qeval-strict", "--", "-q", "demo", HERE, "", "a\0b", "x" * 5000])))
def test_joined_words_hold_the_same_and_are_left_alone(words: list[str]) -> None:
    """Pytest is started again at most once."""
    joined = join_paths(words)

    assert join_paths(joined) == joined
    assert [word for one in joined for word in one.split("=")][-1:] == words[-1:]
    assert sum(word.partition("=")[2] == HERE for word in joined) + joined.count(HERE) == words.count(HERE)


def run_pytest(pytester: pytest.Pytester, *arguments: object) -> pytest.RunResult:
    """Run pytest as a user does, with the cache that other tests leave out."""
    return pytester.run(
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:hypothesispytest",
        *accept_weakest([*map(str, arguments)]),
        timeout=240,
    )


def files(folder: Path) -> Sequence[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def check_run(result: pytest.RunResult, pytester: pytest.Pytester, elsewhere: Path) -> None:
    """Check that the project was the project, and that nothing was written outside of it."""
    assert (result.ret, files(elsewhere)) == (pytest.ExitCode.TESTS_FAILED, ["samples.jsonl"])
    result.stdout.fnmatch_lines([f"rootdir: {pytester.path}", "*FAIL*pass@1 >= 0.99*"])
    assert (pytester.path / ".pytest_cache").is_dir()


def test_a_path_elsewhere_leaves_the_project_its_ini_file_and_its_cache(
    pytester: pytest.Pytester, elsewhere: Path
) -> None:
    """Such as a samples file that is given in two words; the ini file's own options count as well."""
    pytester.makeini("[pytest]\nqeval_gate = pass@1 >= 0.99\naddopts = --qeval-limit 3 -v\n")
    output = pytester.mkdir("reports")

    result = run_pytest(pytester, "--qeval-completions", elsewhere / "samples.jsonl", "--qeval-output", output)

    check_run(result, pytester, elsewhere)
    result.stdout.fnmatch_lines(["configfile: tox.ini", "micro::*UNSOLVED*"])
    assert "--qeval-output=" in str(read_report(output)["run"]["command"])


def test_a_project_needs_no_ini_file(pytester: pytest.Pytester, elsewhere: Path) -> None:
    """The words may come from the environment and from a file of arguments, too."""
    pytester.makefile(".txt", arguments=f"--qeval-completions\n{elsewhere / 'samples.jsonl'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", shlex.join(["--qeval-data", str(elsewhere), "--qeval-gate", "pass@1 >= 0.99"]))
        result = run_pytest(pytester, f"--qeval-sandbox={strongest_isolation()}", "@arguments.txt")

    check_run(result, pytester, elsewhere)


def test_tests_elsewhere_are_of_the_project_there(
    configure: Configure, pytester: pytest.Pytester, elsewhere: Path
) -> None:
    """As pytest has it: `pytest ../B/tests` reads the ini file of B."""
    pytester.makeini("[pytest]\nqeval_gate = pass@1 >= 0.99\n")
    (elsewhere / "pytest.ini").write_text("[pytest]\nqeval_suite = micro\n", encoding="utf-8")

    config = configure(os.path.relpath(elsewhere), "--qeval-model=demo")

    assert config.inipath == elsewhere / "pytest.ini"


@pytest.mark.parametrize("words", [["--qeval-completions", "{}"], ["{}", "--qeval-data", "."], ["@a.txt"]])
def test_a_program_that_runs_pytest_is_told_what_to_write(
    pytester: pytest.Pytester, elsewhere: Path, words: list[str]
) -> None:
    """Only a command can be started again; a file of arguments may name another one."""
    samples = str(elsewhere / "samples.jsonl")
    pytester.makefile(".txt", a="@b.txt", b=f"--qeval-completions\n{samples}")
    result = pytester.runpytest_inprocess(*(word.format(samples) for word in words))

    check_refusal(result, "*for a test path*as one word: --qeval-*=*")


def test_paths_in_the_project_are_no_reason_to_refuse(configure: Configure, samples: Path) -> None:
    """They leave pytest its rootdir, whoever runs it."""
    assert configure("--qeval-completions", samples.name).rootpath == samples.parent


def test_a_project_inside_of_the_project_is(pytester: pytest.Pytester, samples: Path) -> None:
    """Its ini file would be read."""
    inner = pytester.mkdir("inner")
    (inner / "pytest.ini").touch()

    check_refusal(
        pytester.runpytest_inprocess("--qeval-completions", samples.name, "--qeval-data", "inner"), "*as one word*"
    )

"""A path among the options must not hide the project's ini file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.errors import UsageError
from pytest_qeval.hooks.rootdir import check_rootdir
from tests.plugin.runs import check_refusal

Run = Callable[..., pytest.RunResult]


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [
        ("pytest.ini", "", True),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", True),
        ("pyproject.toml", "[project]\nname = 'x'\n", False),
        ("setup.cfg", "[tool:pytest]\n", True),
        ("notes.txt", "[pytest]\n", False),
    ],
)
def test_only_a_lost_ini_file_is_refused(tmp_path: Path, name: str, content: str, *, refused: bool) -> None:
    """A project without an ini file of pytest's loses nothing."""
    project = tmp_path / "project" / "below"
    project.mkdir(parents=True)
    (project.parent / name).write_text(content)

    if refused:
        with pytest.raises(UsageError, match=r"did not read .*equals sign"):
            check_rootdir(None, project)
    else:
        check_rootdir(None, project)
    check_rootdir(project.parent / name, project)


def test_gates_in_the_ini_file_are_not_lost_silently(
    run: Run, pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A samples file in another folder, given in two words, moves pytest's rootdir there."""
    pytester.makeini("[pytest]\nqeval_gate = pass@1 >= 0.99\n")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "samples.jsonl"
    elsewhere.write_text('{"task_id": "micro/0", "completion": ""}', encoding="utf-8")

    check_refusal(run("--qeval-completions", str(elsewhere)), "*did not read*tox.ini*--qeval-model=DIR*")

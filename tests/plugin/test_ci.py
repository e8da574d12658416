"""The workflows of docs/ci and the action of this repository: their commands run, in a clean folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import metadata
from pathlib import Path

import pytest

from tests.sandboxes import accept_weakest
from tests.workflows import Runner, Step, github_steps, gitlab_steps, read_yaml

ROOT = Path(__file__).parents[2]
CI = ROOT / "docs" / "ci"
ACTION = ROOT / "action.yml"
WORKFLOWS = sorted(CI.glob("github-*.yml"))
VALUES = {
    "github.action_path": "/the/action",
    "github.token": "token",
    "github.event.pull_request.number": "12",
    "inputs.model": "demo",
    "inputs.recipe": "int8\nw2a16\n",
    "inputs.gate": "pass@1 drop <= 2pt\n",
    "inputs.arguments": "--qeval-limit 2 -k 'micro/0 or micro/1'",
    "inputs.extras": "transformers,hub",
    "inputs.pip-arguments": "--index-url 'an index'",
    "inputs.output": ".qeval/ci",
}
FEW = "--qeval-limit=2 --qeval-max-new-tokens=24"
"""Added by the environment: two short problems are enough to see that a command runs."""

pytestmark = [
    pytest.mark.skipif(not ACTION.exists(), reason="an installed package has no workflows beside its tests"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def runner(tmp_path: Path, warm_pytest: Callable[[Sequence[str]], list[str]]) -> Runner:
    *command, _ = warm_pytest(["--qeval-model"])
    weakest = accept_weakest(())
    return Runner(tmp_path, [*command, *weakest], {"PYTEST_ADDOPTS": FEW, "HF_HUB_OFFLINE": "1"})


def run_all(runner: Runner, steps: Sequence[Step]) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run steps with the embedded model in place of the user's."""
    return {step.name: runner.run(step._replace(environment={**step.environment, "MODEL": "demo"})) for step in steps}


def test_the_action_gates_a_model(runner: Runner) -> None:
    """Its exit status is pytest's, its output the verdict, and a broken gate is an annotation."""
    found = run_all(runner, list(github_steps(ACTION, VALUES)))

    calls = runner.calls
    assert found["Install"].returncode == 0, found["Install"].stderr
    assert "pip install -q /the/action[transformers,hub] --index-url an index" in calls
    assert found["Evaluate"].returncode == pytest.ExitCode.TESTS_FAILED, found["Evaluate"].stdout
    assert "::error title=gate broken%3A pass@1 drop <= 2pt (w2a16%2C micro)::" in found["Evaluate"].stdout
    assert (runner.folder / "temp" / "output").read_text(encoding="utf-8") == "verdict=fail\n"
    report = json.loads((runner.project / ".qeval" / "ci" / "report.json").read_text(encoding="utf-8"))
    assert [gate["recipe"] for gate in report["gates"]] == ["int8", "w2a16"]
    assert report["run"]["planned"] == 6
    assert (runner.project / ".qeval" / "ci" / "junit.xml").exists()
    assert found["Comment"].returncode == 0, found["Comment"].stderr


def test_a_usage_error_stays_one(runner: Runner) -> None:
    """Exit status 4 is not that of a broken gate, and there is no verdict."""
    values = {**VALUES, "inputs.recipe": "int9", "inputs.arguments": ""}
    install, evaluate, comment = github_steps(ACTION, values)
    runner.run(install)
    found = runner.run(evaluate)

    assert found.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Did you mean 'int8'" in found.stderr + found.stdout
    assert not (runner.folder / "temp" / "output").exists()
    assert runner.run(comment).returncode == 0


@pytest.mark.parametrize("known", ["", "99\n"], ids=["first", "again"])
@pytest.mark.parametrize("path", [ACTION, CI / "github-pull-request.yml"], ids=lambda path: path.stem)
def test_there_is_one_comment(runner: Runner, path: Path, known: str) -> None:
    """The first run writes it, and later ones write it anew; it carries a mark."""
    output = runner.project / ".qeval" / "ci"
    output.mkdir(parents=True)
    (output / "summary.md").write_text("## A gate is broken\n", encoding="utf-8")
    (runner.folder / "temp" / "comment-id").write_text(known, encoding="utf-8")
    (step,) = (step for step in github_steps(path, VALUES) if step.name == "Comment")
    found = runner.run(step)

    assert found.returncode == 0, found.stderr
    comment = (runner.folder / "temp" / "comment.md").read_text(encoding="utf-8")
    assert comment == "<!-- pytest-qeval -->\n## A gate is broken\n"
    where = "-X PATCH repos/someone/project/issues/comments/99" if known else "repos/someone/project/issues/12/comments"
    assert runner.calls[-1] == f"gh api --silent {where} -F body=@{runner.folder}/temp/comment.md"


@pytest.mark.parametrize(("name", "status"), [("pull-request", 0), ("pre-merge", 0), ("nightly", 1)])
def test_the_commands_of_a_workflow_run(runner: Runner, name: str, status: int) -> None:
    """Every one, from installing to the comment; only of HumanEval's problems, at night, demo solves none."""
    found = run_all(runner, list(github_steps(CI / f"github-{name}.yml", VALUES)))

    expected = dict.fromkeys(found, 0) | {"Evaluate": status}
    assert {step: one.returncode for step, one in found.items()} == expected, found["Evaluate"].stdout
    assert (runner.project / ".qeval" / "ci" / "report.json").exists()
    report = "npx --yes allure@3 generate allure-results --config allure-results/allurerc.json --output allure-report"
    assert (report in runner.calls) == (name == "nightly")
    assert (runner.project / "base.json.gz").exists() == (name == "nightly")


def test_the_commands_for_gitlab_run(runner: Runner) -> None:
    """A note on the merge request is found by its mark, and written anew."""
    script, after = gitlab_steps(CI / "gitlab-ci.yml", "qeval")
    variables = {"CI_API_V4_URL": "https://host/api", "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "5"}
    assert runner.run(script._replace(environment={**script.environment, "MODEL": "demo"})).returncode == 0
    (runner.project / ".qeval" / "ci" / "summary.md").write_text("## Every gate holds\n", encoding="utf-8")
    without = runner.run(after._replace(environment={**after.environment, **variables, "QEVAL_TOKEN": ""}))
    calls = len(runner.calls)
    found = runner.run(after._replace(environment={**after.environment, **variables, "QEVAL_TOKEN": "secret"}))

    assert without.returncode == found.returncode == 0, found.stderr
    assert not any(call.startswith("curl") for call in runner.calls[:calls])
    assert "-X PUT https://host/api/projects/3/merge_requests/5/notes/7 " in runner.calls[-1]


@pytest.mark.parametrize("job", ["qeval-pre-merge", "qeval-nightly"])
def test_other_jobs_for_gitlab_have_the_commands_of_github(job: str) -> None:
    """Those are run above; here only the sandbox is chosen as well."""
    name = job.removeprefix("qeval-")
    (github,) = (step for step in github_steps(CI / f"github-{name}.yml", VALUES) if step.name == "Evaluate")
    script = next(iter(gitlab_steps(CI / "gitlab-ci.yml", job))).commands.splitlines()[-1]
    ours, theirs = (set(re.findall(r"--[\w-]+(?: (?!--)(?:'[^']*'|\S+))?", text)) for text in (script, github.commands))

    assert ours - theirs == {'--qeval-sandbox "$SANDBOX"'}
    assert theirs - ours <= {"--qeval-save-baseline base.json.gz"}


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS, CI / "gitlab-ci.yml"], ids=lambda path: path.stem)
def test_every_extra_that_is_installed_exists(path: Path) -> None:
    """Of an extra that is gone, pip only warns."""
    extras = metadata("pytest-qeval").get_all("Provides-Extra") or []
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"pytest-qeval\[([\w,-]+)\]", text)
    if path == ACTION:
        named.append(read_yaml(path)["inputs"]["extras"]["default"])

    assert {extra for one in named for extra in one.split(",")} <= {*extras}


def test_the_example_of_the_action_uses_inputs_that_it_has() -> None:
    """An input that does not exist is a warning that nobody reads."""
    (step,) = (
        step for step in read_yaml(CI / "github-action.yml")["jobs"]["gate"]["steps"] if "pytest-qeval" in step["uses"]
    )

    assert step["with"].keys() <= read_yaml(ACTION)["inputs"].keys()


@pytest.mark.skipif(not shutil.which("actionlint"), reason="there is no actionlint on the path")
def test_actionlint_finds_nothing() -> None:
    """In the workflows for GitHub."""
    found = subprocess.run(["actionlint", *WORKFLOWS], capture_output=True, text=True, check=False)  # noqa: S607

    assert (found.returncode, found.stdout) == (0, "")

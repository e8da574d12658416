"""Run the commands of CI workflows in a folder of their own, with stand-ins for what a runner has and we have not."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_LOGGING = 'echo "$(basename "$0") $*" >> "$RUNNER_TEMP/calls"\n'
_VENV = """
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  ln -s "$(dirname "$0")/pip" "$(dirname "$0")/pytest" "$3/bin"
fi
"""
_GH = """
case "$*" in
  *--paginate*) cat "$RUNNER_TEMP/comment-id" 2>/dev/null ;;
esac
exit 0
"""
_CURL = """
case "$*" in
  *per_page*) echo '[{"id": 1, "body": "other"}, {"id": 7, "body": "<!-- pytest-qeval --> old"}]' ;;
esac
"""
STAND_INS: Mapping[str, str] = {
    **dict.fromkeys(("sudo", "apt-get", "pip", "npx", "bwrap"), ""),
    "python3": _VENV,
    "gh": _GH,
    "curl": _CURL,
}
"""Commands that only note how they were called, and those that answer as well."""


class Step(NamedTuple):
    """One `run` of a workflow, its environment included."""

    name: str
    commands: str
    environment: Mapping[str, str]


@dataclass
class Runner:
    """A clean folder and home, in which nothing is found but stand-ins, pytest and the system's own commands."""

    folder: Path
    pytest: Sequence[str]
    """The command that runs pytest."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make folders and stand-ins."""
        for name in ("bin", "home", "temp", "project"):
            (self.folder / name).mkdir()
        scripts = {name: _LOGGING + more for name, more in STAND_INS.items()}
        scripts["pytest"] = f'{_LOGGING}exec {shlex.join(self.pytest)} "$@"\n'
        for name, script in scripts.items():
            path = self.folder / "bin" / name
            path.write_text(f"#!/bin/bash\n{script}", encoding="utf-8")
            path.chmod(0o755)

    @property
    def project(self) -> Path:
        """Where the commands run."""
        return self.folder / "project"

    @property
    def calls(self) -> list[str]:
        """How the stand-ins, and pytest, were called."""
        return (self.folder / "temp" / "calls").read_text(encoding="utf-8").splitlines()

    def run(self, step: Step) -> subprocess.CompletedProcess[str]:
        """Run the commands of a step as a runner of GitHub Actions does."""
        temp = self.folder / "temp"
        environment = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "RUNNER_TEMP": str(temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "someone/project",
            "GITHUB_OUTPUT": str(temp / "output"),
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "OMP_NUM_THREADS": "1",
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            **self.environment,
            **step.environment,
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.commands]
        return subprocess.run(
            command, cwd=self.project, env=environment, capture_output=True, text=True, check=False, timeout=280
        )


def read_yaml(path: Path) -> Any:
    """Read a workflow."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def github_steps(path: Path, values: Mapping[str, str]) -> Iterator[Step]:
    """Yield the steps of an action or of all jobs of a workflow that run commands, with expressions replaced."""
    found = read_yaml(path)
    jobs = found["jobs"].values() if "jobs" in found else [found["runs"]]
    for job in jobs:
        for step in job["steps"]:
            if "run" in step:
                environment = {**found.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                filled = {name: _fill(str(value), values) for name, value in environment.items()}
                yield Step(step["name"], _fill(step["run"], values), filled)


def gitlab_steps(path: Path, job: str) -> Iterator[Step]:
    """Yield what a job of GitLab CI runs before and in its script, in one shell, and then after it."""
    found = read_yaml(path)
    merged = {**found.get(found[job].get("extends"), {}), **found[job]}
    variables = {name: re.sub(r"\$CI_PROJECT_DIR", ".", str(value)) for name, value in found["variables"].items()}
    yield Step("script", "\n".join([*merged["before_script"], *merged["script"]]), variables)
    if "after_script" in merged:
        yield Step("after_script", "\n".join(merged["after_script"]), variables)


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: values[found[1]], text)

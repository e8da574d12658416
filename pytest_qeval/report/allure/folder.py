"""Files that describe a whole folder of Allure results: environment, executor, categories, and a configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_qeval.report.allure.text import writable
from pytest_qeval.report.text import describe_recipe, model_name
from pytest_qeval.schema import Json
from pytest_qeval.summary.results import Summary

_CATEGORIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("gates that are broken", "gate broken:", ("failed",)),
    ("regressed by quantization", "regressed:", ("failed",)),
    ("unsolved by both", "unsolved by both:", ("skipped",)),
    ("unsolved, nothing to compare with", "unsolved:", ("skipped",)),
    ("not judged, a limit of the harness", "not judged:", ("skipped",)),
    ("harness fault", "(?!gate broken:|regressed:)", ("failed", "broken")),
)
"""Name, pattern at the beginning of the message, and statuses."""
_CONFIGURATION = "allurerc.json"


def write_folder(folder: Path, summary: Summary) -> None:
    """Write `environment.properties`, `categories.json`, `allurerc.json`, and `executor.json` on a known CI system."""
    environment = "".join(f"{name}={_escape(value)}\n" for name, value in _environment(summary))
    (folder / "environment.properties").write_text(environment, encoding="utf-8")
    _write_json(folder / "categories.json", categories())
    _write_json(folder / _CONFIGURATION, configuration(summary))
    if executor := executor_of(os.environ):
        _write_json(folder / "executor.json", executor)


def categories() -> list[Json]:
    """Return the categories; the patterns mean the same in Java (Allure 2) and in JavaScript (Allure 3)."""
    return [
        {"name": name, "messageRegex": rf"^{pattern}[\s\S]*", "matchedStatuses": list(statuses)}
        for name, pattern, statuses in _CATEGORIES
    ]


def configuration(summary: Summary) -> Json:
    """Return a configuration for Allure 3: name, categories, a history beside the report, and a tree by model."""
    return {
        "name": f"{model_name(summary.run)}: {', '.join(summary.candidates)}",
        "historyPath": "./allure-history.jsonl",
        "categories": categories(),
        "plugins": {"awesome": {"options": {"groupBy": ["epic", "feature", "story"]}}},
    }


def executor_of(environ: Mapping[str, str]) -> Json:
    """Return the CI job that runs, from the variables of GitHub Actions, GitLab CI or Jenkins; empty elsewhere."""
    if environ.get("GITHUB_ACTIONS"):
        number, server = environ.get("GITHUB_RUN_NUMBER", ""), environ.get("GITHUB_SERVER_URL", "")
        url = f"{server}/{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
        return _executor("GitHub Actions", "github", environ.get("GITHUB_WORKFLOW", ""), number, url)
    if environ.get("GITLAB_CI"):
        job, number = environ.get("CI_JOB_NAME", ""), environ.get("CI_PIPELINE_IID", "")
        return _executor("GitLab CI", "gitlab", job, number, environ.get("CI_JOB_URL", ""))
    if environ.get("JENKINS_URL"):
        job, number = environ.get("JOB_NAME", ""), environ.get("BUILD_NUMBER", "")
        return _executor("Jenkins", "jenkins", job, number, environ.get("BUILD_URL", ""))
    return {}


def _executor(name: str, kind: str, job: str, number: str, url: str) -> Json:
    order = {"buildOrder": int(number)} if number.isdecimal() else {}
    return {"name": name, "type": kind, "buildName": f"{job} #{number}", "buildUrl": url, **order}


def _environment(summary: Summary) -> Iterator[tuple[str, str]]:
    run = summary.run
    yield "model", str(run.model["id"])
    for name in ("revision", "commit", "weights_sha256"):
        if run.model.get(name):
            yield name, str(run.model[name])
    for name, facts in summary.recipes.items():
        yield f"recipe.{name}", describe_recipe(facts)
    yield "baseline", summary.baseline or "none"
    if run.saved_baseline:
        yield "baseline.saved", str(run.saved_baseline["started_at"])
    yield "engine", run.engine
    yield "sandbox", run.sandbox
    yield "started_at", run.started_at
    for name, value in (*run.host.items(), *run.versions.items()):
        if value:
            yield name, str(value)
    yield "command", run.command


def _escape(value: str) -> str:
    """Escape a value of a properties file: it ends with its line, and a backslash begins an escape."""
    return writable(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

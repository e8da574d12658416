"""What a CI job says of itself in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_COMMITS = (
    *("GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "BITBUCKET_COMMIT", "BUILD_SOURCEVERSION"),
    "GIT_COMMIT",  # Jenkins, whose names could be those of something else
)
_URLS = ("CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL")
_GITHUB_RUN = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")


def read_ci(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `commit` and `url` of the job, as far as they are known; empty outside of CI.

    Read are the variables of GitHub Actions, GitLab CI, Buildkite, CircleCI, Bitbucket, Azure Pipelines and Jenkins.
    """
    commit = next((environment[name] for name in _COMMITS if environment.get(name)), "")
    url = next((environment[name] for name in _URLS if environment.get(name)), "")
    if all(environment.get(name) for name in _GITHUB_RUN):
        server, repository, run = (environment[name] for name in _GITHUB_RUN)
        url = f"{server}/{repository}/actions/runs/{run}"
    is_link = url.startswith(("https://", "http://"))
    return {**({"commit": commit} if commit else {}), **({"url": url} if is_link else {})}


def step_summary(environment: Mapping[str, str]) -> Path | None:
    """Return the file whose Markdown GitHub Actions shows on the page of the job; None elsewhere."""
    name = environment.get("GITHUB_STEP_SUMMARY")
    return Path(name) if name else None

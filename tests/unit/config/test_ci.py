"""What a CI job says of itself."""

from pathlib import Path

import pytest

from pytest_qeval.config.ci import read_ci, step_summary

GITHUB = {
    "GITHUB_SHA": "abc",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "me/it",
    "GITHUB_RUN_ID": "7",
}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, {}),
        (GITHUB, {"commit": "abc", "url": "https://github.com/me/it/actions/runs/7"}),
        ({"CI_COMMIT_SHA": "d", "CI_JOB_URL": "https://x/1"}, {"commit": "d", "url": "https://x/1"}),
        ({"GIT_COMMIT": "e", "BUILD_URL": "http://j/2"}, {"commit": "e", "url": "http://j/2"}),
        ({"GITHUB_SHA": "", "BUILD_URL": "javascript:alert(1)"}, {}),
    ],
    ids=["no CI", "GitHub", "GitLab", "Jenkins", "empty, and no link"],
)
def test_commit_and_url_are_those_of_the_job(environment: dict[str, str], found: dict[str, str]) -> None:
    assert read_ci(environment) == found


def test_the_step_summary_is_a_file_of_the_job() -> None:
    assert step_summary({"GITHUB_STEP_SUMMARY": "/tmp/s"}) == Path("/tmp/s")  # noqa: S108 - nothing is written
    assert step_summary({"GITHUB_STEP_SUMMARY": ""}) is None

"""An exception in a project's implementation of a hook is told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

Configure = Callable[..., pytest.Config]
HOOK = "import pytest\n\ndef pytest_qeval_perturbations():\n    {}\n"
ASKED = ("--qeval-selftest", "--qeval-suite=robustness")


def refusal_of(configure: Configure, *arguments: str) -> str:
    with pytest.raises(pytest.UsageError) as refused:
        configure(*ASKED, *arguments)
    return str(refused.value)


@pytest.mark.parametrize(
    ("line", "exception"),
    [
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("pytest.skip('no data')", "Skipped: no data"),
        ("raise pytest.UsageError('no data')", "UsageError: no data"),
    ],
)
def test_a_conftest_that_fails_is_named(
    configure: Configure, pytester: pytest.Pytester, line: str, exception: str
) -> None:
    """With the line, since there is no traceback."""
    path = pytester.makeconftest(HOOK.format(line))

    assert fnmatchcase(
        refusal_of(configure),
        f"the hook pytest_qeval_perturbations of {path} (line 4) failed ({exception}): it must return a list of *",
    )


def test_of_several_plugins_the_one_that_fails_is_named(configure: Configure, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HOOK.format("return []"))
    pytester.makepyfile(ours=HOOK.format("return [][0]"))
    pytester.syspathinsert()

    assert " of ours (line 4) failed (IndexError: " in refusal_of(configure, "-p", "ours")

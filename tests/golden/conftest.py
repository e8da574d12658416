"""Golden comparisons run on a sample by default, and on everything with `-m golden`."""

from __future__ import annotations

import pytest

from tests.golden.sampling import Key, Sample, Value

_STEP = 8


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Add the whole of each comparison only where `-m` mentions it, so that no other run collects it."""
    if "step" in metafunc.fixturenames:
        steps = [pytest.param(_STEP, id="sample")]
        if "golden" in metafunc.config.getoption("markexpr"):
            steps.append(pytest.param(1, id="all", marks=pytest.mark.golden))
        metafunc.parametrize("step", steps, scope="session")


@pytest.fixture(scope="session")
def sample(step: int) -> Sample[Key, Value]:
    """Return a function that takes every eighth entry of a mapping, or all of them."""
    return lambda entries: dict(list(entries.items())[::step])

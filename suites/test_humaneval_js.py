"""HumanEval in JavaScript: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("humaneval-js")
def test_humaneval_js(qeval: QEval, case: Case) -> None:
    """The model completes the JavaScript function, and its tests pass."""
    qeval(case)

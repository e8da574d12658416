"""Problems of your own: `ours.jsonl` lies beside this file."""

import pytest


@pytest.mark.qeval("ours.jsonl")
def test_ours(qeval, case):
    """The model completes the function, and its tests pass."""
    qeval(case)

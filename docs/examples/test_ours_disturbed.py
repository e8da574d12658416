"""Problems of your own, disturbed: each is asked as it is, too."""

import pytest


@pytest.mark.qeval_robustness("ours.jsonl")
def test_ours_disturbed(qeval, case):
    """The model completes the function, however it is asked."""
    qeval(case)

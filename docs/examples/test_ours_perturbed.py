"""Problems of your own, perturbed: each is asked as it is, too."""

import pytest


@pytest.mark.qeval_robustness("ours.jsonl")
def test_ours_perturbed(qeval, case):
    """The model completes the function, however it is asked."""
    qeval(case)

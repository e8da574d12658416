"""Problems of your own, nominal and perturbed."""

import pytest


@pytest.mark.qeval_robustness("ours.jsonl")
def test_ours_perturbed(qeval, case):
    """Let the model complete the function, and run its test."""
    qeval(case)

"""HumanEval+ and MBPP+."""

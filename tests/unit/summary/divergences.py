"""Small divergence facts."""

from __future__ import annotations

from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence, percentiles


def problem(number: int, *, tokens: int = 10, kl: float = 0.5) -> ProblemDivergence:
    return ProblemDivergence(
        task_id=f"t/{number}",
        tokens=tokens,
        kl=kl,
        reverse_kl=2 * kl,
        same_top1=tokens - 1,
        delta_p=-kl,
        delta_p_squared=kl * kl,
        baseline_log_prob=-1.0,
        candidate_log_prob=-1.0 - kl,
    )


def facts(*problems: ProblemDivergence, incomparable: int = 0) -> DivergenceFacts:
    means = [problem.mean_kl for problem in problems]
    return DivergenceFacts(
        recipe="int8",
        baseline="auto",
        benchmark="micro",
        k=32,
        problems=problems,
        kl_percentiles=percentiles(means),
        delta_p_percentiles=percentiles(-mean for mean in means),
        duration_s=1.5,
        incomparable=incomparable,
    )


def rising(n: int) -> DivergenceFacts:
    """Make problems of which each diverges more than the one before."""
    return facts(*(problem(number, kl=0.1 * (number + 1)) for number in range(n)))

"""pass@k from n samples, of which c passed."""

from __future__ import annotations

from math import comb

KS = (1, 5, 10, 100)
"""The k that are reported, as far as there are samples."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """Estimate the chance that at least one of k samples passes, without bias.

    pass@k = 1 − C(n − c, k) / C(n, k) (Chen et al., 2021, arXiv:2107.03374, equation 1). With exact integers the
    published product form for large n is not needed, and only the last division rounds.

    Args:
        n: Samples drawn, at least k.
        c: Samples that passed, 0 to n.
        k: Samples that a user would look at, at least 1.

    Raises:
        ValueError: If the numbers contradict each other; the estimator is not defined for n < k.
    """
    if not (1 <= k <= n and 0 <= c <= n):
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= c <= n, not n={n}, c={c}, k={k}")
    return (comb(n, k) - comb(n - c, k)) / comb(n, k)

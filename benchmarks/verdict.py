"""How often is the verdict wrong? Chances of intervals and words, for candidates whose true loss is known.

    python benchmarks/verdict.py

Prints Markdown tables. n problems are independent; each flips with the stated chance, and drop is the true loss of pass
rate. What depends on flips only is exact, by adding up all outcomes; the rest is simulated with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multinomial

from pytest_qeval.report.plain import to_plain
from pytest_qeval.stats.paired import paired_mean
from pytest_qeval.stats.power import detectable_drop, problems_needed
from pytest_qeval.stats.score_limits import Limits
from pytest_qeval.stats.sequential import is_look, look_confidence
from pytest_qeval.stats.widened_limits import difference_limits, ratio_limits

Floats = NDArray[np.float64]

SIZES = (164, 500)
DROPS = (0.0, 0.02, 0.05, 0.10)
DISCORDANCES = (0.04, 0.08, 0.12, 0.20)
BASES = (0.45, 0.75)
"""Pass rates of the baseline."""
MARGIN = 0.02
RATIO = 0.95
"""The others' threshold."""
RUNS = 20_000
NEGLIGIBLE = 1e-12
EPSILON = 1e-9
"""A limit that equals the truth covers it, however it was rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is drawn from."""

    n: int
    discordance: float
    drop: float
    base: float = 0.45

    @property
    def chances(self) -> tuple[float, float, float, float]:
        """Chances of one problem: fixed, regressed, both, neither."""
        fixed, regressed = (self.discordance - self.drop) / 2, (self.discordance + self.drop) / 2
        return fixed, regressed, self.base - regressed, 1 - self.base - fixed


def truths(n: int, base: float = 0.45) -> Iterator[Truth]:
    """Return every setting where the drop is no larger than the flips allow."""
    for discordance in DISCORDANCES:
        for drop in DROPS:
            if drop <= discordance:
                yield Truth(n=n, discordance=discordance, drop=drop, base=base)


def outcomes(truth: Truth) -> tuple[Floats, Floats, Floats]:
    """Return all numbers of fixed and regressed problems that are at all likely, and their chances."""
    fixed, regressed, *_ = truth.chances
    most = int(truth.n * truth.discordance + 8 * (truth.n * truth.discordance) ** 0.5 + 8)
    b, c = np.indices((most, most)).reshape(2, -1)
    counts, chances = [b, c, truth.n - b - c], [fixed, regressed, 1 - fixed - regressed]
    chance = np.asarray(multinomial.pmf(np.stack(counts, axis=1), truth.n, chances))
    likely = chance > NEGLIGIBLE
    return b[likely].astype(float), c[likely].astype(float), chance[likely]


def drawn(truth: Truth) -> tuple[Floats, Floats, Floats]:
    """Draw numbers of fixed, regressed and doubly solved problems."""
    counts = np.random.default_rng(0).multinomial(truth.n, truth.chances, size=RUNS).astype(float)
    return counts[:, 0], counts[:, 1], counts[:, 2]


def percent(chance: float) -> str:
    """Say a chance in percent."""
    return f"{100 * chance:.1f} %"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one Markdown table."""
    print(f"\n**{title}**\n")
    for cells in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(map(str, cells))} |")


def intervals_and_words() -> None:
    """Print what the 95 % interval of the difference covers, and what is said of it."""
    rows = []
    for truth in (truth for n in SIZES for truth in truths(n)):
        fixed, regressed, chance = outcomes(truth)
        low, high = difference_limits(fixed, regressed, truth.n, confidence=0.95)
        hardest = float(chance[high < -truth.drop - EPSILON].sum()), float(chance[low > -truth.drop + EPSILON].sum())
        worse, fine = float(chance[high < -MARGIN].sum()), float(chance[low > -MARGIN].sum())
        rows.append(
            [truth.n, percent(truth.discordance), f"{100 * truth.drop:.1f}", percent(1 - sum(hardest))]
            + [percent(share) for share in (*hardest, worse, fine, 1 - worse - fine)]
        )
    head = ["n", "flips", "true drop, pt", "covered", "wrong `worse`", "wrong `not worse`"]
    table(
        "The 95 % interval, wrong words with the margin at the true drop, and words at a margin of 2 points (exact)",
        [*head, "`worse` at 2 pt", "`not worse` at 2 pt", "`unproven` at 2 pt"],
        rows,
    )


def provable() -> None:
    """Print what can be proved of a candidate that lost nothing, and how often that succeeds."""
    rows: list[list[object]] = []
    for n in (89, 164, 257, 500, 974):
        cells = []
        for discordance in DISCORDANCES:
            margin = detectable_drop(n, discordance=discordance)
            fixed, regressed, chance = outcomes(Truth(n=n, discordance=discordance, drop=0.0))
            low, _ = difference_limits(fixed, regressed, n, confidence=0.95)
            cells.append(f"{100 * margin:.1f} pt ({percent(float(chance[low > -margin].sum()))})")
        rows.append([n, *cells])
    flips = [f"{discordance:.0%} flips" for discordance in DISCORDANCES]
    table("The drop that n problems can exclude with a chance of 80 %, and that chance (exact)", ["n", *flips], rows)
    table(
        "Problems needed to exclude a drop with a chance of 80 % (exact)",
        ["margin", *flips],
        [
            [f"{100 * margin:.0f} pt", *(problems_needed(margin, discordance=flips) for flips in DISCORDANCES)]
            for margin in (0.01, 0.02, 0.03, 0.05, 0.10)
        ],
    )


def stopping_early() -> None:
    """Print how a run with looks ends, and how many of its problems it asks."""
    rows = []
    settings = [(0.08, 0.0), (0.08, 0.02), (0.08, 0.05), (0.20, 0.0), (0.20, 0.10), (0.45, 0.45)]
    for n in SIZES:
        for discordance, drop in settings:
            for margin in sorted({MARGIN, drop or MARGIN, 0.10}):
                worse, fine, share = stopped(Truth(n=n, discordance=discordance, drop=drop), margin)
                said = percent(worse), percent(fine), f"{share:.0%}"
                rows.append([n, percent(discordance), f"{100 * drop:.1f}", f"{100 * margin:.1f}", *said])
    table(
        f"Stopping early; where margin and drop are equal, both words are wrong ({RUNS:,} runs each)",
        ["n", "flips", "true drop, pt", "margin, pt", "`worse`", "`not worse`", "problems asked"],
        rows,
    )


def stopped(truth: Truth, margin: float) -> tuple[float, float, float]:
    """Simulate runs that stop once something is proved: shares of `worse` and `not worse`, mean share asked."""
    rng = np.random.default_rng(0)
    fixed, regressed, done = np.zeros(RUNS), np.zeros(RUNS), 0
    going = np.ones(RUNS, bool)
    worse = fine = asked = 0.0
    for look in (done for done in range(1, truth.n + 1) if is_look(done, truth.n)):
        more = rng.multinomial(look - done, truth.chances, size=RUNS)
        fixed, regressed, done = fixed + more[:, 0], regressed + more[:, 1], look
        limits = limits_of_runs(fixed, regressed, look, look_confidence(look, truth.n))
        bad, good = going & (limits.high < -margin), going & (limits.low > -margin)
        worse, fine = worse + bad.mean(), fine + good.mean()
        ended = going & (bad | good | (look == truth.n))
        asked += ended.mean() * look / truth.n
        going &= ~ended
    return float(worse), float(fine), float(asked)


def limits_of_runs(fixed: Floats, regressed: Floats, n: int, confidence: float) -> Limits:
    """Return the limits of every run, computed once for every outcome that occurs."""
    codes, index = np.unique(fixed * (n + 1) + regressed, return_inverse=True)
    limits = difference_limits(codes // (n + 1), codes % (n + 1), n, confidence=confidence)
    return Limits(*(ends[index] for ends in limits))


def rules_of_thumb() -> None:
    """Print a rule that others use beside the interval, both for a relative loss of at most 5 %."""
    rows = []
    for n in SIZES:
        for base in BASES:
            for discordance in DISCORDANCES:
                same, lost = (
                    judged(Truth(n=n, base=base, discordance=discordance, drop=drop)) if drop <= discordance else "––––"
                    for drop in (0.0, 0.1 * base)
                )
                rows.append([n, base, percent(discordance), *same[:2], *lost[2:]])
    table(
        f"`round(candidate / baseline, 2) >= 0.95` beside the interval at the same threshold ({RUNS:,} runs each)",
        ["n", "base", "flips", "nothing lost: ratio FAIL", "`worse`", "10 % lost: ratio PASS", "`not worse`"],
        rows,
    )


def judged(truth: Truth) -> list[str]:
    """Return how often the ratio fails, the interval says worse, the ratio passes, the interval says not worse."""
    fixed, regressed, both = drawn(truth)
    passes = np.round((both + fixed) / (both + regressed), 2) >= RATIO - EPSILON
    low, high = ratio_limits(both, fixed, regressed, truth.n, confidence=0.95)
    shares = ((~passes).mean(), (high < RATIO).mean(), passes.mean(), (low > RATIO).mean())
    return [percent(float(share)) for share in shares]


def relative_drops() -> None:
    """Print what the interval of the relative drop covers."""
    rows = []
    for n in SIZES:
        for base in BASES:
            below, above = [], []
            for truth in truths(n, base):
                fixed, regressed, both = drawn(truth)
                low, high = ratio_limits(both, fixed, regressed, n, confidence=0.95)
                below.append(float((high < 1 - truth.drop / base - EPSILON).mean()))
                above.append(float((low > 1 - truth.drop / base + EPSILON).mean()))
            covered = [1 - sum(missed) for missed in zip(below, above, strict=True)]
            rows.append([n, base, *(f"{percent(min(of))} – {percent(max(of))}" for of in (covered, below, above))])
    table(
        f"The 95 % interval of the relative drop, over all drops and flips above ({RUNS:,} runs each)",
        ["n", "base", "covered", "drop overstated", "drop understated"],
        rows,
    )


def sampled_rates(runs: int = 2000, samples: int = 10) -> None:
    """Print what `paired_mean` covers with several samples per problem, of rates from easy to hopeless."""
    rows = []
    for n in SIZES:
        for loss in (0.0, 0.05, 0.20):
            rng, hits = np.random.default_rng(0), 0
            for _ in range(runs):
                rates = rng.beta(0.4, 0.5, size=n)  # with a mean of 0.4 / 0.9
                before, after = rng.binomial(samples, rates), rng.binomial(samples, rates * (1 - loss))
                found = to_plain(paired_mean((before / samples).tolist(), (after / samples).tolist()))
                hits += found["low"] <= -loss * 0.4 / 0.9 <= found["high"]
            rows.append([n, samples, percent(loss), percent(hits / runs)])
    table(
        f"The 95 % interval with several samples per problem ({runs:,} runs each)",
        ["n", "samples", "relative loss", "covered"],
        rows,
    )


if __name__ == "__main__":
    intervals_and_words()
    provable()
    stopping_early()
    rules_of_thumb()
    relative_drops()
    sampled_rates()

"""The verdict on each candidate in plain English: may it be shipped, what is lost, what is saved, how sure is that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.errors import counted
from pytest_qeval.report.changes import Change, changes_of
from pytest_qeval.report.cost_ratios import CostRatio, amount, cost_ratios
from pytest_qeval.report.text import change, percent, shorten
from pytest_qeval.schema import Estimate, Undefined
from pytest_qeval.stats.power import problems_needed
from pytest_qeval.summary.results import GateResult, Summary

Status = Literal["pass", "fail", "none", "interrupted"]
_EXACT = re.compile(r"\b(model[_ ]bytes|disk|regressed)\b")
"""Metrics that are counted, so that no interval is needed."""
_SAME = 0.03
"""Times and energies that differ by less count as equal; up to 3 % may be noise."""

_TOO_WIDE = 0.1
"""An interval that reaches further down than ten points says next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateVerdict:
    """What a reader wants to know of one candidate, a sentence or two each."""

    recipe: str
    status: Status
    """Of its gates; none where there are none, interrupted where they were not judged."""
    headline: str
    """One sentence that begins with the verdict."""
    may_ship: str
    lost: str
    flips: int
    """Problems whose outcome is another one than the baseline's."""
    saves: str
    sure: str


def verdicts(summary: Summary, gates: Sequence[GateResult]) -> tuple[CandidateVerdict, ...]:
    """Return the verdicts in the order of the candidates."""
    return tuple(_verdict(summary, gates, name) for name in summary.candidates)


def _verdict(summary: Summary, gates: Sequence[GateResult], recipe: str) -> CandidateVerdict:
    own = [gate for gate in gates if gate.recipe == recipe]
    status: Status = "none" if not own else "fail" if any(gate.outcome == "fail" for gate in own) else "pass"
    if summary.interrupted:
        status = "interrupted"
    changes = changes_of(summary, recipe)
    main = changes[0] if changes else None
    costs = cost_ratios(summary, recipe)
    tail = "; ".join(part for part in (*_headline(summary, recipe, main), *_short_costs(costs)) if part)
    return CandidateVerdict(
        recipe=recipe,
        status=status,
        headline=f"{recipe}: {'interrupted' if summary.interrupted else _word(own)}, {tail}.",
        may_ship=_may_ship(summary, own, main, recipe),
        lost=_lost(changes),
        flips=len(main.regressed) + len(main.fixed) if main else 0,
        saves=_saves(costs),
        sure=_sure(main),
    )


def _word(gates: Sequence[GateResult]) -> str:
    """Return the verdict, with the gates that are broken."""
    broken = list(dict.fromkeys(gate.expression for gate in gates if gate.outcome == "fail"))
    if broken:
        more = f" and {len(broken) - 2} more" if len(broken) > 2 else ""  # noqa: PLR2004 - those that are named
        return f"FAIL ({'; '.join(broken[:2])}{more})"
    return "PASS" if gates else "no gate"


def _headline(summary: Summary, recipe: str, main: Change | None) -> Iterator[str]:
    if recipe not in summary.recipes:
        yield "it was never loaded, so nothing is known of it"
    elif main is None:
        yield _alone(summary, recipe)
    elif isinstance(main.delta, Undefined):
        yield f"nothing was compared: {main.delta.reason}"
    else:
        yield _rates(main, main.delta)
        yield _limit(main, main.delta)


def _alone(summary: Summary, recipe: str) -> str:
    """Say what a recipe solves that has no baseline beside it."""
    own = [one for one in summary.results if one.recipe == recipe]
    solved = f"solves {len(own[0].solved)} of {counted(own[0].received, 'problem')}, " if len(own) == 1 else ""
    return f"{solved}compared with no baseline"


def _rates(main: Change, delta: Estimate) -> str:
    """Say what both score: counts of one benchmark with a sample a problem, shares of anything else."""
    rates = [one for one in (main.own, main.base) if isinstance(one, Estimate) and one.n == delta.n]
    solved = [one.value * one.n for one in rates]
    if main.measure == "pass@1" and not main.is_pool and len(solved) == 2 and all(map(_is_whole, solved)):  # noqa: PLR2004 - both
        return f"solves {solved[0]:.0f} of {counted(delta.n, 'problem')} against the baseline’s {solved[1]:.0f}"
    own, base = (percent(one.value) if isinstance(one, Estimate) else "–" for one in (main.own, main.base))
    if len({one.n for one in (main.own, main.base) if isinstance(one, Estimate)}) > 1:
        return f"{main.measure} changes by {change(delta)} over the {counted(delta.n, 'problem')} that both have"
    return f"{main.measure} {own} against the baseline’s {base} over {counted(delta.n, 'problem')}"


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-6  # noqa: PLR2004 - what rounding leaves


def _limit(main: Change, delta: Estimate) -> str:
    """Say how large a loss the interval leaves possible."""
    if delta.low is None:
        return "" if main.early else "no interval"
    if main.evidence == "worse" and delta.high is not None:
        return f"it loses at least {-100 * delta.high:.1f} points"
    if delta.low >= 0:
        return "any loss is ruled out"
    if main.evidence == "not worse":
        return f"losses above {-100 * delta.low:.1f} points are ruled out"
    if delta.high is not None and delta.high < 0:
        return f"a loss of {-100 * delta.high:.1f} to {-100 * delta.low:.1f} points is likely"
    few = "too few problems to tell, " if -delta.low > _TOO_WIDE else ""
    return f"{few}a loss of up to {-100 * delta.low:.1f} points is possible"


def _short_costs(costs: Sequence[CostRatio]) -> Iterator[str]:
    for one in costs:
        if one.ratio is None or one.kind == "simulated" or one.contended:
            continue
        if one.unit == "B" and one.kind == "exact":
            yield f"weights {_smaller(one.ratio)}{' if packed' if one.packed else ''}"
        elif one.unit in {"ms", "tokens/s"}:
            yield f"{_faster(one)} ({'one request' if one.unit == 'ms' else 'in a batch'})"


def _smaller(ratio: float) -> str:
    if abs(1 - ratio) < 0.005:  # noqa: PLR2004 - would be shown as 0 %
        return "as large"
    return f"{abs(1 - ratio):.0%} {'smaller' if ratio < 1 else 'larger'}"


def _faster(one: CostRatio) -> str:
    speed_up = one.speed_up or 1.0
    if abs(speed_up - 1) < _SAME:
        return "as fast"
    return f"{speed_up:.2g}× faster" if speed_up > 1 else f"{1 / speed_up:.2g}× slower"


def _may_ship(summary: Summary, gates: Sequence[GateResult], main: Change | None, recipe: str) -> str:
    broken = [gate for gate in gates if gate.outcome == "fail"]
    if broken:
        named = "; ".join(f"{gate.expression}: {gate.reason}" for gate in broken[:2])
        more = f"; and {len(broken) - 2} more" if len(broken) > 2 else ""  # noqa: PLR2004 - those that are named
        return f"No: it breaks {len(broken)} of {counted(len(gates), 'gate')}. {named}{more}."
    doubts = [one.text for one in summary.comparability if one.level == "inconclusive"]
    if doubts:
        return f"This run does not say: {doubts[0]}."
    if recipe not in summary.recipes:
        return "This run does not say: it was never loaded."
    if summary.missing:
        return (
            f"Not yet: {counted(summary.missing, 'case')} of the run {'is' if summary.missing == 1 else 'are'} missing."
        )
    every = "every gate holds" if gates else "no gate was judged" if summary.interrupted else "no gate was set"
    if main is None or isinstance(main.delta, Undefined):
        return f"This run compares it with no baseline; {every}."
    return _by_evidence(main, every, bool(gates))


def _by_evidence(main: Change, every: str, gated: bool) -> str:  # noqa: FBT001 - whether there are gates
    loss = f"a loss of more than {100 * main.margin:g} points"
    if main.early:
        return f"{'Yes, by the gates' if gated else 'Not decided'}: {every}."
    if main.evidence == "not worse":
        return f"Yes: {loss} is ruled out; {every}."
    but = "but" if gated else "and"
    if main.evidence == "worse":
        return f"{'The gates allow it' if gated else 'Rather not'}: {every}, {but} {loss} is proven."
    return f"{'Yes, by the gates' if gated else 'Not decided'}: {every}, {but} {loss} is not ruled out."


def _lost(changes: Sequence[Change]) -> str:
    counted_ones = [one for one in changes if one.measure == "pass@1"]
    if not counted_ones:
        return "Nothing was compared problem by problem."
    main = counted_ones[0]
    if isinstance(main.delta, Undefined):
        return f"Nobody knows: {main.delta.reason}."
    if not main.regressed and not main.fixed:
        return "No problem: it solves the same ones as the baseline."
    lost = f"It lost {counted(len(main.regressed), 'problem')} that the baseline solved"
    named = f" ({shorten(main.regressed)})" if main.regressed else ""
    return f"{lost}{named}, and won {len(main.fixed)}."


def _saves(costs: Sequence[CostRatio]) -> str:
    """Say what is better, then what is worse, and what is not known."""
    known = [one for one in costs if one.ratio is not None and one.kind != "simulated"]
    better = [one for one in known if (one.speed_up or 1) > 1 + _SAME]
    worse = [one for one in known if (one.speed_up or 1) < 1 - _SAME]
    same = [one for one in known if one.speed_up is not None and one not in better and one not in worse]
    parts = [
        *([f"Better: {_list(better)}."] if better else ["Nothing that was measured."] if known else []),
        *([f"Worse: {_list(worse)}."] if worse else []),
        *([f"Nearly the same: {'; '.join(map(_both, same))}."] if same else []),
        *_unknown(costs),
    ]
    return " ".join(parts) or "No cost was measured beside the baseline’s."


def _unknown(costs: Sequence[CostRatio]) -> Iterator[str]:
    if any(one.kind == "simulated" for one in costs):
        yield "Speed and energy are not known, since it is only simulated here."
    elif missing := [one.name for one in costs if one.ratio is None]:
        yield f"Not known of both it and the baseline: {', '.join(missing)}."


def _list(costs: Sequence[CostRatio]) -> str:
    return "; ".join(_both(one, f" {compared(one)}") for one in costs)


def _both(one: CostRatio, said: str = "") -> str:
    amounts = f"{amount(one.candidate, one.unit)} instead of {amount(one.baseline, one.unit)}"
    return f"{one.name}{said} ({amounts}, {one.provenance})"


def compared(one: CostRatio) -> str:
    """Say how much less or more it is, such as `66% less`; from twice on as a multiple."""
    ratio, less, more, much = one.ratio or 0, "less", "more", "much"
    if one.higher_is_better:
        less, more, much = "lower", "higher", "high"
    if ratio >= 2:  # noqa: PLR2004 - from here on a share is hard to read
        return f"{ratio:.2g}× as {much}"
    return f"{1 - ratio:.0%} {less}" if ratio < 1 else f"{ratio - 1:.0%} {more}"


def _sure(main: Change | None) -> str:
    if main is None or isinstance(main.delta, Undefined):
        return "There is nothing to be sure of."
    delta = main.delta
    if delta.low is None:
        return (
            f"The run was stopped early over {counted(delta.n, 'problem')}: the gates decide, and no interval is valid."
        )
    text = f"The change is {change(delta)}, a 95 % interval over {counted(delta.n, 'problem')}"
    if main.evidence != "unproven":
        verb = "proves" if main.evidence == "worse" else "rules out"
        return f"{text}. That {verb} a loss of more than {100 * main.margin:g} points."
    flips = max(len(main.regressed) + len(main.fixed), 1) / delta.n if main.measure == "pass@1" else None
    is_likely = delta.high is not None and delta.high < 0
    may_hold = flips and main.margin > 0 and delta.value > -main.margin and not is_likely
    needed = problems_needed(main.margin, discordance=min(flips or 0.0, 1.0)) if may_hold else None
    more = ""
    if needed and needed > delta.n:
        more = f"; about {_round(needed):,} would rule it out in 80 % of runs, if nothing is really lost"
    some = "A loss is likely. " if is_likely else ""
    many = counted(delta.n, "problem")
    are = "is" if delta.n == 1 else "are"
    return f"{text}. {some}{many} {are} too few to tell whether a loss is more than {100 * main.margin:g} points{more}."


def evidence_of(gate: GateResult) -> str:
    """Return what is known of a gate beyond the observed value: nothing is unproven of an exact number."""
    is_counted = bool(_EXACT.search(gate.expression)) and isinstance(gate.observed, Estimate)
    return "exact" if is_counted and gate.evidence == "unproven" else gate.evidence


def _round(count: int) -> int:
    """Round to two significant digits: the share of flips is an estimate."""
    return round(count, -max(0, len(str(count)) - 2))

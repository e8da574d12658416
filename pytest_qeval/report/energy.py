"""Energy and emissions of recipes: rows of the cost table with their notes, and the report's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_qeval.facts import EnergyFacts
from pytest_qeval.report.plain import to_plain, without
from pytest_qeval.schema import Json
from pytest_qeval.summary.costs import Efficiency

_WORDS = {
    "measured": "counter: measured",
    "estimated": "estimated, not measured",
    "declared": "yours: --qeval-power-watts, not measured",
}
_J_PER_WH = 3600.0


def energy_dict(costs: Efficiency) -> Json:
    """Return the report's form, for one recipe."""
    blocks = {name: without(one, "workload") for name, one in costs.block_energies.items()}
    energy = to_plain(costs.energy)
    undefined = energy.pop("undefined")
    del energy["stretches"]
    if undefined:
        return {"undefined": undefined, "blocks": blocks}
    per_solved = costs.rates.j_per_solved
    return {**energy, **to_plain(costs.rates), "wh_per_solved": per_solved and per_solved / _J_PER_WH, "blocks": blocks}


def energy_notes(all_costs: Sequence[Efficiency]) -> Iterator[str]:
    """Yield where the numbers come from, once for recipes that share it."""
    energies = [costs.energy for costs in all_costs if costs.new_tokens and not costs.drafted]
    notes: dict[str, None] = {}
    for energy in energies:
        notes.update(dict.fromkeys(_notes(energy)))
    yield from notes
    if any(costs.rates.embodied_g is not None for costs in all_costs):
        yield "emissions per solved problem are ((E × I) + M) / solved, with your --qeval-embodied as M"
    elif any(energy.emissions_g is not None for energy in energies):
        yield "emissions are those of the electricity; the machine's own are not known (--qeval-embodied)"


def _notes(energy: EnergyFacts) -> Iterator[str]:
    if energy.undefined:
        yield f"energy: {energy.undefined}"
        return
    yield f"energy {_WORDS[str(energy.provenance)]}: {energy.method}"
    if energy.not_measured:
        yield f"energy is not measured: {energy.not_measured}"
    if energy.settings:
        yield f"energy is decided by codecarbon's settings {', '.join(energy.settings)}"
    if energy.idle_w is not None:
        how = "measured before loading" if energy.provenance == "measured" else "by the same model"
        yield f"idle power {energy.idle_w:.3g} W, {how}"


def _above(c: Efficiency) -> str | None:
    whole, above = c.energy.energy_wh, c.energy.above_idle_wh
    if whole is None:
        return None
    return f"{whole:.3g}" if above is None else f"{whole:.3g}, {above:.3g} above idle"


def _of_blocks(costs: Efficiency, *names: str) -> str | None:
    """Render energy per token of workloads, with the coefficient of variation."""
    found = [costs.block_energies.get(name) for name in names]
    if not any(found):
        return None
    return " / ".join(f"{one.j_per_token.value:.3g} ±{one.cv:.0%}" if one else "–" for one in found)


def _pair(first: float | None, second: float | None) -> str | None:
    found = [f"{value:.3g}" for value in (first, second) if value is not None]
    return " / ".join(found) if len(found) == 2 else None  # noqa: PLR2004 - a pair


ENERGY_ROWS: Sequence[tuple[str, Callable[[Efficiency], str | None]]] = (
    ("energy of generating, Wh", _above),
    ("energy per output token, J", lambda c: _number(c.rates.j_per_output_token)),
    (
        "by engine time: J per token read / written",
        lambda c: _pair(c.rates.prefill_j_per_token, c.rates.decode_j_per_token),
    ),
    ("in blocks: J per token read, prompt 128 / 512", lambda c: _of_blocks(c, "prefill-128", "prefill-512")),
    ("in blocks: J per token written, batch 1 / 8 / 32", lambda c: _of_blocks(c, "decode-1", "decode-8", "decode-32")),
    ("energy per problem / solved problem, J", lambda c: _pair(c.rates.j_per_problem, c.rates.j_per_solved)),
    ("emissions of generating, gCO2e", lambda c: _number(c.energy.emissions_g)),
    ("emissions per solved problem, gCO2e", lambda c: _number(c.rates.sci_g_per_solved)),
)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"

"""Energy by what it was used for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.summary.energy import EnergyRates, energy_rates
from tests.unit.summary.builders import generation, record, scored

ENERGY = EnergyFacts(energy_wh=1.0, emissions_g=0.6, duration_s=3600.0, provenance="measured")
RECORDS = [record("int8", number, letter) for number, letter in enumerate("++-+")]


def part() -> GenerationFacts:
    return replace(
        generation("int8", tokens=200, busy_s=10.0, energy_wh=1.0), prompt_tokens=900, prefill_s=2.0, decode_s=6.0
    )


def test_energy_is_divided_by_what_was_done() -> None:
    """A watt-hour is 3600 J; reading and writing share it by engine time."""
    found = energy_rates(ENERGY, RECORDS, [part()], told={})

    assert found == EnergyRates(
        j_per_problem=900.0,
        j_per_solved=1200.0,
        j_per_output_token=18.0,
        prefill_j_per_token=1.0,
        decode_j_per_token=13.5,
    )


def test_both_parts_of_the_split_are_the_whole() -> None:
    found = energy_rates(ENERGY, RECORDS, [part(), part()], told={})

    assert found.prefill_j_per_token is not None
    assert found.decode_j_per_token is not None
    assert 1800 * found.prefill_j_per_token + 400 * found.decode_j_per_token == pytest.approx(3600)


def test_older_files_have_no_split() -> None:
    old = replace(part(), prefill_s=0.0, decode_s=0.0)
    found = energy_rates(ENERGY, RECORDS, [old], told={})

    assert (found.prefill_j_per_token, found.decode_j_per_token, found.j_per_problem) == (None, None, 900.0)


def test_embodied_emissions_are_a_share_by_time() -> None:
    """((E × I) + M) per R: an hour of a machine of 8.766 kg over a year is a gram; three problems are solved."""
    told = {"embodied": {"grams": 8766.0, "lifetime_s": 8766 * 3600.0}}
    found = energy_rates(ENERGY, RECORDS, [part()], told=told)

    assert (found.embodied_g, found.sci_g_per_solved) == pytest.approx((1.0, 1.6 / 3))
    unknown_grid = energy_rates(replace(ENERGY, emissions_g=None), RECORDS, [part()], told=told)
    assert (unknown_grid.embodied_g, unknown_grid.sci_g_per_solved) == (1.0, None)


def test_what_is_not_known_divides_nothing() -> None:
    """No energy, no solved problem, or completions that are scored."""
    unsolved = energy_rates(ENERGY, [record("int8", 0, "-")], [part()], told={})

    assert energy_rates(EnergyFacts(undefined="why"), RECORDS, [part()], told={}) == EnergyRates()
    assert (unsolved.j_per_problem, unsolved.j_per_solved) == (3600.0, None)
    assert energy_rates(ENERGY, [*RECORDS, scored("int8", 9, 0.5)], [part()], told={}).j_per_solved is None

"""Energy by what it was used for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.measure.timing_facts import WORKLOADS, BlockEnergyFacts
from pytest_qeval.summary.energy import BlockEnergy, EnergyRates, block_energy, energy_rates
from tests.unit.measure.timings import timing
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


def blocks(*watt_hours: float | None, workload: str = "decode-8", busy: tuple[int, ...] = ()) -> BlockEnergy | None:
    """Conclude from blocks of three steps each."""
    energies = tuple(EnergyFacts(energy_wh=wh, above_idle_wh=wh and wh / 2, provenance="measured") for wh in watt_hours)
    facts = BlockEnergyFacts(recipe="int8", workload=WORKLOADS[workload], energies=energies)
    return block_energy(facts, timing("int8", [0.1] * len(energies), workload=workload, busy=busy))


def test_blocks_give_a_mean_its_interval_and_the_variation() -> None:
    """Three steps of eight rows are 24 tokens; t of two degrees is 4.30."""
    found = blocks(9 / 3600 * 24, 10 / 3600 * 24, 11 / 3600 * 24)

    assert found is not None
    assert found.cv == pytest.approx(0.1)
    assert found.j_per_token.value == pytest.approx(10)
    assert found.j_per_token.low == pytest.approx(10 - 4.3027 / 3**0.5, rel=1e-4)
    assert found.j_per_token.n == 3
    assert found.above_idle_j_per_token == pytest.approx(5)


def test_a_prefill_is_divided_by_the_tokens_that_it_reads() -> None:
    found = blocks(*[3 * 512 / 3600] * 3, workload="prefill-512")

    assert found is not None
    assert (found.j_per_token.value, found.cv) == pytest.approx((1.0, 0.0))


def test_disturbed_blocks_are_left_out_while_three_others_are_there() -> None:
    quiet, noisy = blocks(1.0, 1.0, 9.0, 1.0, busy=(2,)), blocks(1.0, 9.0, 1.0, busy=(1,))

    assert quiet is not None
    assert noisy is not None
    assert quiet.cv == pytest.approx(0)
    assert quiet.j_per_token.n == 3
    assert noisy.cv > 1


@pytest.mark.parametrize("found", [blocks(1.0, 1.0), blocks(1.0, 0.0, 1.0), blocks(1.0, None, 1.0)])
def test_too_few_blocks_and_counters_that_stand_still_say_nothing(found: BlockEnergy | None) -> None:
    assert found is None

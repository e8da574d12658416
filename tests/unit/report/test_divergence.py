"""The report's section and the terminal's lines on divergence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from pytest_qeval.report.divergence import divergence_dict, divergence_lines
from pytest_qeval.report.text import Line
from pytest_qeval.summary.divergence import summarize_divergence, with_floors
from tests.unit.summary.divergences import facts, problem, rising


def texts(lines: Iterable[Line]) -> list[str]:
    return [line.text for line in lines]


def test_the_report_holds_plain_values() -> None:
    row = divergence_dict(summarize_divergence(rising(10), {"t/8"}))
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert set(row["kl"]) == {"value", "low", "high", "n", "method", "confidence"}
    assert row["problems"]["t/0"] == {
        "tokens": 10,
        "kl": 0.1,
        "reverse_kl": 0.2,
        "same_top1": 9,
        "delta_p": -0.1,
        "delta_p_squared": pytest.approx(0.01),
        "baseline_log_prob": -1.0,
        "candidate_log_prob": -1.1,
    }
    assert (row["baseline"], row["benchmark"], row["k"], row["tokens"]) == ("auto", "micro", 32, 100)
    assert row["worst"] == ["t/9", "t/8", "t/7", "t/6", "t/5"]
    assert (row["flips"]["flipped"], row["kl_percentiles"]["max"]) == (1, 0.1)


def test_the_terminal_shows_means_percentiles_and_extremes() -> None:
    shown = texts(divergence_lines(summarize_divergence(rising(10), {"t/8", "t/9"})))
    assert len(shown) == 8
    assert shown[0] == "divergence of int8 from auto: 100 tokens of 10 micro solutions"
    assert [line.split("  ")[1] for line in shown[1:4]] == ["KL, nats per token", "same top-1", "mean Δp"]
    assert "0.055" in shown[1]
    assert "90.00%" in shown[2]
    assert "−5.500%" in shown[3]
    assert shown[4].startswith("  KL of tokens: p50 0.055 · p90 0.091 · p99 0.099 · p99.9 0.1 · max 0.1")
    bound = "both KL are lower bounds: tokens beyond the 32 likeliest count as one"
    assert shown[5] == f"  {bound}, by which the reverse one may lose half"
    assert shown[6] == "  largest KL: t/9 (0.1), t/8 (0.09), t/7 (0.08), t/6 (0.07), t/5 (0.06)"
    assert shown[7].startswith("  KL and flips: Spearman +0.70 (p = 0.025), AUC 1.00; 2 of 10 problems flipped")


def test_the_divergence_of_the_control_stands_beside_every_kl() -> None:
    """As a floor; of the control itself there is none."""
    again = replace(facts(*(replace(problem(n, kl=0.0), reverse_kl=0.0) for n in range(4))), recipe="control")
    found = with_floors(
        {"int8": summarize_divergence(rising(10), None), "control": summarize_divergence(again, None)}, "control"
    )

    line = "  KL of auto from itself, in the control: 0 [0, 0]"
    assert [line in texts(divergence_lines(found[name])) for name in found] == [True, False]
    assert divergence_dict(found["int8"])["floor"]["value"] == 0
    assert divergence_dict(found["control"])["floor"] is None
    assert with_floors(found, None) == found


def test_the_terminal_shows_what_was_left_out() -> None:
    shown = texts(divergence_lines(summarize_divergence(facts(incomparable=3), None)))
    assert shown == [
        "divergence of int8 from auto: 0 tokens of 0 micro solutions",
        "  3 left out: tokenized differently than for the baseline, or too long for the context",
    ]


def test_the_terminal_shows_why_nothing_is_predicted() -> None:
    shown = texts(divergence_lines(summarize_divergence(facts(problem(0, kl=0.0)), None)))
    assert shown[-2:] == ["  largest KL: none, nothing diverges", "  KL and flips: nothing was generated"]


def test_without_texts_the_report_has_no_problems() -> None:
    assert divergence_dict(summarize_divergence(facts(), set()))["problems"] == {}


def test_the_terminal_shows_what_a_server_has_not_listed() -> None:
    """It limits what can be said; of a model in this process there is no such line."""
    served = replace(rising(10), listed=20, unlisted_share=0.0123)
    summary = summarize_divergence(served, None)

    (line,) = (one for one in texts(divergence_lines(summary)) if "the engine lists" in one)
    assert line.startswith("  the engine lists 20 tokens at a time: 1.23% of the baseline's probability is on others")
    assert not any("the engine lists" in one for one in texts(divergence_lines(summarize_divergence(rising(10), None))))
    assert (divergence_dict(summary)["listed"], divergence_dict(summary)["unlisted_share"]) == (20, 0.0123)

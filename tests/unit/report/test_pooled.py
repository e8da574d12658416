"""The pool of all benchmarks in the terminal and in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema

from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.pooled import pooled_dict, pooled_lines
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import session, several_benchmarks

TWO = several_benchmarks(a=("++++", "+++-"), b=("+" * 16, "+" * 16))


def test_the_change_stands_over_its_parts() -> None:
    shown = [line.text for line in pooled_lines(summarize(TWO))]

    assert shown[1].startswith("all benchmarks, int8 against auto: −5.0 pt [")
    assert shown[1].endswith("sign-flip p = 1; unproven at a margin of 2 pt")
    assert shown[2] == "  pass@1: auto 100.0%, int8 95.0%"
    assert [line.split()[:5] for line in shown[3:]] == [
        ["benchmark", "problems", "weight", "auto", "solved"],
        ["a", "4", "20.0%", "4", "−25.0"],
        ["b", "16", "80.0%", "16", "+0.0"],
    ]


def test_problems_that_count_elsewhere_are_named() -> None:
    facts = {**TWO.benchmarks["b"], "covers": ("a",), "clusters": {"b/0": "a/0", "b/1": "a/1"}}
    found = summarize(replace(TWO, benchmarks={**TWO.benchmarks, "b": facts}))

    assert [line.text for line in pooled_lines(found)][-1] == "  a: 2 more count as problems of b"


def test_one_benchmark_is_no_pool() -> None:
    assert list(pooled_lines(summarize(session("++", "++")))) == []


def test_pairs_that_are_missing_are_explained() -> None:
    shown = [line.text for line in pooled_lines(summarize(several_benchmarks(a=("+ ", " +"), b=(" ", "+"))))]

    assert shown[1] == "all benchmarks, int8 against auto: no problem was evaluated under both recipes"


def test_the_report_has_the_rows_of_a_forest_plot() -> None:
    """And fits its schema, which counts clusters instead of listing them."""
    facts = {**TWO.benchmarks["b"], "covers": ("a",), "clusters": {"b/0": "x", "b/1": "x"}, "scored": False}
    summary = summarize(replace(TWO, benchmarks={**TWO.benchmarks, "b": facts}))
    report = json.loads(json.dumps(report_dict(summary, ()), allow_nan=False))

    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert [row["benchmark"] for row in pooled_dict(summary)["int8"]["strata"]] == ["a", "b"]
    assert (report["benchmarks"]["a"]["clusters"], report["benchmarks"]["b"]["clusters"]) == (None, 15)
    assert "covers" not in report["benchmarks"]["b"]


def test_clusters_of_one_are_no_clusters() -> None:
    """As those of HumanEval+, which only name the problem that is extended."""
    facts = {**TWO.benchmarks["b"], "clusters": {f"b/{n}": f"base/{n}" for n in range(16)}}
    report = report_dict(summarize(replace(TWO, benchmarks={**TWO.benchmarks, "b": facts})), ())

    assert report["benchmarks"]["b"]["clusters"] is None

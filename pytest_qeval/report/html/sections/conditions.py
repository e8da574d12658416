"""Under which conditions the run was made, and what limits its comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_qeval.errors import counted
from pytest_qeval.facts import RecipeFacts
from pytest_qeval.report.cost_ratios import amount
from pytest_qeval.report.html.blocks import Block, Facts, Fold, Section, Text, cell, listing, name, table
from pytest_qeval.report.text import describe_recipe
from pytest_qeval.report.visible import one_line
from pytest_qeval.summary.comparability import Remark
from pytest_qeval.summary.results import Summary

_LEAD = "What the numbers depend on. Another machine, other versions or another prompt may give other ones."


def conditions_section(summary: Summary) -> Section:
    """Return the section."""
    remarks = [_remark(one) for one in summary.comparability]
    no_remark = _no_remark(summary)
    blocks: list[Block | Fold] = [*(remarks or [no_remark])]
    blocks.append(Facts(rows=tuple((key, one_line(value)) for key, value in _facts(summary))))
    blocks.append(_recipes(summary))
    if summary.benchmarks:
        blocks.append(_benchmarks(summary))
    versions = Facts(rows=tuple((package, one_line(version)) for package, version in summary.run.versions.items()))
    blocks.append(Fold(title="Versions", blocks=(versions,)))
    return Section(name="conditions", title="Run conditions", lead=_LEAD, blocks=tuple(blocks))


def _no_remark(summary: Summary) -> Text:
    if not summary.baseline or summary.missing or summary.interrupted or summary.decided:
        return Text(text="Nothing else was found that limits the comparison.", tone="mute")
    return Text(text="All recipes had the same problems, prompts, limits and conditions.", tone="good")


def reproduce_section(summary: Summary) -> Section:
    """Return how to make the run again, and its reports."""
    return Section(
        name="reproduce",
        title="How to reproduce",
        lead="The run needs the model, the data and pytest-qeval in the versions above.",
        blocks=(
            listing("The run", summary.run.command),
            listing("Its reports again, where FOLDER is the folder of this page", "pytest --qeval-render FOLDER"),
        ),
    )


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    run = summary.run
    yield "Model", _model(run.model)
    if run.baseline_model:
        yield "Baseline’s model", _model(run.baseline_model)
    yield "Started", f"{run.started_at}" + (f", took {summary.duration_s:.0f} s" if summary.duration_s else "")
    for part in run.resumed:
        yield "Resumed", f"{part['at']} with {counted(part['records'], 'record')}, after {part['earlier_s']:.0f} s"
    missing = f", {summary.missing} missing" if summary.missing else ""
    yield "Cases", f"{summary.received} of {counted(summary.planned, 'case')} finished{missing}"
    if origin := run.saved_baseline:
        yield "Saved baseline", f"of {origin.get('started_at')}, read from {origin.get('path')}"
    yield "Generation", _generation(run.generation)
    limits = f" ({run.sandbox_limits})" if run.sandbox_limits else ""
    yield "Engine", f"{run.engine}, sandbox {run.sandbox}{limits}"
    yield "Machine", _machine(run.host)
    if commit := run.ci.get("commit"):
        yield "Commit", commit
    if url := run.ci.get("url"):
        yield "CI job", url
    yield "Run", run.id


def _remark(one: Remark) -> Text:
    return Text(text=f"{one.level}: {one.text}.", tone="bad" if one.level == "inconclusive" else "warn")


def _generation(generation: Mapping[str, Any]) -> str:
    temperature = generation.get("temperature")
    decoding = f"temperature {temperature:g}" if temperature else "greedy"
    limit, style = generation.get("max_new_tokens"), generation.get("prompt_style")
    return f"{decoding}, {generation.get('n_samples', 1)} a problem, at most {limit} tokens, prompt style {style}"


def _machine(host: Mapping[str, Any]) -> str:
    parts = (
        host.get("system"),
        host.get("cpu"),
        f"{host.get('cores')} cores",
        f"{amount(host.get('ram_bytes'), 'B')} RAM",
    )
    return ", ".join(map(str, parts))


def _model(model: Mapping[str, Any]) -> str:
    parts = [str(model.get("id")), *(f"{key} {model[key]}" for key in ("commit", "revision") if model.get(key))]
    if weights := model.get("weights_sha256"):
        parts.append(f"weights sha256 {str(weights)[:12]}…")
    return ", ".join(parts)


def _recipes(summary: Summary) -> Block:
    head = ("Recipe", "Role", "What it is", "Device", "Quantized layers", "Batch")
    return table("Recipes", head, [_recipe(one) for one in summary.recipes.values()], numeric=(4, 5))


def _recipe(facts: RecipeFacts) -> tuple[Any, ...]:
    layers = facts.quantized_layers
    share = f" ({facts.quantized_share:.0%} of parameters)" if facts.quantized_share else ""
    return (
        name(facts.name),
        cell(facts.role),
        cell(f"{describe_recipe(facts)}: {facts.summary}"),
        cell(facts.device or "–"),
        cell(f"{layers}{share}" if layers else "–", layers),
        cell(str(facts.batch_size or "–"), facts.batch_size),
    )


def _benchmarks(summary: Summary) -> Block:
    rows = [
        (
            name(benchmark),
            cell(str(facts.get("version", "–"))),
            cell(str(facts.get("problems", "–")), facts.get("problems")),
            cell(str(len(facts.get("excluded", {}))), len(facts.get("excluded", {}))),
            name(str(facts.get("sha256", ""))[:16]),
        )
        for benchmark, facts in summary.benchmarks.items()
    ]
    return table("Benchmarks", ("Benchmark", "Version", "Problems", "Left out", "sha256"), rows, numeric=(2, 3))

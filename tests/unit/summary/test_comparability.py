"""What limits a comparison is said before its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_qeval.facts import RecipeFacts, RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import SANDBOX_GAPS
from pytest_qeval.summary.comparability import OLD_DAYS, Remark, find_remarks
from pytest_qeval.summary.summarize import summarize
from tests.unit.summary.builders import BASELINE, HEADER, INT8, session

MODEL = {"id": "org/model", "source": "hub", "commit": "c0ffee", "weights_sha256": None}
RUN = replace(HEADER, model=MODEL, versions={"python": "3.11", "pytest-qeval": "0.2", "torch": "2.13", "pytest": "9"})
ORIGIN: Json = {
    "path": "b.json.gz",
    "started_at": RUN.started_at,
    "host": RUN.host,
    "accepted_differences": [],
    "model": MODEL,
    "versions": RUN.versions,
}


def remarks(run: RunHeader = RUN, *recipes: RecipeFacts, baseline: str | None = "auto") -> tuple[Remark, ...]:
    loaded = {facts.name: facts for facts in (BASELINE, INT8, *recipes)}
    return find_remarks(run, loaded, baseline=baseline)


def of_saved(**changes: Any) -> tuple[Remark, ...]:
    """Return the remarks on a saved baseline whose origin differs in these fields."""
    return remarks(replace(RUN, saved_baseline={**ORIGIN, **changes}))


def note(text: str) -> tuple[Remark, ...]:
    return (Remark(level="note", text=text),)


def inconclusive(text: str) -> tuple[Remark, ...]:
    return (Remark(level="inconclusive", text=text),)


def quantized(how: str) -> tuple[Remark, ...]:
    return inconclusive(
        f"the baseline auto is itself quantized ({how}): a drop relative to it says little about the original model"
    )


def test_an_ordinary_comparison_has_no_remark() -> None:
    """Nor has one with a saved baseline of the same model, machine and day."""
    assert remarks() == ()
    assert of_saved() == ()


@pytest.mark.parametrize(
    ("model", "facts", "how"),
    [
        ({}, {"quantized_layers": 49, "scheme": "gptq, 4 bits"}, "gptq, 4 bits"),
        ({}, {"quantized_layers": 49}, "49 layers"),
        ({}, {"cache": {"bits": 8}}, "key/value cache of 8 bits"),
        ({"quantization": "gguf Q4_K"}, {}, "gguf Q4_K"),
        ({"id": "org/Coder-7B-AWQ"}, {}, "AWQ, as its name says: Coder-7B-AWQ"),
        ({"id": "./int8/coder-w4a16-g128"}, {}, "w4a16, as its name says: coder-w4a16-g128"),
        ({"id": "coder.Q8_0.gguf"}, {}, "Q8_0, as its name says: coder.Q8_0.gguf"),
        ({"made_from": "org/coder-bnb-4bit"}, {}, "bnb, as its config says: coder-bnb-4bit"),
    ],
)
def test_a_quantized_baseline_is_inconclusive(model: Json, facts: dict[str, Any], how: str) -> None:
    """By what was loaded, by the checkpoint's config, or by a name."""
    assert remarks(replace(RUN, model={**MODEL, **model}), replace(BASELINE, **facts)) == quantized(how)


@pytest.mark.parametrize(
    "name", ["org/Coder-8B-Instruct", "/models/int8/coder", "gemma-3-4b-it", "coder-f16.gguf", "squad", "print8"]
)
def test_other_names_say_nothing(name: str) -> None:
    """Not the folder that a model lies in either."""
    assert remarks(replace(RUN, model={**MODEL, "id": name})) == ()


def test_the_baselines_own_model_counts() -> None:
    """Where it is another one than the candidate's: the candidate may be quantized."""
    candidate = {**MODEL, "id": "org/model-GPTQ", "quantization": "gptq"}
    other = note(
        "the baseline is org/model and the candidate org/model-GPTQ: if one was not made from just these weights of "
        "the other, differences have other causes than quantization, too"
    )

    assert remarks(replace(RUN, model=candidate, baseline_model=MODEL)) == other
    assert remarks(replace(RUN, model=candidate, saved_baseline=ORIGIN)) == other


def test_a_quantized_candidate_without_a_baseline_has_no_remark() -> None:
    assert remarks(replace(RUN, model={**MODEL, "quantization": "gptq"}), baseline=None) == ()


def test_the_same_weights_in_another_folder_are_the_same_model() -> None:
    """Known weights make the name irrelevant."""
    here, there = ({"id": name, "source": "directory", "weights_sha256": "00"} for name in ("a", "b"))

    assert remarks(replace(RUN, model=here, saved_baseline={**ORIGIN, "model": there})) == ()


def test_of_replays_no_model_is_known() -> None:
    here, there = ({"id": name, "source": "samples"} for name in ("a.jsonl", "b.jsonl"))

    assert remarks(replace(RUN, model=here, saved_baseline={**ORIGIN, "model": there})) == ()


def test_another_commit_is_inconclusive() -> None:
    """Said once, though the model's id may differ as well."""
    commit, name = "model.commit: b here, a there", "model.id: org/b here, org/a there"
    other = {**MODEL, "id": "org/a"}

    assert of_saved(accepted_differences=[name, commit], model=other) == inconclusive(
        f"the baseline auto is of other weights than the candidate ({name}; {commit})"
    )


def test_other_conditions_are_inconclusive() -> None:
    found = ["generation.max_new_tokens: 25 here, 24 there", "benchmarks.micro: 0 here, 1 there"]

    assert of_saved(accepted_differences=found) == inconclusive(
        f"the baseline auto was made under other conditions ({found[0]}; {found[1]}), which may be what changed the "
        "outcomes"
    )


def test_what_changes_the_last_bits_is_a_note() -> None:
    found = ["device: cpu (avx2) here, cpu (amx_bf16) there", "batch.size: 8 here, 4 there"]

    assert of_saved(accepted_differences=found) == note(
        f"some flips may be numerical: the baseline differs in {found[0]}; {found[1]}"
    )


def test_another_machine_is_a_note() -> None:
    assert of_saved(host={**RUN.host, "cpu": "other"}) == note(
        "the baseline was run on another machine (Linux, other; here Linux, some): scores may differ by rounding, and "
        "its costs are not compared"
    )
    assert of_saved(host={**RUN.host, "cores": 64}) == note(
        "the baseline was run with other cores or memory: its costs are not compared"
    )


def test_other_versions_are_a_note() -> None:
    """Those that matter; as accepted differences they are not said a second time."""
    versions = {"python": "3.11", "pytest-qeval": "0.2", "torch": "2.12", "torchao": "0.9", "pytest": "8"}
    accepted = ["versions.torch: 2.13 here, 2.12 there"]

    assert of_saved(versions=versions, accepted_differences=accepted) == note(
        "the baseline auto was made with other versions: torch 2.12 (here 2.13), torchao 0.9 (here none)"
    )


@pytest.mark.parametrize(
    ("started_at", "age"),
    [
        ("2025-12-31T10:15:01+00:00", None),
        ("2025-12-31T10:15:00+00:00", 31),
        ("2025-01-31T12:15:00+02:00", 365),
        ("2026-03-31T10:15:00+00:00", None),
        ("2025-01-31T10:15:00", None),
        ("long ago", None),
        (None, None),
    ],
)
def test_an_old_baseline_is_a_note(started_at: str | None, age: int | None) -> None:
    """After 30 days; a date that cannot be read has no age."""
    text = f"the baseline auto is {age} days old, of {started_at}"

    assert OLD_DAYS == 30
    assert of_saved(started_at=started_at) == (() if age is None else note(text))


def test_batch_dependent_decoding_is_a_note() -> None:
    """Recipes with the same reason are named together, with or without a baseline."""
    base, own = (replace(facts, batch_dependence="kernels of cuda") for facts in (BASELINE, INT8))
    text = "may depend on batch and threads (kernels of cuda): some flips may be numerical"

    assert remarks(RUN, base, own) == note(f"completions of auto, int8 {text}")
    assert remarks(RUN, own, baseline=None) == note(f"completions of int8 {text}")


def test_a_guessed_prompt_style_is_a_note() -> None:
    assert remarks(replace(RUN, prompt_doubt="its name says nothing")) == note(
        "the prompt style completion is a guess: its name says nothing"
    )


def test_what_is_inconclusive_comes_first() -> None:
    run = replace(RUN, prompt_doubt="perhaps", saved_baseline={**ORIGIN, "accepted_differences": ["engine: a, b"]})
    levels = [one.level for one in remarks(run, replace(INT8, batch_dependence="kernels"))]

    assert levels == ["inconclusive", "note", "note"]


def test_a_baseline_that_was_never_loaded_is_judged_by_its_model() -> None:
    run = replace(RUN, model={**MODEL, "quantization": "awq"})

    assert find_remarks(run, {}, baseline="auto") == quantized("awq")


@pytest.mark.parametrize("part", ORIGIN)
def test_a_report_of_an_older_version_has_fewer_parts(part: str) -> None:
    """What is not known is no difference."""
    older = {name: value for name, value in ORIGIN.items() if name != part}

    assert remarks(replace(RUN, saved_baseline=older)) == ()


def test_the_summary_has_the_remarks() -> None:
    found = replace(session("+", "+"), run=replace(HEADER, prompt_doubt="perhaps"))

    assert summarize(found).comparability == note("the prompt style completion is a guess: perhaps")


@pytest.mark.parametrize("sandbox", ["landlock", "process"])
def test_a_sandbox_without_namespaces_is_a_note(sandbox: str) -> None:
    text = f"the sandbox {sandbox} is not the strongest: {SANDBOX_GAPS[sandbox]}"

    assert remarks(replace(RUN, sandbox=sandbox)) == note(text)

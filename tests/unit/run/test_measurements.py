"""Engines are opened by the recipe's name, and what they measure is posted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.benchmarks.custom import make_benchmark
from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import BlockSensitivity, RecipeFacts, SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.records.messages import BaselineScores, Message
from pytest_qeval.run.context import RunContext
from pytest_qeval.settings import CONTROL, ExecutionSettings, ModelSettings
from pytest_qeval.verdict.baseline.reuse import SavedBaseline
from tests.sandboxes import strongest_isolation
from tests.unit.measure.timings import QuietWatch
from tests.unit.verdict.baseline.baselines import SAVED, SCORES

ROWS = [
    {
        "task_id": f"micro/{number}",
        "prompt": "def f(n):\n",
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
        "canonical_solution": "    return n\n",
    }
    for number in range(2)
]


class FakeEngine:
    """A loaded model that has the scores of the saved baseline."""

    def __init__(self) -> None:
        self.closed, self.scored = False, 0

    def facts(self) -> dict[str, Any]:
        return {"device": "cpu", "execution": "native"}

    def prepare(self, workload: Workload) -> Callable[[], tuple[float, ...]]:
        return lambda: (0.1,) if workload.kind == "prefill" else (0.02, 0.03)

    def score(self, solutions: Sequence[tuple[str, str, str]], *, against: Scores | None = None) -> Scores:
        assert [task_id for task_id, _, _ in solutions] == ["micro/0", "micro/1"]
        self.scored += 1
        return against or SCORES.scores

    def close(self) -> None:
        self.closed = True


class FakeSource:
    """Opens fakes, and remembers what it was given."""

    name, summary, in_process = "fake", "a fake", True

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []
        self.opened: list[tuple[str, str, Path | None]] = []

    def open(self, source: ModelSource, recipe: Any, *, export: Path | None, **_: Any) -> FakeEngine:
        self.opened.append((source.name, recipe.name, export))
        self.engines.append(FakeEngine())
        return self.engines[-1]

    def sensitivity(self, _source: Any, recipe: Any, solutions: Sequence[Any], **_: Any) -> SensitivityFacts:
        block = BlockSensitivity(name="b0", layers=7, kl=0.1, same_top1=0.9)
        return SensitivityFacts(recipe=recipe.name, texts=len(solutions), tokens=9, duration_s=1.0, blocks=(block,))


def context_of(source: FakeSource, saved: SavedBaseline | None = None, **fields: Any) -> RunContext:
    """Put a run together whose engines are fakes and whose benchmark has two problems."""
    found: Any = source
    names = ("original", "auto", "int8")
    resolved = ResolvedModel(
        engine=found,
        source=ModelSource(kind="directory", name="small"),
        original=ModelSource(kind="directory", name="large"),
    )
    defaults: dict[str, Any] = {"candidates": ("int8",), "baseline": "auto", "resolved": resolved}
    settings = RunSettings(
        execution=ExecutionSettings(isolation=strongest_isolation()),
        model=ModelSettings(name="small"),
        recipes={name: find_recipe(name) for name in names},
        **{**defaults, **fields},
    )
    context = RunContext(settings, saved=saved)
    context.benchmarks.adopt(make_benchmark("mine", ROWS), origin="here")
    context.drain()
    return context


def posted(context: RunContext, kind: type[Message]) -> list[Any]:
    return [message for message in context.drain() if isinstance(message, kind)]


def test_loading_a_recipe_posts_its_facts() -> None:
    """With its role; an engine that is a model is returned as it is."""
    source = FakeSource()
    context = context_of(source)

    engine: Any = context.open("int8").model_engine()

    assert engine is source.engines[0]
    (facts,) = posted(context, RecipeFacts)
    assert (facts.name, facts.role, facts.device, facts.scheme) == ("int8", "candidate", "cpu", "W8A8")


@pytest.mark.parametrize(
    ("name", "role", "model"),
    [("auto", "baseline", "small"), (CONTROL, "control", "small"), ("int8", "candidate", "small")],
)
def test_the_control_is_the_baseline_again(name: str, role: str, model: str) -> None:
    source = FakeSource()
    context = context_of(source, control=True)
    context.open(name).load()

    (facts,) = posted(context, RecipeFacts)
    assert (facts.name, facts.role) == (name, role)
    assert source.opened == [(model, "auto" if name == CONTROL else name, None)]


def test_the_original_is_another_model() -> None:
    source = FakeSource()
    context_of(source, baseline="original").open("original").load()

    assert source.opened == [("large", "original", None)]


def test_candidates_that_quantize_are_exported(tmp_path: Path) -> None:
    """Not the baseline."""
    source = FakeSource()
    context = context_of(source, export=tmp_path)
    for name in ("auto", "int8"):
        context.open(name).load()

    assert [export for _, _, export in source.opened] == [None, tmp_path / "int8"]


def test_another_batch_than_the_saved_baselines_is_refused() -> None:
    """Where its completions depend on it. The model is closed again, and nothing is posted."""
    source = FakeSource()
    baseline = replace(SAVED, key={**SAVED.key, "batch.size": 64})
    saved = SavedBaseline(baseline=baseline, path=Path("base.json.gz"), named=True)
    context = context_of(source, saved)

    with pytest.raises(UsageError, match=r"base\.json\.gz was decoded 64 rows at a time"):
        context.open("int8").load()
    assert source.engines[0].closed
    assert context.drain() == []


def test_a_replay_loads_no_model(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    samples.write_text('{"task_id": "micro/0", "completion": "x"}\n', encoding="utf-8")
    settings = RunSettings(
        execution=ExecutionSettings(isolation=strongest_isolation()),
        model=ModelSettings(name="samples.jsonl"),
        candidates=("replay",),
        baseline=None,
        completions=samples,
        samples=read_samples(samples).completions,
    )
    context = RunContext(settings)
    context.open("replay").load()

    (facts,) = posted(context, RecipeFacts)
    assert (facts.execution, facts.summary) == ("replay", "completions from a samples file")


def test_a_stream_is_measured_and_posted() -> None:
    context = context_of(FakeSource())
    engine: Any = FakeEngine()

    context.measurements.watch = QuietWatch()
    facts = context.measurements.stream("int8", lambda: engine)

    assert posted(context, StreamFacts) == [facts]
    assert (facts.recipe, facts.decode_s[:2], set(facts.prefill_s)) == ("int8", (0.02, 0.03), {0.1})
    assert len(facts.prefill_s) >= 3
    assert facts.contended == ""


@pytest.mark.parametrize(("busy", "contended"), [((True, False), False), ((True, True, False), True)])
def test_a_disturbed_stream_is_measured_once_more(busy: tuple[bool, ...], *, contended: bool) -> None:
    context = context_of(FakeSource())
    context.measurements.watch = QuietWatch(busy)
    engine: Any = FakeEngine()

    facts = context.measurements.stream("int8", lambda: engine)

    assert facts.contended == ("other processes took 50% of the machine" if contended else "")


@pytest.mark.parametrize(("limit", "texts"), [(None, 2), (1, 1)])
def test_sensitivity_takes_the_first_solutions(limit: int | None, texts: int) -> None:
    context = context_of(FakeSource(), limit=limit)

    facts = context.measurements.sensitivity("int8", "mine")

    assert (facts.recipe, facts.texts) == ("int8", texts)
    assert posted(context, SensitivityFacts) == [facts]


def test_a_candidate_diverges_from_the_baseline() -> None:
    """The baseline is scored once, in its own run, and its scores are posted for later runs."""
    context = context_of(FakeSource())
    auto, int8 = (FakeEngine() for _ in range(2))
    loaded: Any = {"auto": auto, "int8": int8}

    assert context.measurements.divergence("auto", "mine", lambda: loaded["auto"]) is None
    facts = context.measurements.divergence("int8", "mine", lambda: loaded["int8"])

    assert facts is not None
    assert (facts.recipe, facts.baseline, facts.benchmark) == ("int8", "auto", "mine")
    assert (auto.scored, int8.scored) == (1, 1)
    messages = context.drain()
    assert [type(message) for message in messages] == [BaselineScores, DivergenceFacts]


def test_a_baseline_that_is_not_loaded_is_loaded_for_its_scores() -> None:
    """And closed again, before the candidate goes on."""
    source = FakeSource()
    context = context_of(source)
    engine: Any = FakeEngine()

    assert context.measurements.divergence("int8", "mine", lambda: engine) is not None
    assert source.opened == [("small", "auto", None)]
    assert source.engines[0].closed


def test_the_control_is_compared_with_the_baseline() -> None:
    """It is what the arithmetic alone does; a baseline that repeats itself has none."""
    context = context_of(FakeSource(), control=True)
    auto, again = (FakeEngine() for _ in range(2))
    loaded: Any = {"auto": auto, CONTROL: again}

    assert context.measurements.divergence("auto", "mine", lambda: loaded["auto"]) is None
    facts = context.measurements.divergence(CONTROL, "mine", lambda: loaded[CONTROL])

    assert facts is not None
    assert (facts.recipe, facts.baseline, again.scored) == (CONTROL, "auto", 1)
    assert [problem.kl for problem in facts.problems] == [0.0] * len(facts.problems)


def test_there_may_be_nothing_to_compare() -> None:
    """Without a baseline only the first candidate is scored."""
    context = context_of(FakeSource(), baseline=None)
    engine: Any = FakeEngine()

    assert context.measurements.divergence("int8", "mine", lambda: engine) is None
    assert engine.scored == 1


def test_a_saved_baselines_scores_are_taken() -> None:
    """If they cover every problem; a named file without them is refused."""
    scores = replace(SCORES, benchmark="mine")
    baseline = replace(SAVED, messages=(scores,))
    saved = SavedBaseline(baseline=baseline, path=Path("base.json.gz"), named=True)
    context = context_of(FakeSource(), saved, baseline_file=Path("base.json.gz"))
    engine: Any = FakeEngine()

    assert context.measurements.divergence("int8", "mine", lambda: engine) is not None
    lacking = SavedBaseline(baseline=replace(SAVED, messages=()), path=Path("base.json.gz"), named=True)
    without = context_of(FakeSource(), lacking, baseline_file=Path("base.json.gz"))
    with pytest.raises(UsageError, match=r"base\.json\.gz holds no log-probabilities on mine"):
        without.measurements.divergence("int8", "mine", lambda: engine)


def test_completions_are_no_solutions_of_a_baseline() -> None:
    """What both models read is the user's; the scores are not kept for later runs, which read solutions."""
    context = context_of(FakeSource(), divergence_texts={"micro/0": "    return 0\n", "micro/1": "    return n\n"})
    engine: Any = FakeEngine()

    assert context.measurements.divergence("auto", "mine", lambda: engine) is None
    facts = context.measurements.divergence("int8", "mine", lambda: engine)
    assert facts is not None
    assert facts.texts == "completions"
    assert posted(context, BaselineScores) == []


def test_a_named_baseline_has_no_scores_on_completions() -> None:
    saved = SavedBaseline(baseline=SAVED, path=Path("base.json.gz"), named=True)
    texts = {"micro/0": "    return 0\n"}
    context = context_of(FakeSource(), saved, baseline_file=Path("base.json.gz"), divergence_texts=texts)
    engine: Any = FakeEngine()

    with pytest.raises(UsageError, match=r"base\.json\.gz holds log-probabilities on canonical solutions only"):
        context.measurements.divergence("int8", "mine", lambda: engine)

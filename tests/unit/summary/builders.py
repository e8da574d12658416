"""Small sessions, written as one letter a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from pytest_qeval.facts import EnergyFacts, GenerationFacts, RecipeFacts, RunHeader
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.memory_facts import (
    DecodingShape,
    MemoryFacts,
    MemoryPrediction,
    PartBytes,
    PhaseMemory,
)
from pytest_qeval.schema import Case, Completion, Execution, Quantity, Record, Sample, Undefined
from pytest_qeval.summary.divergence import DivergenceSummary, FlipPrediction
from pytest_qeval.summary.summarize import SummaryInput

HEADER = RunHeader(
    id="run",
    started_at="2026-01-31T10:15:00+00:00",
    command="pytest",
    model={"id": "tiny", "source": "directory"},
    engine="transformers",
    generation={
        "n_samples": 1,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_new_tokens": 512,
        "seed": 0,
        "prompt_style": "completion",
    },
    versions={"python": "3.11", "pytest-qeval": "0.1.0"},
    host={"system": "Linux", "cpu": "some", "cores": 2, "ram_bytes": 1},
    sandbox="bwrap",
)
BASELINE = RecipeFacts(
    name="auto", role="baseline", summary="as it is", execution="full precision", dtype="float32", model_bytes=4000
)
INT8 = RecipeFacts(
    name="int8", role="candidate", summary="int8", scheme="W8A8", execution="native", dtype="float32", model_bytes=1500
)


def case(number: int) -> Case:
    return Case(benchmark="micro", task_id=f"micro/{number}")


def record(recipe: str, number: int, outcomes: str) -> Record:
    """Make a record; `outcomes` has one letter a sample: + passed, - failed, t timeout, ? unsupported."""
    statuses: Mapping[str, Execution] = {
        "+": Execution(status="passed", duration_s=0.01),
        "-": Execution(status="failed", duration_s=0.01, detail="assert 1 == 2"),
        "?": Execution(status="unsupported", duration_s=0.01, detail="the test compares"),
        "t": Execution(status="timeout", duration_s=5.0, detail="5 s"),
    }
    completion = Completion(text="pass", n_tokens=11, finish_reason="stop", ttft_s=0.1, duration_s=0.6)
    return Record(
        recipe=recipe,
        case=case(number),
        samples=tuple(
            Sample(completion=completion, program_sha256="0" * 64, execution=statuses[letter]) for letter in outcomes
        ),
    )


def generation(recipe: str, *, tokens: int, busy_s: float, energy_wh: float | None) -> GenerationFacts:
    energy = (
        EnergyFacts(undefined="no meter")
        if energy_wh is None
        else EnergyFacts(energy_wh=energy_wh, emissions_g=energy_wh / 2, provenance="estimated", method="a model")
    )
    return GenerationFacts(
        recipe=recipe,
        worker="main",
        busy_s=busy_s,
        new_tokens=tokens,
        prompt_tokens=10,
        peak_memory_bytes=5000,
        energy=energy,
    )


def session(baseline: str, candidate: str, *, planned: int | None = None) -> SummaryInput:
    """Make a session from two strings of outcomes, one letter a problem; a blank is a lost case."""
    n = planned or len(baseline)
    outcomes = {"auto": baseline, "int8": candidate}
    return SummaryInput(
        run=HEADER,
        duration_s=12.5,
        planned=[(recipe, case(number)) for recipe in outcomes for number in range(n)],
        records=[
            record(recipe, number, letter)
            for recipe, letters in outcomes.items()
            for number, letter in enumerate(letters)
            if letter != " "
        ],
        candidates=("int8",),
        baseline="auto",
        recipes={"auto": BASELINE, "int8": INT8},
        generation=[
            generation("auto", tokens=100, busy_s=2.0, energy_wh=0.4),
            generation("int8", tokens=100, busy_s=1.0, energy_wh=0.1),
        ],
        benchmarks={"micro": {"version": "1", "sha256": "0" * 64, "problems": n}},
    )


def several_benchmarks(**outcomes: tuple[str, str]) -> SummaryInput:
    """Make a session from two strings of outcomes for each benchmark, the baseline's and the candidate's."""
    material = session("", "")
    rows = [
        (recipe, Case(benchmark=name, task_id=f"{name}/{n}"), letter)
        for name, pair in outcomes.items()
        for recipe, letters in zip(("auto", "int8"), pair, strict=True)
        for n, letter in enumerate(letters)
    ]
    return replace(
        material,
        planned=[(recipe, case) for recipe, case, _ in rows],
        records=[replace(record(recipe, 0, letter), case=case) for recipe, case, letter in rows if letter != " "],
        benchmarks={
            name: {"version": "1", "sha256": "0" * 64, "problems": len(pair[0])} for name, pair in outcomes.items()
        },
    )


def scored(recipe: str, number: int, *scores: float, text: str = "Do it.") -> Record:
    """Make a record of a case whose samples have these scores, BLEU and chrF alike."""
    completion = Completion(text=text, n_tokens=5, finish_reason="stop")
    digest = sha256(text.encode()).hexdigest()
    sample = Sample(completion=completion, program_sha256=digest, execution=Execution(status="scored", duration_s=0.0))
    return Record(
        recipe=recipe,
        case=Case(benchmark="text", task_id=f"text/{number}"),
        samples=(sample,) * len(scores),
        measurements={"bleu": sum(scores) / len(scores), "chrf": sum(scores) / len(scores)},
    )


def scored_session(baseline: Sequence[float], candidate: Sequence[float | None]) -> SummaryInput:
    """Make a session from two lists of scores, one a problem; None is a lost case."""
    values = {"auto": baseline, "int8": candidate}
    material = session("", "")
    return replace(
        material,
        planned=[(name, Case(benchmark="text", task_id=f"text/{n}")) for name in values for n in range(len(baseline))],
        records=[scored(name, n, x) for name, row in values.items() for n, x in enumerate(row) if x is not None],
        benchmarks={"text": {"version": "1", "sha256": "0" * 64, "problems": len(baseline), "scored": True}},
    )


SCORES_BASE = [0.5, 0.25, 1.0, 0.0, 0.75, 0.5]
SCORES_OWN = [0.5, 0.125, 0.75, 0.0, 1.0, 0.25]


def session_of_both_kinds() -> SummaryInput:
    """Make a session with a benchmark that is executed and one that is scored."""
    code, text = session("+++-", "++--"), scored_session(SCORES_BASE, SCORES_OWN)
    return replace(
        code,
        planned=[*code.planned, *text.planned],
        records=[*code.records, *text.records],
        benchmarks={**code.benchmarks, **text.benchmarks},
    )


def simulating(material: SummaryInput, recipe: str) -> SummaryInput:
    """Make a recipe of a session simulated: rounded, but computed in float."""
    facts = replace(material.recipes[recipe], execution="simulated")
    return replace(material, recipes={**material.recipes, recipe: facts})


def prediction(recipe: str = "int8", *, peak_bytes: int = 2_000_000_000) -> MemoryPrediction:
    """Return a prediction with this peak, while decoding."""
    return MemoryPrediction(
        recipe=recipe,
        parts=PartBytes(quantized=400, scales=10, embeddings=500, others=5),
        resident_bytes=915,
        cache_token_bytes=12,
        runtime_bytes=100,
        shape=DecodingShape(batch_size=4, context_tokens=512),
        cache_bytes=24576,
        working_bytes=50,
        loading_bytes=peak_bytes // 2,
        decoding_bytes=peak_bytes,
        longest_context=4096,
        widest_batch={"1024": 9},
        notes=("a note",),
    )


def memory(recipe: str = "int8", *, peak_bytes: int = 1_800_000_000, simulated: bool = False) -> MemoryFacts:
    """Return the memory of a fresh process with this peak, while quantizing."""
    phase = PhaseMemory(peak_bytes=peak_bytes // 2, private_bytes=600, mapped_bytes=300, shared_bytes=0)
    return MemoryFacts(
        recipe=recipe,
        shape=DecodingShape(batch_size=4, context_tokens=512),
        runtime_bytes=100,
        loading=phase,
        quantizing=replace(phase, peak_bytes=peak_bytes),
        decoding=phase,
        model_bytes=915,
        files_bytes=1800,
        cache_bytes=24576,
        device_peak_bytes=None,
        duration_s=9.5,
        simulated=simulated,
        predicted=prediction(recipe),
    )


def divergence(**means: Quantity) -> DivergenceSummary:
    """Make a divergence summary with only some means defined."""
    unknown = Undefined(reason="not measured")
    facts = DivergenceFacts(
        recipe="int8",
        baseline="auto",
        benchmark="micro",
        k=32,
        problems=(),
        kl_percentiles={},
        delta_p_percentiles={},
        duration_s=1.0,
        incomparable=0,
    )
    names = ("kl", "reverse_kl", "same_top1", "delta_p", "rms_delta_p", "perplexity_ratio")
    return DivergenceSummary(
        facts=facts,
        means={name: means.get(name, unknown) for name in names},
        worst=(),
        prediction=FlipPrediction(spearman=unknown, p=None, auc=unknown, flipped=None),
    )

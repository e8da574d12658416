"""`--qeval-resume`: which run goes on, and what of its settings has to be equal."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError
from pytest_qeval.verdict.reread import plan_gate

if TYPE_CHECKING:
    from pytest_qeval.config.run_settings import RunSettings
    from pytest_qeval.schema import Json
    from pytest_qeval.verdict.gates.grammar import Gate

LATEST = "latest"
"""What the option means without a folder."""


def read_resume(values: Values) -> Path | None:
    """Return the folder of the run that goes on; None where none does, and in workers, which are told.

    Without a folder that is `--qeval-output`, or the latest run below `.qeval`.

    Raises:
        UsageError: when there is no run in it, or another folder is named for the output.
    """
    text = values.text("resume")
    if text is None or values.in_worker:
        return None
    output = values.output("output")
    if text == LATEST:
        folder = output or values.start / ".qeval" / LATEST
    else:
        folder = values.start / values.path(text, "resume")
        if output and output.resolve() != folder.resolve():
            raise UsageError(
                f"--qeval-resume goes on in {folder}, and --qeval-output names {output}: leave one of the two out."
            )
    if not (folder / "records.jsonl").is_file():
        raise UsageError(
            f"--qeval-resume: there is no run in {folder}: leave the option out to begin one, or name the folder of a "
            "run as --qeval-resume=DIR."
        )
    return folder.resolve() if folder.name == LATEST else folder


def _gate_text(gate: Gate) -> str:
    """Return all that a gate is, for people: what it says, and what else is not as usual."""
    fields = asdict(plan_gate(gate))
    more = [
        f"{name} {value}" for name, value in fields.items() if name != "expression" and value not in {None, "", False}
    ]
    return f"{gate.expression} ({', '.join(more)})" if more else gate.expression


def resume_settings(settings: RunSettings) -> Json:
    """Return the settings that have to be equal for a run to be resumed, as a flat mapping of plain values.

    Whatever a baseline's key has is compared by that. Free are those of costs, where files are written, and where data
    lie, which are known by their checksums. What emissions are reckoned with holds for the whole run.
    """
    served = settings.resolved.served if settings.resolved else {}
    digests: Json = {
        **{f"recipe.{name}": recipe for name, recipe in settings.recipes.items()},
        **{f"calibration.{name}": texts.sha256 for name, texts in settings.calibration_texts.items()},
        "completions": None if settings.samples is None else dict(settings.samples),
        "divergence-texts": None if settings.divergence_texts is None else dict(settings.divergence_texts),
    }
    return {
        "recipes": " ".join(settings.candidates),
        "served": "; ".join(f"{name}: {one.name}" for name, one in served.items()),
        "baseline": settings.baseline,
        "baseline-file": str(settings.baseline_file.resolve()) if settings.baseline_file else None,
        "baseline-drafts": settings.baseline_drafts,
        "control": settings.control,
        "calibration": settings.calibration.source,
        "gates": "; ".join(map(_gate_text, settings.gates)),
        "require-proof": settings.require_proof,
        "allow-missing": settings.allow_missing,
        "until-decided": settings.until_decided,
        "strict": settings.strict,
        "suites": " ".join(settings.suites),
        "benchmarks": " ".join(settings.benchmarks),
        "perturbations": " ".join(settings.perturbations),
        "seeds": settings.perturbation_seeds,
        "limit": settings.limit,
        "fim": settings.fim,
        "ram-budget": max((facts.budget_bytes for facts in settings.budgets.values()), default=None),
        "country": settings.energy.country,
        "power-watts": settings.energy.power_w,
        "embodied": str(settings.energy.embodied) if settings.energy.embodied else None,
        **{name: None if value is None else _digest(value) for name, value in digests.items()},
    }


def _digest(value: object) -> str:
    """Return a digest of frozen dataclasses, texts and numbers, whose `repr` shows all there is."""
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()[:12]

"""What a run needs is checked before anything is loaded: no torch here, and no model."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.config.checks import (
    calibrate,
    calibration_warnings,
    check_export,
    check_output,
    check_overlap,
    check_suites,
)
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.settings import CalibrationSettings
from tests.unit.config.builders import settings_of

BENCHMARK = MICRO.load(None)
PROBLEMS = list(BENCHMARK.problems.values())
FUNCTION = (
    'def add_{n}(a, b):\n    """Give the sum of both, and {n} more than that, for no good reason."""\n    return a\n'
)


def warnings_of(settings: RunSettings) -> list[str]:
    return calibration_warnings(calibrate(settings))


def checkpoint(path: Path) -> Path:
    """Write a directory that is a checkpoint as far as its config and header tell."""
    path.mkdir(parents=True)
    config: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return path


def test_another_packages_recipe_is_not_exported(tmp_path: Path) -> None:
    """Named with its package, before anything is loaded."""
    with pytest.raises(UsageError, match=r"study-dynamic is torch's to write\. Leave one of the two out\."):
        check_export(settings_of("demo", "int8", "study-dynamic", export=tmp_path))


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    """No recipe that quantizes, nothing to write."""
    with pytest.raises(UsageError, match="--qeval-export has nothing to write"):
        check_export(settings_of("demo", "bf16", baseline="auto", export=tmp_path))


@pytest.mark.parametrize("recipes", [("int8",), ("bf16", "w8a8-static-mse")], ids=str)
def test_our_own_schemes_are_exported(tmp_path: Path, recipes: Sequence[str]) -> None:
    """One that quantizes is enough; without an export, nobody asks."""
    check_export(settings_of("demo", *recipes, export=tmp_path))
    check_export(settings_of("demo", "study-dynamic"))


def write_texts(path: Path, texts: Sequence[str]) -> CalibrationSettings:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return CalibrationSettings(source=str(path))


@pytest.fixture
def harmless(tmp_path: Path) -> CalibrationSettings:
    """Return four texts that are nobody's problems."""
    return write_texts(tmp_path / "texts.jsonl", [FUNCTION.format(n=n) for n in range(4)])


def calibrated(model: str, *recipes: str, **fields: Any) -> RunSettings:
    return calibrate(settings_of(model, *recipes, **fields))


def problem_text(at: int) -> str:
    return PROBLEMS[at].prompt + PROBLEMS[at].canonical_solution


def test_a_single_text_is_warned_of(harmless: CalibrationSettings) -> None:
    """The run goes on; its numbers are to be taken with care."""
    warnings = warnings_of(settings_of("demo", "w8a8-static-n1", calibration=harmless))
    assert warnings == ["w8a8-static-n1 is calibrated on a single text: its static scales are a guess."]


def test_more_texts_are_not_warned_of(harmless: CalibrationSettings) -> None:
    assert warnings_of(settings_of("demo", "w8a8-static-n2", calibration=harmless)) == []


@pytest.mark.parametrize("recipes", [("auto",), ("study-dynamic",), ("torchao:Int8WeightOnlyConfig",)])
def test_sensitivity_alone_needs_a_scheme_of_this_package(recipes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="add --qeval-recipe int8"):
        check_suites(settings_of("demo", *recipes, suites=("sensitivity",)))
    check_suites(settings_of("demo", *recipes, "int8", suites=("sensitivity",)))
    check_suites(settings_of("demo", *recipes, suites=("micro", "sensitivity")))


def test_a_divergence_is_measured_from_a_baseline_or_for_a_later_run() -> None:
    """Also where another suite that measures nothing stands beside it."""
    with pytest.raises(UsageError, match="compares a recipe with the baseline"):
        check_suites(settings_of("demo", "auto", suites=("divergence", "sensitivity")))
    for fields in ({"baseline": "auto"}, {"baseline_file": Path("b.json.gz")}, {"save_baseline": Path("b.json.gz")}):
        check_suites(settings_of("demo", "int8", suites=("divergence",), **fields))


def test_an_export_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Neither the model under test nor anybody's files are overwritten; an earlier export is."""
    model = checkpoint(tmp_path / "out" / "int8")
    (tmp_path / "out" / "int8" / "tokenizer_config.json").touch()
    for name, sentence in ((model, "would overwrite the model under test"), ("demo", "holds no earlier export")):
        with pytest.raises(UsageError, match=sentence):
            check_export(settings_of(name, "int8", export=tmp_path / "out"))
    (tmp_path / "out" / "int8" / "qeval.json").touch()
    check_export(settings_of("demo", "int8", export=tmp_path / "out"))


def test_a_replay_does_not_overwrite_its_completions(tmp_path: Path) -> None:
    """Another file of the same folder is left alone, whatever it is called."""
    written, foreign = tmp_path / "samples-int8.jsonl", tmp_path / "theirs.jsonl"
    with pytest.raises(UsageError, match=r"could overwrite the completions in .*samples-int8"):
        check_output(settings_of("replay", completions=written, output=tmp_path / "." / ""))
    check_output(settings_of("replay", completions=foreign, output=tmp_path))
    check_output(settings_of("replay", completions=tmp_path / "samples.jsonl.gz", output=tmp_path))
    check_output(settings_of("replay", completions=written, output=tmp_path / "other"))


def test_an_export_needs_a_place_and_something_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be made \(Not a directory\)"):
        check_export(settings_of("demo", "int8", export=tmp_path / "file"))
    with pytest.raises(UsageError, match="nothing to write"):
        check_export(settings_of("demo", "fp32", export=tmp_path / "out"))


@pytest.mark.parametrize("recipe", ["w8a8-static-n5", "int8-static"])
def test_too_few_texts_are_refused(harmless: CalibrationSettings, recipe: str) -> None:
    """With both numbers."""
    with pytest.raises(DataError, match=r"texts\.jsonl has 4 calibration texts, and \d+ were asked for"):
        warnings_of(settings_of("demo", recipe, calibration=harmless))


def test_the_baseline_is_calibrated_too(tmp_path: Path) -> None:
    """A missing file is missed for whoever needs it."""
    calibration = CalibrationSettings(source=str(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="cannot read calibration texts from"):
        warnings_of(settings_of("demo", "int8", baseline="w8a8-static-n2", calibration=calibration))


def test_a_recipe_from_a_file_is_read_there(tmp_path: Path, harmless: CalibrationSettings) -> None:
    """The name alone would be unknown."""
    file = tmp_path / "mine.toml"
    file.write_text('scheme = "w8a8-static"\n[calibration]\nsamples = 1\n', encoding="utf-8")
    (warning,) = warnings_of(settings_of("demo", str(file), calibration=harmless))
    assert warning.startswith("mine is calibrated on a single text")


def test_texts_that_are_problems_are_refused(tmp_path: Path) -> None:
    """Text, source, recipe and problem are named, and both remedies."""
    calibration = write_texts(tmp_path / "texts.jsonl", [FUNCTION.format(n=0), problem_text(3)])
    settings = settings_of("demo", "int8", "w8a8-static-n2", calibration=calibration)
    with pytest.raises(DataError) as refusal:
        check_overlap(calibrate(settings), [BENCHMARK])
    assert str(refusal.value) == (
        f"calibration text 2 of {tmp_path / 'texts.jsonl'} for w8a8-static-n2 overlaps with {PROBLEMS[3].task_id} "
        "(13-grams in common: 100%). Scales fitted to the benchmark flatter the recipe: calibrate on other texts "
        "(--qeval-calibration stdlib), or accept it with --qeval-allow-overlap."
    )


def test_a_solution_is_a_part_of_the_problem(tmp_path: Path) -> None:
    """Texts that begin where the prompt ends overlap too."""
    longest = max(range(len(PROBLEMS)), key=lambda at: len(PROBLEMS[at].canonical_solution))
    texts = [FUNCTION.format(n=0), PROBLEMS[longest].canonical_solution]
    calibration = write_texts(tmp_path / "texts.jsonl", texts)
    with pytest.raises(DataError, match=r"text 2 of .* overlaps with"):
        check_overlap(calibrated("demo", "w8a8-static-n2", calibration=calibration), [BENCHMARK])


def test_texts_that_are_no_problems_are_accepted(harmless: CalibrationSettings) -> None:
    """Whatever benchmark is asked."""
    check_overlap(calibrated("demo", "w8a8-static-n4", calibration=harmless), [BENCHMARK])


def test_an_overlap_can_be_allowed(tmp_path: Path) -> None:
    """By the user, who then knows."""
    calibration = replace(write_texts(tmp_path / "texts.jsonl", [problem_text(3)]), allow_overlap=True)
    check_overlap(calibrated("demo", "w8a8-static-n1", calibration=calibration), [BENCHMARK])


def test_a_replay_calibrates_nothing(tmp_path: Path) -> None:
    replay = settings_of("samples.jsonl", "replay", completions=tmp_path / "samples.jsonl")
    assert calibrate(replay).calibration_texts == {}


def test_only_the_benchmarks_of_the_run_count(tmp_path: Path) -> None:
    """Nothing is compared with what is not asked."""
    calibration = write_texts(tmp_path / "texts.jsonl", [problem_text(3)])
    check_overlap(calibrated("demo", "w8a8-static-n1", calibration=calibration), [])

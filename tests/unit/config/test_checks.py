"""What a run may do to its checkpoint is settled before anything is loaded: no torch here, and no model."""

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
    check_calibration,
    check_export,
    check_overlap,
    check_suites,
    settle_recipes,
)
from pytest_qeval.errors import DataError, ModelSourceError, UsageError
from pytest_qeval.settings import CalibrationSettings, ModelSettings, Settings

BENCHMARK = MICRO.load(None)
PROBLEMS = list(BENCHMARK.problems.values())
FUNCTION = (
    'def add_{n}(a, b):\n    """Give the sum of both, and {n} more than that, for no good reason."""\n    return a\n'
)


def settings_of(model: Path | str = "demo", **fields: Any) -> Settings:
    defaults: dict[str, Any] = {"recipes": ("auto",), "baseline": None, "suites": ("micro",)}
    return Settings(model=ModelSettings(name=str(model)), **{**defaults, **fields})


def checkpoint(path: Path, method: str = "") -> Path:
    """Write a directory that is a checkpoint as far as its config and header tell."""
    path.mkdir(parents=True)
    config: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    if method:
        config["quantization_config"] = {"quant_method": method}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return path


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    """Return a checkpoint that some package has quantized."""
    return checkpoint(tmp_path / "quantized", "gptq")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """Return a file that begins as GGUF does."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


@pytest.mark.parametrize("fields", [{"recipes": ("as-is",)}, {"recipes": ("int8",), "baseline": "as-is"}], ids=str)
def test_floating_point_is_not_quantized_already(fields: Any) -> None:
    """`as-is` is refused, as a candidate and as a baseline, with what to choose instead."""
    with pytest.raises(UsageError) as refusal:
        settle_recipes(settings_of(**fields))
    assert str(refusal.value) == (
        "demo is stored in floating point, and as-is is for checkpoints that are quantized: choose auto."
    )


def test_floating_point_is_left_as_it_was_asked_for(tmp_path: Path) -> None:
    """Whatever the recipes are."""
    settings = settings_of(checkpoint(tmp_path / "plain"), recipes=("int8", "w4a16"), baseline="auto")
    assert settle_recipes(settings) == settings


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "torchao", "compressed-tensors"])
@pytest.mark.parametrize("baseline", [None, "auto"])
def test_a_quantized_checkpoint_is_evaluated_as_it_is(tmp_path: Path, method: str, baseline: str | None) -> None:
    """By default, and without a baseline, which would be the same model."""
    settled = settle_recipes(settings_of(checkpoint(tmp_path / "model", method), baseline=baseline))
    assert (settled.recipes, settled.baseline) == (("as-is",), None)
    assert settled.all_recipes == ("as-is",)


def test_a_quantized_checkpoint_is_as_it_is_when_asked_for(quantized: Path) -> None:
    """Naming the recipe changes nothing."""
    settled = settle_recipes(settings_of(quantized, recipes=("as-is",), baseline="auto"))
    assert (settled.recipes, settled.baseline) == (("as-is",), None)


def test_the_model_it_was_made_from_stays_the_baseline(quantized: Path) -> None:
    """With its own name, which only the recipe `original` loads."""
    settled = settle_recipes(settings_of(quantized, baseline="original", original="demo"))
    assert (settled.recipes, settled.baseline, settled.original) == (("as-is",), "original", "demo")
    assert settled.all_recipes == ("original", "as-is")
    assert settled.model_of("original").name == "demo"
    assert settled.model_of("as-is").name == str(quantized)


@pytest.mark.parametrize(
    ("fields", "recipe"),
    [
        ({"recipes": ("int8",)}, "int8"),
        ({"recipes": ("as-is", "w4a16")}, "w4a16"),
        ({"recipes": ("as-is",), "baseline": "fp32"}, "fp32"),
        ({"recipes": ("int8",), "baseline": "original", "original": "demo"}, "int8"),
    ],
    ids=str,
)
def test_a_quantized_checkpoint_is_not_quantized_once_more(quantized: Path, fields: Any, recipe: str) -> None:
    """Nor loaded in another precision; the sentence names method, recipe and both remedies."""
    with pytest.raises(UsageError) as refusal:
        settle_recipes(settings_of(quantized, **fields))
    assert str(refusal.value) == (
        f"{quantized} is already quantized (gptq) and cannot be given the recipe {recipe}. Leave --qeval-recipe "
        "out to evaluate it as it is, and name the model it was made from by --qeval-baseline to compare."
    )


@pytest.mark.parametrize("recipes", [("int8",), ("as-is", "int8"), ("bf16",)], ids=str)
def test_gguf_can_be_unpacked_and_quantized_again(gguf: Path, recipes: Sequence[str]) -> None:
    """Its blocks become floating point first."""
    settled = settle_recipes(settings_of(gguf, recipes=recipes, baseline="auto"))
    assert (settled.recipes, settled.baseline) == (recipes, "auto")


def test_gguf_is_evaluated_as_it_is_by_default(gguf: Path) -> None:
    """As every quantized checkpoint."""
    settled = settle_recipes(settings_of(gguf, baseline="auto"))
    assert (settled.recipes, settled.baseline) == (("as-is",), None)


def test_a_replay_has_no_checkpoint(tmp_path: Path) -> None:
    """Nothing is looked for."""
    settings = settings_of("answers.jsonl", recipes=("replay",), completions=tmp_path / "answers.jsonl")
    assert settle_recipes(settings) is settings


def test_a_model_that_is_not_there_is_missed(tmp_path: Path) -> None:
    """Here already."""
    with pytest.raises(ModelSourceError, match="there is no model at"):
        settle_recipes(settings_of(tmp_path / "none"))


def test_another_packages_recipe_is_not_exported(tmp_path: Path) -> None:
    """Named with its package, before anything is loaded."""
    with pytest.raises(UsageError, match=r"study-dynamic is torch's to write\. Leave one of the two out\."):
        check_export(settings_of(recipes=("int8", "study-dynamic"), export=tmp_path))


def test_an_export_of_nothing_is_refused(tmp_path: Path) -> None:
    """No recipe that quantizes, nothing to write."""
    with pytest.raises(UsageError, match="--qeval-export has nothing to write"):
        check_export(settings_of(recipes=("bf16",), baseline="auto", export=tmp_path))


@pytest.mark.parametrize("recipes", [("int8",), ("bf16", "w8a8-static-mse")], ids=str)
def test_our_own_schemes_are_exported(tmp_path: Path, recipes: Sequence[str]) -> None:
    """One that quantizes is enough; without an export, nobody asks."""
    check_export(settings_of(recipes=recipes, export=tmp_path))
    check_export(settings_of(recipes=("study-dynamic",)))


def write_texts(path: Path, texts: Sequence[str]) -> CalibrationSettings:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return CalibrationSettings(source=str(path))


@pytest.fixture
def harmless(tmp_path: Path) -> CalibrationSettings:
    """Return four texts that are nobody's problems."""
    return write_texts(tmp_path / "texts.jsonl", [FUNCTION.format(n=n) for n in range(4)])


def problem_text(at: int) -> str:
    return PROBLEMS[at].prompt + PROBLEMS[at].canonical_solution


def test_a_single_text_is_warned_of(harmless: CalibrationSettings) -> None:
    """The run goes on; its numbers are to be taken with care."""
    warnings = check_calibration(settings_of(recipes=("w8a8-static-n1",), calibration=harmless))
    assert warnings == ["w8a8-static-n1 is calibrated on a single text: its static scales are a guess."]


def test_more_texts_are_not_warned_of(harmless: CalibrationSettings) -> None:
    assert check_calibration(settings_of(recipes=("w8a8-static-n2",), calibration=harmless)) == []


def test_texts_for_nothing_are_refused(harmless: CalibrationSettings) -> None:
    """Who names a source expects it to be used."""
    assert check_calibration(settings_of(recipes=("int8",))) == []
    with pytest.raises(UsageError, match="have nothing to calibrate"):
        check_calibration(settings_of(recipes=("int8",), calibration=harmless))


@pytest.mark.parametrize("recipes", [("auto",), ("study-dynamic",), ("torchao:Int8WeightOnlyConfig",)])
def test_sensitivity_alone_needs_a_scheme_of_this_package(recipes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="add --qeval-recipe int8"):
        check_suites(settings_of(recipes=recipes, suites=("sensitivity",)))
    check_suites(settings_of(recipes=(*recipes, "int8"), suites=("sensitivity",)))
    check_suites(settings_of(recipes=recipes, suites=("micro", "sensitivity")))


def test_an_export_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Neither the model under test nor anybody's files are overwritten; an earlier export is."""
    model = checkpoint(tmp_path / "out" / "int8")
    for name, sentence in ((model, "would overwrite the model under test"), ("demo", "holds no earlier export")):
        with pytest.raises(UsageError, match=sentence):
            check_export(settings_of(name, recipes=("int8",), export=tmp_path / "out"))
    (tmp_path / "out" / "int8" / "qeval.json").touch()
    check_export(settings_of(recipes=("int8",), export=tmp_path / "out"))


def test_an_export_needs_a_place_and_something_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be made \(Not a directory\)"):
        check_export(settings_of(recipes=("int8",), export=tmp_path / "file"))
    with pytest.raises(UsageError, match="nothing to write"):
        check_export(settings_of(recipes=("fp32",), export=tmp_path / "out"))


@pytest.mark.parametrize("recipe", ["w8a8-static-n5", "int8-static"])
def test_too_few_texts_are_refused(harmless: CalibrationSettings, recipe: str) -> None:
    """With both numbers."""
    with pytest.raises(DataError, match=r"texts\.jsonl has 4 calibration texts, and \d+ were asked for"):
        check_calibration(settings_of(recipes=(recipe,), calibration=harmless))


def test_the_baseline_is_calibrated_too(tmp_path: Path) -> None:
    """A missing file is missed for whoever needs it."""
    calibration = CalibrationSettings(source=str(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="cannot read calibration texts from"):
        check_calibration(settings_of(recipes=("int8",), baseline="w8a8-static-n2", calibration=calibration))


def test_a_recipe_from_a_file_is_read_there(tmp_path: Path, harmless: CalibrationSettings) -> None:
    """The name alone would be unknown."""
    file = tmp_path / "mine.toml"
    file.write_text('scheme = "w8a8-static"\n[calibration]\nsamples = 1\n', encoding="utf-8")
    settings = settings_of(recipes=("mine",), recipe_files={"mine": str(file)}, calibration=harmless)
    (warning,) = check_calibration(settings)
    assert warning.startswith("mine is calibrated on a single text")


def test_texts_that_are_problems_are_refused(tmp_path: Path) -> None:
    """Text, source, recipe and problem are named, and both remedies."""
    calibration = write_texts(tmp_path / "texts.jsonl", [FUNCTION.format(n=0), problem_text(3)])
    settings = settings_of(recipes=("int8", "w8a8-static-n2"), calibration=calibration)
    with pytest.raises(DataError) as refusal:
        check_overlap(settings, [BENCHMARK])
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
        check_overlap(settings_of(recipes=("w8a8-static-n2",), calibration=calibration), [BENCHMARK])


def test_texts_that_are_no_problems_are_accepted(harmless: CalibrationSettings) -> None:
    """Whatever benchmark is asked."""
    check_overlap(settings_of(recipes=("w8a8-static-n4",), calibration=harmless), [BENCHMARK])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"recipes": ("int8",)}, id="nothing is calibrated"),
        pytest.param({"completions": Path("answers.jsonl")}, id="a replay"),
        pytest.param({"allowed": True}, id="allowed"),
    ],
)
def test_an_overlap_matters_to_what_is_calibrated_and_not_allowed(tmp_path: Path, change: Any) -> None:
    """Otherwise nobody looks."""
    allowed = {**change}.pop("allowed", False)
    calibration = replace(write_texts(tmp_path / "texts.jsonl", [problem_text(3)]), allow_overlap=allowed)
    fields = {"recipes": ("w8a8-static-n1",), **{name: value for name, value in change.items() if name != "allowed"}}
    check_overlap(settings_of(**fields, calibration=calibration), [BENCHMARK])


def test_only_the_benchmarks_of_the_run_count(tmp_path: Path) -> None:
    """Nothing is compared with what is not asked."""
    calibration = write_texts(tmp_path / "texts.jsonl", [problem_text(3)])
    check_overlap(settings_of(recipes=("w8a8-static-n1",), calibration=calibration), [])

"""Recipes from the command line to the report: what is written, refused, calibrated, exported and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.demo import __file__ as demo_package
from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Json

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)

MICRO = ("--qeval-model", "demo", "--qeval-suite", "micro", "--qeval-limit", "2")
ORIGINAL = Path(demo_package).parent / "model"
FILES = {
    "typo.toml": 'schema = "w8a8"\n',
    "invalid.toml": 'scheme = "w8a8\n',
    "int8.toml": 'scheme = "w4a16"\n',
    "mixed.toml": """
scheme = "w8a8"
kept = ["lm_head", "*.6.mlp.*"]

[[layers]]
pattern = "*.down_proj"
scheme = "w4a16-g32"
""",
    "texts.jsonl": '{"text": "def add(a, b):\\n    return a + b\\n"}\n',
}
MISTAKES = {
    "unknown part": (["w8a8-fast"], "*recipe 'w8a8-fast': 'fast' is no part of a recipe*A recipe has*"),
    "misspelt part": (["w8a8-statik"], "*'statik' is no part of a recipe. Did you mean 'static'?*"),
    "one bit": (["w1a16"], "*recipe 'w1a16': weights of 1 bits: 2 to 8 are possible.*"),
    "nine bits": (["w9a16"], "*recipe 'w9a16': weights of 9 bits: 2 to 8 are possible.*"),
    "nine bits in braces": (["w{8,9}a16"], "*recipe 'w9a16': weights of 9 bits: 2 to 8 are possible.*"),
    "unbalanced brace": (["w{8,4a16"], "*'w{8,4a16' has a brace without its partner*write 'w{8,4}a16'.*"),
    "capitals": (["W8A8"], "*recipes are written in lower case: 'w8a8'.*"),
    "misspelt key": (["typo.toml"], "*'typo.toml': the key 'schema' is unknown. Did you mean 'scheme'?*"),
    "no TOML": (["invalid.toml"], "*recipe file 'invalid.toml' is no valid TOML*"),
    "no such file": (["none.toml"], "*recipe file 'none.toml' cannot be opened: No such file or directory.*"),
    "no such texts": (
        ["w8a8-static-n2", "--qeval-calibration", "none.jsonl"],
        "*cannot read calibration texts from none.jsonl*",
    ),
    "too few texts": (
        ["w8a8-static-n2", "--qeval-calibration", "texts.jsonl"],
        "*texts.jsonl has 1 calibration texts, and 2 were asked for: ask for fewer.*",
    ),
    "texts of no kind": (
        ["w8a8-static-n2", "--qeval-calibration", "stdlibb"],
        "*no calibration texts are called 'stdlibb': expected `stdlib`*",
    ),
    "exporting another package's": (
        ["torch:quantize_dynamic", "--qeval-export", "out"],
        "*torch:quantize_dynamic is torch's to write. Leave one of the two out.*",
    ),
    "exporting nothing": (["bf16", "--qeval-export", "out"], "*--qeval-export has nothing to write*"),
    "one name twice": (
        ["int8", "--qeval-recipe", "int8.toml"],
        "*two recipes are called 'int8': int8 and int8.toml. Give one of them another name.*",
    ),
    "as-is of floating point": (["as-is"], "*demo is stored in floating point*choose auto.*"),
    "no such baseline": (["int8", "--qeval-baseline", "int9"], "*no recipe 'int9'. Did you mean 'int8'*"),
    "no such original": (["int8", "--qeval-baseline", "./nowhere/model"], "*no model at nowhere/model*"),
}


@pytest.fixture(autouse=True)
def files(pytester: pytest.Pytester) -> None:
    """Write recipe files and calibration texts into the empty project."""
    for name, content in FILES.items():
        (pytester.path / name).write_text(content, encoding="utf-8")


def read_report(pytester: pytest.Pytester, folder: str = "out") -> Json:
    report: Json = json.loads((pytester.path / folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    return report


def check_refusal(result: pytest.RunResult, pytester: pytest.Pytester, line: str) -> None:
    """Exit status 4, the sentence, no traceback, nothing loaded and nothing left behind."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    for stream in (result.stderr, result.stdout):
        stream.no_fnmatch_line("*Traceback*")
        stream.no_fnmatch_line("*::test_micro*")
    assert not (pytester.path / "out").exists()


@pytest.mark.parametrize(("arguments", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_about_recipes_is_one_sentence(
    run: Run, pytester: pytest.Pytester, arguments: Sequence[str], line: str
) -> None:
    """With the remedy, before a model is loaded."""
    result = run(*MICRO, "--qeval-recipe", *arguments)

    check_refusal(result, pytester, line)
    assert not (pytester.path / ".qeval").exists()


# looked for, not imported: pytester would forget torch's modules after the test
@pytest.mark.skipif(find_spec("torchao") is None, reason="the torchao extra is not installed")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["torchao:NoSuchConfig"], "*torchao has no configuration 'NoSuchConfig' that a recipe can name*Available:*"),
        (
            ["torchao:Int8WeightOnlyConfig", "--qeval-export", "out"],
            "*torchao:Int8WeightOnlyConfig is torchao's to write. Leave one of the two out.*",
        ),
    ],
    ids=["no such configuration", "export"],
)
def test_a_mistake_about_torchao_is_one_sentence(
    run: Run, pytester: pytest.Pytester, arguments: Sequence[str], line: str
) -> None:
    """With the remedy, before a model is loaded."""
    result = run(*MICRO, "--qeval-recipe", *arguments)

    check_refusal(result, pytester, line)


@pytest.fixture
def overlapping(pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> Sequence[str]:
    """Return the arguments of a run that is calibrated on micro's own problems."""
    rows = [{"text": row["prompt"] + row["canonical_solution"]} for row in micro_rows[:2]]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (pytester.path / "overlap.jsonl").write_text(text, encoding="utf-8")
    return (*MICRO, "--qeval-recipe", "w8a8-static-n2", "--qeval-calibration", "overlap.jsonl")


OVERLAP = "*calibration text 1 of overlap.jsonl for w8a8-static-n2 overlaps with micro/*--qeval-allow-overlap.*"


def test_calibration_on_the_benchmark_is_refused(
    run: Run, pytester: pytest.Pytester, mode: tuple[str, ...], overlapping: Sequence[str]
) -> None:
    """Whoever has collected the problems: one process, or workers, whose controller then says so."""
    result = run(*mode, *overlapping)

    if mode == ("-n2",):
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines([f"*ERROR: {OVERLAP[1:-1]}*"])
        assert not (pytester.path / ".qeval").exists()
    else:
        check_refusal(result, pytester, OVERLAP)


def test_calibration_on_the_benchmark_leaves_no_report(
    run: Run, pytester: pytest.Pytester, overlapping: Sequence[str]
) -> None:
    """A run that was refused has no verdict to be found later, and says nothing of missing cases."""
    result = run("-p", "no:xdist", *overlapping)

    assert not (pytester.path / ".qeval").exists()
    result.stdout.no_fnmatch_line("*cases are missing*")


def test_an_overlap_can_be_allowed(run: Run, overlapping: Sequence[str]) -> None:
    """The user has been told, and takes it."""
    result = run(*overlapping, "--qeval-allow-overlap", "--collect-only", "-q")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_micro*w8a8-static-n2-micro/0*"])


def test_a_single_text_is_warned_of_where_warnings_are_errors(run: Run) -> None:
    """As one sentence, and not as a fault of the program."""
    result = run(
        "-W", "error::pytest.PytestWarning", *MICRO, "--qeval-recipe", "w8a8-static-n1",
        "--qeval-calibration", "texts.jsonl", "--collect-only",
    )  # fmt: skip

    for stream in (result.stderr, result.stdout):
        stream.no_fnmatch_line("*INTERNALERROR*")
        stream.no_fnmatch_line("*Traceback*")


def test_braces_and_files_give_several_recipes(run: Run, pytester: pytest.Pytester) -> None:
    """`w{8,4}a16` is two, a file is a third; all are loaded in turn, here by two workers, and reported by name."""
    result = run(
        "-n2", *MICRO, "--qeval-recipe", "w{8,4}a16", "--qeval-recipe", "mixed.toml", "--qeval-baseline", "none",
        "--qeval-output", "out",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    recipes = read_report(pytester)["recipes"]
    assert {name: facts["scheme"] for name, facts in recipes.items()} == {
        "w8a16": "W8A16",
        "w4a16": "W4A16",
        "mixed": "W8A8 mixed",
    }
    layers = {layer["name"].partition("layers.")[2]: layer for layer in recipes["mixed"]["layers"]}
    assert (layers["0.mlp.down_proj"]["bits"], layers["0.mlp.down_proj"]["granularity"]) == (4, "per_group(32)")
    assert (layers["0.mlp.up_proj"]["bits"], layers["0.mlp.up_proj"]["execution"]) == (8, "native")
    assert layers["6.mlp.down_proj"]["kept"]


def test_calibration_is_recorded_and_what_is_exported_is_compared(run: Run, pytester: pytest.Pytester) -> None:
    """Calibrate and export; then ask the checkpoint as it is, against the model that it was made from."""
    first = run(
        "-p", "no:xdist", *MICRO, "--qeval-recipe", "w8a8-static-mse-n4", "--qeval-baseline", "none",
        "--qeval-seed", "7", "--qeval-export", "exported", "--qeval-output", "out",
    )  # fmt: skip

    assert first.ret == pytest.ExitCode.OK
    directory = pytester.path / "exported" / "w8a8-static-mse-n4"
    made = read_report(pytester)["recipes"]["w8a8-static-mse-n4"]
    check_calibrated(made)
    assert made["disk_bytes"] == (directory / "model.safetensors").stat().st_size

    second = run(
        "-p", "no:xdist", "--qeval-model", f"exported/{directory.name}", "--qeval-baseline", str(ORIGINAL),
        "--qeval-suite", "micro", "--qeval-limit", "2", "--qeval-output", "again",
    )  # fmt: skip

    assert second.ret == pytest.ExitCode.OK
    report = read_report(pytester, "again")
    assert {name: facts["role"] for name, facts in report["recipes"].items()} == {
        "original": "baseline",
        "as-is": "candidate",
    }
    read = report["recipes"]["as-is"]
    assert (read["scheme"], read["execution"], read["layers"]) == ("W8A8", made["execution"], made["layers"])
    assert read["model_bytes"] == made["model_bytes"]
    assert read["disk_bytes"] is None
    assert report["recipes"]["original"]["execution"] == "full precision"
    comparison = report["benchmarks"]["micro"]["comparisons"]["as-is"]
    assert comparison["baseline"] == "original"


def check_calibrated(facts: Json) -> None:
    """The texts, how many tokens were seen, and what became of every layer."""
    calibration = facts["calibration"]
    assert calibration["source"].startswith("Python 3.")
    assert (calibration["samples"], calibration["seed"], len(calibration["texts_sha256"])) == (4, 7, 64)
    assert calibration["tokens"] > 4 * 32
    assert calibration["duration_s"] > 0
    assert len(facts["layers"]) == 50
    assert [layer["name"] for layer in facts["layers"] if layer["kept"]] == ["lm_head"]
    assert sum(layer["bits"] == 8 for layer in facts["layers"]) == facts["quantized_layers"] == 49


def test_the_embedded_model_can_be_the_original(run: Run, pytester: pytest.Pytester) -> None:
    """`demo` names a model wherever a model is named."""
    config = json.loads((ORIGINAL / "config.json").read_text(encoding="utf-8"))
    directory = pytester.mkdir("quantized")
    (directory / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "some"}}))
    (directory / "model.safetensors").write_bytes(b"\2" + b"\0" * 7 + b"{}")
    result = run(
        "--qeval-model", "quantized", "--qeval-baseline", "demo", "--qeval-suite", "micro", "--qeval-limit", "2",
        "--collect-only", "-q",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_micro*original-micro/0*", "*test_micro*as-is-micro/0*"])

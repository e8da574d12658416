"""Mistakes on the command line and in the ini file are refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_qeval.fixtures import CONTEXT

Configure = Callable[..., pytest.Config]

DEMO = ("--qeval-model", "demo")
SELFTEST = ("--qeval-selftest", "--qeval-suite", "micro")
KEPT = ("--qeval-gate", "pass@1 >= 0.25")
REPLAY = ("--qeval-completions", "completions.jsonl")


@pytest.fixture(autouse=True)
def files(pytester: pytest.Pytester) -> None:
    """Write one completion, and the name of a saved baseline, which is read later."""
    pytester.path.joinpath("completions.jsonl").write_text('{"task_id": "micro/0", "completion": ""}\n', "utf-8")


def refusal_of(configure: Configure, *arguments: str) -> str:
    """Return the sentence that these arguments are refused with; nothing may have been written."""
    with pytest.raises(pytest.UsageError) as refused:
        configure(*arguments)
    assert not Path(".qeval").exists()
    assert not Path("out").exists()
    return str(refused.value)


MISTAKES: dict[str, tuple[Sequence[str], str]] = {
    "endless time": (
        (*DEMO, "--qeval-timeout", "1e30"),
        "*--qeval-timeout expects seconds above 0, a day at most*1e30*",
    ),
    "energy that is not measured": (
        (*DEMO, "--qeval-gate", "energy >= 0", "--qeval-power-watts", "65"),
        "*--qeval-power-watts is time × watts. Accept an estimate by 'energy >= 0 rough'*",
    ),
    "country by name": ((*DEMO, "--qeval-country", "france"), "*three letters*not 'france'. Did you mean 'FRA'*"),
    "country that does not exist": ((*DEMO, "--qeval-country", "XQZ"), "*three letters, such as FRA*not 'XQZ'*"),
    "no power": (
        (*DEMO, "--qeval-power-watts", "0"),
        "*--qeval-power-watts expects watts above 0, such as 65, not '0'*",
    ),
    "embodied emissions without a life": (
        (*DEMO, "--qeval-embodied", "300kg"),
        "*--qeval-embodied expects mass/time, such as 300kg/4y or 90kg/36mo, not '300kg'*",
    ),
    "embodied emissions of no life": ((*DEMO, "--qeval-embodied", "300kg/0y"), "*expects mass/time*"),
    "power of a replay": (
        (*REPLAY, "--qeval-power-watts", "65"),
        "*--qeval-power-watts does nothing in this run: the completions of a samples file are generated already*",
    ),
    "endless memory": ((*DEMO, "--qeval-memory", "9" * 18), "*--qeval-memory expects a whole number from 1 to*"),
    "endless problems": ((*DEMO, "--qeval-limit", "9" * 23), "*--qeval-limit expects a whole number from 1 to*"),
    "unknown recipe": ((*DEMO, "--qeval-recipe", "itn8"), "*Did you mean 'int8'*Available:*"),
    "unknown baseline": ((*DEMO, "--qeval-baseline", "fp23"), "*no recipe 'fp23'*"),
    "no such model": (("--qeval-model", "./nowhere/model"), "*nowhere/model*"),
    "no such gguf": (("--qeval-model", "nowhere.gguf"), "*nowhere.gguf*"),
    "unknown engine": ((*DEMO, "--qeval-engine", "vlm"), "*no engine 'vlm'*"),
    "malformed gate": ((*DEMO, "--qeval-gate", "pass@1 dropp <= 2"), "*dropp*"),
    "gate without samples": (
        (*DEMO, "--qeval-gate", "pass@10 >= 0.5"),
        "*needs 10 samples of every problem, but 1 is drawn: add --qeval-samples 10 --qeval-temperature 0.2*",
    ),
    "perturbation of no suite": (
        (*DEMO, "--qeval-suite", "micro", "--qeval-perturbation=tab_indent"),
        "*is read by the suite robustness, and this run has micro: add --qeval-suite robustness, or leave the option*",
    ),
    "unknown perturbation": (
        (*DEMO, "--qeval-perturbation", "tab_indend"),
        "*no perturbation 'tab_indend'. Did you mean 'tab_indent'*",
    ),
    "perturbation without its file": (
        (*DEMO, "--qeval-perturbation", "recode:SynonymInsertion"),
        "*read from a file: name its folder with --qeval-data*",
    ),
    "seeds of no choice": (
        (*DEMO, "--qeval-perturbation", "tab_indent", "--qeval-seeds", "3"),
        "--qeval-seeds does nothing in this run: tab_indent makes no random choice*",
    ),
    "unreadable gate": ((*DEMO, "--qeval-gate", "be good"), "*it has no comparison, which is one of*"),
    "unknown metric": ((*DEMO, "--qeval-gate", "rouge >= 0.1"), "*names no known metric*bleu*"),
    "no share": ((*DEMO, "--qeval-gate", "bleu >= 15"), "*15 is no share; write '15pt'*"),
    "gate without baseline": (
        (*DEMO, "--qeval-baseline", "none", "--qeval-gate", "pass@1 drop <= 2pt"),
        "*this run has none. Add a recipe, such as --qeval-recipe int8*",
    ),
    "gate on another suite": (
        (*DEMO, "--qeval-recipe", "int8", "--qeval-suite", "micro", "--qeval-gate", "kl <= 0.1"),
        "*needs the suite divergence: add --qeval-suite divergence*",
    ),
    "no gate file": ((*DEMO, "--qeval-gate", "none.toml"), "*gate file 'none.toml' cannot be opened*"),
    "greedy samples": ((*DEMO, "--qeval-samples", "5"), "*add --qeval-temperature*"),
    "negative limit": ((*DEMO, "--qeval-limit=-1"), "*--qeval-limit expects*not '-1'*"),
    "no number": ((*DEMO, "--qeval-timeout", "soon"), "*--qeval-timeout expects*not 'soon'*"),
    "endless": ((*DEMO, "--qeval-timeout", "inf"), "*--qeval-timeout expects*not 'inf'*"),
    "negative temperature": ((*DEMO, "--qeval-temperature=-1"), "*--qeval-temperature expects*"),
    "no probability": ((*DEMO, "--qeval-top-p", "1.5"), "*--qeval-top-p expects*"),
    "unknown suite": ((*DEMO, "--qeval-suite", "humanevil"), "*no suite 'humanevil'. Did you mean 'humaneval'*"),
    "unknown sandbox": ((*DEMO, "--qeval-sandbox", "docker"), "*--qeval-sandbox expects one of*not 'docker'*"),
    "unknown device": ((*DEMO, "--qeval-device", "gpu"), "*--qeval-device gpu*Expected auto, cpu, cuda*"),
    "unknown prompt": ((*DEMO, "--qeval-prompt", "sing"), "*--qeval-prompt expects one of*not 'sing'*"),
    "chat without a template": ((*DEMO, "--qeval-prompt", "chat"), "*the tokenizer of demo has no chat template*"),
    "template without a prefix": (
        (*DEMO, "--qeval-fim", "<PRE>{suffix}<MID>"),
        "--qeval-fim expects a text with {prefix} once, and {suffix} at most once*not '<PRE>{suffix}<MID>'*",
    ),
    "template without tokens": (
        (*DEMO, "--qeval-suite", "infilling-single-line", "--qeval-fim", "{prefix}{suffix}"),
        "--qeval-fim has no token that marks prefix and suffix: '{prefix}{suffix}' runs them together*",
    ),
    "empty template": ((*DEMO, "--qeval-fim", ""), "--qeval-fim is empty*leave it out*"),
    "two data folders": (
        (*DEMO, "--qeval-data", "one", "--qeval-data", "two"),
        "*argument --qeval-data: given twice, as 'one' and 'two': put the files into one folder*",
    ),
    "proof without an interval": (
        (*DEMO, "--qeval-recipe", "int8", "--qeval-gate", "regressed <= 5", "--qeval-require-proof"),
        "the gate 'regressed <= 5' has to be proven, but regressed is a single number without an interval*",
    ),
    "template of no suite": (
        (*DEMO, "--qeval-suite", "micro", "--qeval-fim", "{prefix}"),
        "--qeval-fim does nothing in this run: it is read by suites that fill in code*infilling-single-line*",
    ),
    "replayed template": ((*REPLAY, "--qeval-fim", "{prefix}"), "--qeval-fim does nothing in this run: *generated al*"),
    "unknown benchmark": ((*DEMO, "--qeval-benchmark", "humanevel"), "*no benchmark 'humanevel'*'humaneval'*"),
    "benchmark file": (
        (*DEMO, "--qeval-benchmark", "ours.jsonl"),
        "*expects a name, not the file 'ours.jsonl'*qeval_robustness*",
    ),
    "no samples file": (("--qeval-completions", "none.jsonl"), "*there is no file 'none.jsonl'*"),
    "no data folder": ((*DEMO, "--qeval-data", "nodir"), "*there is no folder 'nodir'*"),
    "a folder of samples": (("--qeval-completions", "."), "--qeval-completions expects a file, and '.' is a folder."),
    "a file of data": (
        (*DEMO, "--qeval-data", "completions.jsonl"),
        "--qeval-data expects a folder, and 'completions.jsonl' is a file.",
    ),
    "a device": (
        ("--qeval-completions=/dev/null",),
        "--qeval-completions expects a file, and '/dev/null' is neither a file nor a folder.",
    ),
    "model and samples": ((*DEMO, "--qeval-completions", "x"), "*exclude each other*"),
    "no model": (KEPT, "*--qeval-gate without a model does nothing*add --qeval-model*"),
    "empty model": (("--qeval-model=", "--qeval-recipe", "int8"), "*--qeval-model is empty*variable*"),
    "empty samples": (("--qeval-completions=",), "*--qeval-completions is empty*"),
    "replayed recipe": ((*REPLAY, "--qeval-recipe", "int8"), "*needs a model*"),
    "replayed drafts": ((*REPLAY, "--qeval-baseline-drafts"), "*--qeval-baseline-drafts needs a model*"),
    "replayed control": ((*REPLAY, "--qeval-control"), "*--qeval-control needs a model*"),
    "replay of a baseline": ((*REPLAY, "--qeval-baseline", "int8"), "*can only be compared with a saved baseline*"),
    **{
        f"replayed {suite}": (
            (*replay, "--qeval-suite", suite),
            f"--qeval-suite {suite} measures a model, and this run has none: add a suite of completions, such as *",
        )
        for suite, replay in (
            ("efficiency", REPLAY),
            ("divergence", REPLAY),
            ("sensitivity", REPLAY),
            ("efficiency", ("--qeval-selftest",)),
        )
    },
    "nothing to diverge from": (
        (*DEMO, "--qeval-suite", "divergence"),
        "--qeval-suite divergence compares a recipe with the baseline*: add --qeval-recipe int8, or --qeval-save-*",
    ),
    "benchmark of a replay": (
        (*REPLAY, "--qeval-benchmark", "micro"),
        "--qeval-benchmark does nothing in this run: it is read by *, and this run has micro: *",
    ),
    "benchmarks of one suite": (
        (*DEMO, "--qeval-benchmark", "micro", "--qeval-benchmark", "humaneval"),
        "--qeval-benchmark does nothing in this run: *use one benchmark, and several are given*",
    ),
    "scores of code": (
        (*DEMO, "--qeval-suite", "sensitivity", "--qeval-recipe", "torch:quantize_dynamic"),
        "*needs a recipe of this package's own schemes*",
    ),
}


NEAR = ("--qeval-recipe", "int8")
UNUSED: dict[str, tuple[Sequence[str], str]] = {
    "top-p": ((*DEMO, "--qeval-top-p", "0.9"), "greedy decoding takes the likeliest token*"),
    "baseline-drafts": ((*DEMO, "--qeval-baseline-drafts"), "there is no baseline: add --qeval-recipe*"),
    "strict": ((*DEMO, "--qeval-strict"), "there is no baseline to regress from*"),
    "require-proof": ((*DEMO, *NEAR, "--qeval-require-proof"), "no gate is set*"),
    "allow-missing": ((*REPLAY, "--qeval-allow-missing"), "no gate is set*"),
    "trust-remote-code": ((*DEMO, "--qeval-trust-remote-code"), "no code comes with the embedded model*"),
    "calibration": ((*DEMO, *NEAR, "--qeval-calibration", "stdlib"), "only static activations are calibrated*"),
    "allow-overlap": ((*DEMO, *NEAR, "--qeval-allow-overlap"), "only static activations are calibrated*"),
    "control": ((*DEMO, *NEAR, "--qeval-suite", "efficiency", "--qeval-control"), "*suites that generate*"),
    "suite": ((*DEMO, "--qeval-suite", "micro", "test_own.py"), "test files are named, which replace the suites*"),
    "seeds": ((*DEMO, "--qeval-seeds", "2"), "it is read by the suite robustness*this run has micro, efficiency:*"),
    "workers": ((*DEMO, "--qeval-suite", "summarization", "--qeval-workers", "9"), "*has summarization*"),
    "benchmark": (
        (*DEMO, *NEAR, "--qeval-suite", "divergence", "--qeval-benchmark", "micro", "--qeval-benchmark", "humaneval"),
        "the suites of this run use one benchmark, and several are given*",
    ),
    **{
        name: ((*REPLAY, f"--qeval-{name}=1"), "the completions of a samples file are generated already*")
        for name in ("temperature", "max-new-tokens", "threads", "batch-size")
    },
}


@pytest.mark.parametrize(("name", "arguments", "line"), [(name, *row) for name, row in UNUSED.items()], ids=UNUSED)
def test_a_typed_option_without_effect_is_refused(
    configure: Configure, name: str, arguments: Sequence[str], line: str
) -> None:
    """Nothing that is asked for is ignored in silence."""
    assert fnmatch(refusal_of(configure, *arguments), f"--qeval-{name} does nothing in this run: {line}")


def test_options_of_the_ini_file_without_effect_are_told(configure: Configure, pytester: pytest.Pytester) -> None:
    """It is for runs of every kind; conditions of a saved baseline, and a seed, may be typed for every run as well."""
    pytester.makeini("[pytest]\nqeval_top_p = 0.9\nqeval_strict = true\nqeval_limit = 1\n")
    unused = configure(*DEMO, "--qeval-seed", "1").stash[CONTEXT].settings.unused

    assert [line.partition(" (")[0] for line in unused] == ["top-p", "seed", "strict"]
    config = configure(*DEMO, "--qeval-suite=efficiency", "--qeval-batch-size=8", "--qeval-limit=")
    assert config.stash[CONTEXT].settings.unused[0].startswith("batch-size (")
    assert configure(*DEMO, *NEAR, "--qeval-temperature=1", "--qeval-seed=1").stash[CONTEXT].settings.unused == ()


INHERITED: dict[str, str] = {
    **dict.fromkeys(("recipe", "engine", "revision", "export"), "int8"),
    "baseline": "auto",
    "calibration": "stdlib",
    "samples": "1",
    "control": "true",
    "trust-remote-code": "true",
    "baseline-force": "true",
    "perturbation": "tab_indent",
    "suite": "divergence",
}


def test_a_replay_tells_what_the_ini_file_says_about_models(configure: Configure, pytester: pytest.Pytester) -> None:
    """The same file is for the runs of a model."""
    lines = "".join(f"qeval_{name.replace('-', '_')} = {value}\n" for name, value in INHERITED.items())
    pytester.makeini(f"[pytest]\n{lines}")
    settings = configure(*REPLAY).stash[CONTEXT].settings

    assert {line.partition(" (")[0] for line in settings.unused} == INHERITED.keys()
    assert settings.candidates == ("replay",)
    assert settings.export is None


@pytest.mark.parametrize("baseline", ["run", "int8", "other/model"])
def test_a_replay_tells_a_baseline_that_a_model_would_need(
    configure: Configure, pytester: pytest.Pytester, baseline: str
) -> None:
    """A gate on it is refused all the same, with a remedy that a replay takes."""
    pytester.makeini(f"[pytest]\nqeval_baseline = {baseline}\n")
    (line,) = configure(*REPLAY).stash[CONTEXT].settings.unused
    assert line == "baseline (it is for runs of a model, and this is a replay)"

    refusal = refusal_of(configure, *REPLAY, "--qeval-gate", "pass@1 drop <= 2pt")
    assert "Name a saved one, as in --qeval-baseline FILE.json.gz, or gate the value itself" in refusal


def test_what_was_added_to_a_replay_is_told_and_what_was_typed_is_refused(
    configure: Configure, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\naddopts = --qeval-recipe int8\n")
    assert configure(*REPLAY).stash[CONTEXT].settings.unused[0].startswith("recipe (")

    assert "--qeval-recipe needs a model" in refusal_of(configure, *REPLAY, "--qeval-recipe=int4")
    assert "exclude each other" in refusal_of(configure, "--qeval-selftest", "--qeval-recipe=int4")


@pytest.mark.parametrize("line", ["addopts = --qeval-model demo", "qeval_model = demo", "qeval_suite = efficiency"])
def test_a_self_test_leaves_out_what_was_not_typed(configure: Configure, pytester: pytest.Pytester, line: str) -> None:
    pytester.makeini(f"[pytest]\n{line}\n")

    settings = configure("--qeval-selftest").stash[CONTEXT].settings
    assert settings.selftest
    assert "micro" in settings.suites


def test_suites_of_the_ini_file_say_nothing_about_named_tests(configure: Configure, pytester: pytest.Pytester) -> None:
    """Those may measure a divergence of their own, for a gate on it."""
    pytester.makeini("[pytest]\nqeval_suite = micro")
    config = configure(*DEMO, *NEAR, "--qeval-gate", "kl <= 0.1", "test_own.py")

    assert config.stash[CONTEXT].settings.unused[0].startswith("suite (test files are named")


def test_the_calibration_of_the_ini_file_is_for_runs_that_calibrate(
    configure: Configure, pytester: pytest.Pytester
) -> None:
    """Other runs say that they do not."""
    pytester.makeini("[pytest]\nqeval_calibration = texts.jsonl")

    assert any(one.startswith("calibration (") for one in configure(*DEMO, *NEAR).stash[CONTEXT].settings.unused)


def test_a_recipe_is_not_compared_with_itself(configure: Configure) -> None:
    refusal = refusal_of(configure, *DEMO, *NEAR, "--qeval-baseline", "int8")

    assert refusal.startswith("--qeval-baseline int8 is the only recipe of this run, which cannot be compared with")


@pytest.mark.parametrize(("arguments", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused(configure: Configure, arguments: Sequence[str], line: str) -> None:
    """One sentence names what was found, what was expected and what to do."""
    assert fnmatch(refusal_of(configure, *arguments), line)


@pytest.mark.parametrize(
    ("ini", "line"),
    [
        (
            "qeval_prompt = sing",
            "*expects one of auto, completion, chat, chat-prefilled, not 'sing'* (qeval_prompt is set in *tox.ini)",
        ),
        (
            "qeval_recipe = int8\nqeval_gate =\n    regressed <= 0\n    nonsense",
            "*cannot read the gate 'nonsense'* (qeval_gate is set in *tox.ini)",
        ),
        ("qeval_limit = none", "*--qeval-limit expects*not 'none'. (qeval_limit is set in *tox.ini)"),
        ("qeval_recipe = itn8", "*no recipe 'itn8'* (qeval_recipe is set in *tox.ini)"),
        ("qeval_gate = none.toml", "*cannot be opened* (qeval_gate is set in *tox.ini)"),
        ("addopts = --qeval-limit=x", "*not 'x'. (--qeval-limit is set by addopts in *tox.ini)"),
    ],
    ids=["prompt", "gate", "limit", "recipe", "gate file", "addopts"],
)
def test_ini_keys_are_checked_like_options(
    configure: Configure, pytester: pytest.Pytester, ini: str, line: str
) -> None:
    """A project keeps its recipes and gates in its ini file."""
    pytester.makeini(f"[pytest]\n{ini}\n")

    assert fnmatch(refusal_of(configure, *DEMO), line)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "*has no samples*"),
        (b'{"task_id": "micro/0"}\n', "*line 1*task_id and either completion*"),
        (b'{"task_id": "micro/0", "completion": "x"}\n{"task', "*line 2: not JSON*"),
        (b"\x80\n", "*line 1: not UTF-8*: save the file as UTF-8."),
        (b"\xff\xfe\n", "*bad.jsonl is UTF-16: save it as UTF-8."),
        (b"[1]\n", "*entry 1: expected a JSON object*"),
    ],
    ids=["empty", "a field", "torn", "encoding", "UTF-16", "a list"],
)
def test_a_broken_samples_file_names_its_line(
    configure: Configure, pytester: pytest.Pytester, content: bytes, line: str
) -> None:
    """The file and the line are named."""
    pytester.path.joinpath("bad.jsonl").write_bytes(content)

    assert fnmatch(refusal_of(configure, "--qeval-completions", "bad.jsonl"), line)


@pytest.mark.parametrize(
    "other",
    [
        DEMO,
        REPLAY,
        ("--qeval-recipe", "int8"),
        ("--qeval-baseline", "none"),
        KEPT,
        ("--qeval-save-baseline", "b.json.gz"),
        ("--qeval-strict",),
        ("--qeval-prompt", "chat"),
        ("--qeval-temperature", "0.2"),
        ("--qeval-threads", "2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_self_test_excludes_what_belongs_to_an_evaluation(configure: Configure, other: Sequence[str]) -> None:
    """A self-test runs no model and judges no gate."""
    line = f"--qeval-selftest and {other[0]} exclude each other: *"

    assert fnmatch(refusal_of(configure, *SELFTEST, *other), line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (DEMO, "--qeval-control runs the baseline a second time, but this run has none: *"),
        (
            (*DEMO, "--qeval-recipe", "int8", "--qeval-baseline", "none"),
            "--qeval-control runs the baseline a second time, but this run has none: *",
        ),
        (
            (*DEMO, "--qeval-recipe", "int8", "--qeval-baseline", "b.json.gz"),
            "--qeval-control runs the baseline twice, and a saved one is not run at all: *",
        ),
    ],
    ids=["no candidate", "no baseline", "saved"],
)
def test_a_control_needs_a_baseline_that_is_run(configure: Configure, arguments: Sequence[str], line: str) -> None:
    """Nothing can be run a second time that is not run once."""
    assert fnmatch(refusal_of(configure, *arguments, "--qeval-control"), line)


@pytest.mark.parametrize("metric", ["throughput", "energy", "peak_memory"])
def test_a_gate_on_what_drafts_change_is_refused(configure: Configure, metric: str) -> None:
    """Its number would be of another way of generating."""
    gate = f"{metric} ratio <= 1.0{'' if metric == 'peak_memory' else ' rough'}"
    arguments = (*DEMO, *NEAR, "--qeval-baseline-drafts", "--qeval-gate", gate)
    assert fnmatch(refusal_of(configure, *arguments), f"*the gate '{gate}' is about: leave one of the*")
    assert configure(*arguments[:-1], "model_bytes ratio <= 1.0").stash[CONTEXT].settings.baseline_drafts


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "*--qeval-until-decided needs a gate on solved problems*"),
        (("--qeval-gate", "model_bytes <= 1"), "*--qeval-until-decided needs a gate on solved problems*"),
        ((*KEPT, "--qeval-gate", "energy <= 1 rough"), "*cannot leave anything out for the gate 'energy <= 1 rough'*"),
        ((*KEPT, "--qeval-gate", "pass@10 >= 0.5"), "*cannot leave anything out for the gate 'pass@10 >= 0.5'*"),
        ((*KEPT, "--qeval-gate", "bleu >= 0.1"), "*cannot leave anything out for the gate 'bleu >= 0.1'*"),
    ],
    ids=["no gate", "no such gate", "energy", "pass@10", "bleu"],
)
def test_a_run_that_cannot_be_decided_early_is_refused(
    configure: Configure, arguments: Sequence[str], line: str
) -> None:
    """Only gates on solved problems can be decided before all problems are evaluated."""
    assert fnmatch(refusal_of(configure, *REPLAY, "--qeval-until-decided", *arguments), line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--qeval-save-baseline", "base"), "--qeval-save-baseline expects a file that ends in .json.gz, not *"),
        (
            ("--qeval-save-baseline", "/proc/qeval/b.json.gz"),
            "the baseline cannot be written to /proc/qeval/b.json.gz: *",
        ),
        (
            ("--qeval-baseline", "b.json.gz", "--qeval-save-baseline", "again.json.gz"),
            "--qeval-save-baseline has nothing new to save *",
        ),
        (("--qeval-baseline-force",), "--qeval-baseline-force is about a saved baseline: *"),
        (("--qeval-baseline", "b.json.gz"), "*b.json.gz cannot be read: No such file or directory.*"),
    ],
    ids=["ending", "folder", "read and saved", "force", "missing"],
)
def test_a_baseline_that_cannot_be_saved_or_read_is_refused(
    configure: Configure, arguments: Sequence[str], line: str
) -> None:
    """Before hours of generating."""
    assert fnmatch(refusal_of(configure, *DEMO, "--qeval-recipe", "int8", *arguments), line)


@pytest.mark.parametrize("arguments", [(*DEMO, "--qeval-recipe", "int8"), REPLAY], ids=["model", "replay"])
@pytest.mark.parametrize("name", ["mine", "mine.json", "./mine.json"])
def test_a_saved_baseline_is_suggested_where_its_ending_is_missing(
    configure: Configure, pytester: pytest.Pytester, arguments: Sequence[str], name: str
) -> None:
    """Whether or not the unpacked file lies there as well."""
    pytester.path.joinpath("mine.json.gz").touch()

    refused = refusal_of(configure, *arguments, "--qeval-baseline", name)
    assert refused.endswith(f"Did you mean {name.removesuffix('.json')}.json.gz?")


@pytest.mark.parametrize("output", ["afile", "afile/x", "afile/x/y"])
def test_an_output_folder_that_cannot_be_made_is_refused(
    configure: Configure, pytester: pytest.Pytester, output: str
) -> None:
    """Before anything is evaluated."""
    pytester.path.joinpath("afile").write_text("mine", encoding="utf-8")
    refusal = refusal_of(configure, *REPLAY, "--qeval-output", output)

    assert fnmatch(refusal, f"*reports cannot be written to */{output}: Not a directory.*--qeval-output*")


def test_what_is_right_is_not_refused(configure: Configure) -> None:
    """A run with recipes, a baseline, gates and limits starts."""
    config = configure(*DEMO, "--qeval-recipe", "int8", "--qeval-limit", "3", "--qeval-gate", "pass@1 drop <= 2pt")

    assert [Path(path).name for path in config.args] == ["test_micro.py", "test_efficiency.py"]


def test_settings_of_an_ini_file_alone_start_nothing(configure: Configure, pytester: pytest.Pytester) -> None:
    """A project's own tests run as ever where its ini file has gates, whatever `addopts` says."""
    pytester.makeini("[pytest]\naddopts = --qeval-strict\nqeval_recipe = int8\nqeval_gate = pass@1 drop <= 2pt")

    assert configure("test_own.py").args == ["test_own.py"]


def test_an_empty_model_wins_over_the_ini_file(configure: Configure, pytester: pytest.Pytester) -> None:
    """A variable that is not set must not evaluate another model."""
    pytester.makeini("[pytest]\nqeval_model = demo")

    assert fnmatch(refusal_of(configure, "--qeval-model="), "--qeval-model is empty, perhaps from a variable*")


@pytest.mark.parametrize("recipe", ["int8", "w4a16-g128", "auto"])
@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"\x1f\x8b")], ids=["folder", "file"])
def test_a_baseline_called_like_a_recipe_is_the_recipe(
    configure: Configure, pytester: pytest.Pytester, recipe: str, make: Callable[[Path], object]
) -> None:
    """`--qeval-export .` makes such folders; `auto` is the default."""
    make(pytester.path / recipe)
    config = configure(*DEMO, "--qeval-recipe", "w2a16", "--qeval-baseline", recipe)

    assert config.stash[CONTEXT].settings.baseline == recipe


def test_a_folder_called_like_a_recipe_is_named_by_its_path(configure: Configure, pytester: pytest.Pytester) -> None:
    pytester.mkdir("int8")

    assert "int8 is not a model directory" in refusal_of(
        configure, *DEMO, "--qeval-recipe", "w2a16", "--qeval-baseline=./int8"
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("qeval_gate = [1]", "--qeval-gate expects texts in quotes, not 1*qeval_gate is set in *pyproject.toml*"),
        ('qeval_gate = [["a"]]', "--qeval-gate expects texts in quotes, not ['a']*"),
        ('qeval_model = ["a", "b"]', "--qeval-model expects a text in quotes, not *"),
        ("qeval_recipe = [8]", "--qeval-recipe expects texts in quotes, not 8*"),
        ("qeval_suite = [1]", "--qeval-suite expects texts in quotes, not 1*"),
        ("qeval_timeout = [5]", "--qeval-timeout expects a text in quotes, not *"),
        ('qeval_output = ["a"]', "--qeval-output expects a text in quotes, not *"),
    ],
)
def test_toml_has_texts(configure: Configure, pytester: pytest.Pytester, line: str, sentence: str) -> None:
    """Its lists and numbers are refused by name, and not by whatever meets them first."""
    model = "" if "qeval_model" in line else 'qeval_model = "demo"\n'
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{model}{line}\n")
    refused = refusal_of(configure).replace("[", "(").replace("]", ")")
    assert fnmatch(refused, sentence.replace("[", "(").replace("]", ")"))

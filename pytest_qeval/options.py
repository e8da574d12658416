"""The options: every one for the command line and for the ini file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pytest_qeval.settings import ISOLATIONS, MORE_SUITES, PROMPTS, SUITES

__all__ = ["OPTIONS", "Option", "add_options"]

_SUITES = f"{', '.join(SUITES)}, all of these (all), {', '.join(MORE_SUITES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One `--qeval-<name>`, which is also the ini key `qeval_<name>`."""

    name: str
    help: str
    metavar: str | None = None
    repeatable: bool = False
    flag: bool = False
    choices: tuple[str, ...] | None = None

    @property
    def dest(self) -> str:
        """The ini key and argparse destination."""
        return f"qeval_{self.name.replace('-', '_')}"


OPTIONS = (
    Option(
        name="model",
        metavar="M",
        help="the model to evaluate: hub id, local directory, *.gguf file, or 'demo' (embedded); "
        "without it, --qeval-completions and --qeval-selftest this plugin does nothing",
    ),
    Option(name="revision", metavar="R", help="hub revision of the model"),
    Option(
        name="recipe",
        metavar="R",
        repeatable=True,
        help="what to do to the model: a name (int8), a scheme (w4a16-g128; w{8,6,4}a16 is three), another package's "
        "configuration (torchao:Int8WeightOnlyConfig) or a *.toml file; repeatable",
    ),
    Option(
        name="baseline",
        metavar="B",
        help="what to compare with: 'auto' (the checkpoint's own precision, from the cache if it was run before; the "
        "default), 'run' (the same, always run), 'none', a recipe, a saved baseline (*.json.gz), or the model that a "
        "quantized checkpoint was made from",
    ),
    Option(
        name="baseline-force",
        flag=True,
        help="accept a saved baseline that was made under other conditions; the report is marked",
    ),
    Option(
        name="save-baseline",
        metavar="FILE",
        help="write the baseline's outcomes, completions, log-probabilities and costs to FILE (*.json.gz)",
    ),
    Option(
        name="control",
        flag=True,
        help="run the baseline a second time in another batch order: what flips then is not quantization's doing",
    ),
    Option(
        name="calibration",
        metavar="SOURCE",
        help="texts for static activations: 'stdlib' (Python's standard library; the default), a *.jsonl file, or a "
        "data set of the hub (owner/name:split)",
    ),
    Option(
        name="allow-overlap",
        flag=True,
        help="accept calibration texts that are those of the benchmark under test",
    ),
    Option(name="export", metavar="DIR", help="write every candidate's quantized checkpoint to DIR/<recipe>"),
    Option(
        name="suite", metavar="S", repeatable=True, help=f"what to run (--qeval-list suites): {_SUITES}; repeatable"
    ),
    Option(
        name="benchmark",
        metavar="B",
        repeatable=True,
        help="what the suites robustness, divergence and sensitivity ask (default: micro for demo, else humaneval); "
        "repeatable, of which the latter two take the first",
    ),
    Option(
        name="perturbation",
        metavar="P",
        repeatable=True,
        help="how the suite robustness perturbs problems: a name (--qeval-list perturbations), a category (docstring, "
        "function-name, syntax, format), a level (character, word, sentence, name), 'screen' (some of each on 40 "
        "problems; the default), 'full', or with its files in --qeval-data back_translation, rename_variable_model, "
        "recode (all of ReCode's), recode:NAME; repeatable",
    ),
    Option(
        name="seeds",
        metavar="N",
        help="how often each random perturbation is applied (default 1, 5 for the set 'full'; of ReCode's files all)",
    ),
    Option(name="limit", metavar="N", help="take the first N problems of every benchmark"),
    Option(name="samples", metavar="N", help="completions per problem (default 1)"),
    Option(name="temperature", metavar="T", help="sampling temperature (default 0: greedy)"),
    Option(name="top-p", metavar="P", help="nucleus sampling: smallest set of tokens of this mass (default 1)"),
    Option(name="max-new-tokens", metavar="N", help="longest completion in tokens (default 512)"),
    Option(name="seed", metavar="S", help="seed of everything random (default 0)"),
    Option(
        name="prompt",
        choices=PROMPTS,
        help="how problems are put: as text to go on with (completion), as a message through the model's chat template "
        "(chat), or chat where there is a template (auto, the default); see docs/prompts.md",
    ),
    Option(name="engine", metavar="E", help="who runs the model (default transformers)"),
    Option(
        name="completions",
        metavar="FILE",
        help="score the completions of a human-eval style samples file instead of running a model",
    ),
    Option(
        name="selftest",
        flag=True,
        help="test the harness itself, without a model: on every benchmark whose data are on this machine reference "
        "solutions have to pass, and broken ones have to fail",
    ),
    Option(name="device", metavar="D", help="where to run the model: auto (default), cpu, cuda, cuda:1"),
    Option(
        name="threads",
        metavar="N",
        help="CPU threads of the engine (default: torch's own choice; with -n, an equal share)",
    ),
    Option(
        name="batch-size", metavar="N", help="completions generated at a time (default: chosen by device and memory)"
    ),
    Option(name="data", metavar="DIR", help="folder with benchmark files; searched first"),
    Option(
        name="sandbox",
        choices=ISOLATIONS,
        help="how programs are isolated: the strongest available (auto), or by name; "
        "'process' accepts plain process limits, without a barrier to network and files",
    ),
    Option(name="timeout", metavar="S", help="seconds a program may run (default 5)"),
    Option(name="memory", metavar="MB", help="memory a program may use (default 1024)"),
    Option(name="workers", metavar="N", help="sandboxes that run programs side by side (default: one a core)"),
    Option(
        name="gate",
        metavar="EXPR",
        repeatable=True,
        help="what must hold, such as 'pass@1 drop <= 2pt' or 'humaneval:pass@1 >= 0.35', or a *.toml file of gates; "
        "repeatable",
    ),
    Option(name="require-proof", flag=True, help="fail a gate that the interval does not prove"),
    Option(
        name="until-decided",
        flag=True,
        help="ask in random order, and leave a recipe when its gates can no longer change or their evidence is in",
    ),
    Option(name="strict", flag=True, help="fail every case that the baseline solved and the candidate did not"),
    Option(name="output", metavar="DIR", help="where reports are written (default .qeval/<run>)"),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option twice: for the command line and for the ini file."""
    group = parser.getgroup("qeval", "evaluation of quantized code models")
    for option in OPTIONS:
        kwargs: dict[str, Any] = {"dest": option.dest, "help": option.help, "default": None}
        if option.flag:
            kwargs["action"] = "store_true"
        else:
            kwargs |= {"metavar": option.metavar, "choices": option.choices}
            kwargs["action"] = "append" if option.repeatable else "store"
        group.addoption(f"--qeval-{option.name}", **kwargs)
        kind: Any = "bool" if option.flag else "linelist" if option.repeatable else "string"
        parser.addini(option.dest, option.help, type=kind, default=None)
    group.addoption(
        "--qeval-list",
        dest="qeval_list",
        choices=("suites", "benchmarks", "recipes", "quantizers", "perturbations", "engines"),
        help="print what there is, one line each, and exit",
    )
    group.addoption(
        "--qeval-compare",
        dest="qeval_compare",
        nargs=2,
        metavar=("A", "B"),
        help="judge the candidates of the records.jsonl B against the baseline of A, running nothing, and exit",
    )

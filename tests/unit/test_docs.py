"""The pages of docs agree with the program, and their links lead somewhere."""

import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import COMPLETION_STOPS
from pytest_qeval.benchmarks.chat import CHAT_STOPS, FUNCTION_TASK, SCRIPT_TASK, chat_prompt
from pytest_qeval.benchmarks.cruxeval import input as cruxeval_input
from pytest_qeval.benchmarks.cruxeval import output as cruxeval_output
from pytest_qeval.benchmarks.cruxeval.assertions import STOPS
from pytest_qeval.benchmarks.cruxeval.rows import CruxRow
from pytest_qeval.benchmarks.extraction import extract_code
from pytest_qeval.benchmarks.javascript.humaneval import EXCLUDED as JAVASCRIPT_EXCLUDED
from pytest_qeval.benchmarks.javascript.source import STOPS as JAVASCRIPT_STOPS
from pytest_qeval.benchmarks.mbpp import EXCLUDED
from pytest_qeval.options import OPTIONS
from pytest_qeval.report.tables import COLUMNS
from pytest_qeval.schema import Problem
from pytest_qeval.settings import ISOLATIONS, MORE_SUITES, PROMPTS, SUITES
from pytest_qeval.stats.power import detectable_drop, problems_needed
from pytest_qeval.verdict.gates.file import read_gate_file
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.metrics import METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _text(page: str) -> str:
    path = DOCS / page
    return path.read_text(encoding="utf-8") if path.exists() else ""


GATES, PROMPTS_PAGE, ROBUSTNESS, STATISTICS = map(_text, ("gates.md", "prompts.md", "robustness.md", "statistics.md"))
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

HELLO = Problem(
    benchmark="micro",
    task_id="micro/x",
    prompt='from typing import List\n\n\ndef longest(words: List[str]) -> str:\n    """Give the longest word."""\n',
    entry_point="longest",
    test="def check(candidate):\n    assert candidate(['a', 'bc']) == 'bc'\n",
    canonical_solution="    return max(words, key=len)\n",
)
DOUBLE = Problem(
    benchmark="mbpp",
    task_id="MBPP/x",
    prompt='"""\nWrite a function to double a number.\nassert double(3) == 6\n"""\n',
    entry_point="double",
    test="def check(candidate):\n    assert candidate(3) == 6\n",
    canonical_solution="def double(x):\n    return 2 * x\n",
)
CHAT_COMPLETION = """\
Of course. Here it is:

```python
def longest(words: List[str]) -> str:
    return max(words, key=len)

print(longest(["a", "bc"]))
```

It looks at the length of each word.
"""

pytestmark = pytest.mark.skipif(not GATES, reason="an installed package has no documentation beside its tests")


def _table(text: str, header: str) -> list[str]:
    """Return the lines of the table that begins with this header."""
    lines = text[text.index(header) :].split("\n\n", maxsplit=1)[0]
    return lines.splitlines()


def gate_table() -> tuple[str, ...]:
    """Return the metrics as rows of a Markdown table, head included."""
    forms = {
        "value": "value",
        "drop": "`drop`",
        "relative_drop": "`drop` in `%`",
        "increase": "`increase`",
        "ratio": "`ratio`",
        "speedup": "`ratio` in `x`",
    }
    rows = (
        (
            f"`{metric.name}`",
            metric.help,
            ", ".join(forms[form] for form in metric.forms),
            ", ".join(f"`{unit}`" for unit in metric.units) or ("`ms`, `s`" if metric.is_time else "none"),
            "benchmark" if metric.per_benchmark else "run",
            "always" if metric.needs_baseline else "for drop, increase, ratio",
            "yes" if metric.needs_cases else "no",
        )
        for metric in METRICS.values()
    )
    head = ("metric", "what it is", "forms", "units", "computed per", "needs a baseline", "needs every case")
    return tuple(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def test_the_table_of_metrics_is_that_of_the_program() -> None:
    """A change of the metrics changes the page."""
    assert _table(GATES, gate_table()[0]) == list(gate_table())


def test_every_gate_shown_can_be_read() -> None:
    """An example ends before two blanks."""
    block = GATES.split("Some examples:\n\n")[1].split("\n\n")[0]
    shown = [re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines()]

    assert len(shown) == 19
    assert [parse_gate(expression).expression for expression in shown] == shown


def test_the_gate_file_shown_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(GATES.split("```toml\n")[1].split("```")[0], encoding="utf-8")

    assert [gate.recipe for gate in read_gate_file(path)] == ["int8*", "int4", "w4a16-*", None]


def test_the_tables_of_provable_drops_are_those_of_the_program() -> None:
    """The rows for 164 problems and for a margin of 2 points are computed again."""
    drops = [detectable_drop(164, discordance=0.04), detectable_drop(164)]
    row = next(line for line in STATISTICS.splitlines() if line.startswith("| 164 | "))

    assert re.findall(r"([\d.]+) pt", row)[:2] == [f"{100 * drop:.1f}" for drop in drops]
    assert f"| 2 pt | {problems_needed(0.02, discordance=0.04)} | {problems_needed(0.02)} |" in STATISTICS


def _shown(text: str) -> str:
    """Return a text as an indented block of Markdown."""
    return textwrap.indent(text.rstrip("\n"), "    ")


def _stops(stops: tuple[str, ...]) -> str:
    return " ".join(f"`` {stop!r} ``" if "`" in stop else f"`{stop!r}`" for stop in stops)


@pytest.mark.parametrize(("problem", "task"), [(HELLO, FUNCTION_TASK), (DOUBLE, SCRIPT_TASK)])
def test_the_messages_shown_are_those_of_the_program(problem: Problem, task: str) -> None:
    """The user message and the assistant prefill are shown to the character."""
    prompt = chat_prompt(problem, task)

    assert _shown(prompt.user or "") in PROMPTS_PAGE
    assert f"\n\n{_shown(prompt.text)}\n\n" in PROMPTS_PAGE


def test_the_prompts_of_cruxeval_shown_are_those_of_the_program() -> None:
    """In both styles and directions, for one program."""
    row = CruxRow(number=0, code="def f(words):\n    return '-'.join(words)", arguments="['a', 'b']", output="'a-b'")
    output, given = cruxeval_output.make_problem(row), cruxeval_input.make_problem(row)
    asks = cruxeval_output.OutputBenchmark(name="o", version="1", sha256="", problems={})
    takes = cruxeval_input.InputBenchmark(name="i", version="1", sha256="", problems={})
    chat = asks.prompt(output, "chat")

    assert f"{_shown(asks.prompt(output).text)}\n\n" in PROMPTS_PAGE
    assert f"\n{_shown(takes.prompt(given).text.splitlines()[-1])}\n\n" in PROMPTS_PAGE
    assert f"{_shown(chat.user or '')}\n\n" in PROMPTS_PAGE
    assert f"\n\n{_shown(chat.text)}\n\n" in PROMPTS_PAGE
    assert f"\n\n{_shown(takes.task)}\n\n" in PROMPTS_PAGE
    assert f"beginning of an assertion | {_stops(STOPS)} |" in PROMPTS_PAGE


def test_the_stop_strings_shown_are_those_of_the_program() -> None:
    """Each prompt style has its own."""
    assert f"| {_stops(COMPLETION_STOPS)} |" in PROMPTS_PAGE
    assert f"| {_stops(JAVASCRIPT_STOPS)} |" in PROMPTS_PAGE
    assert f"the block, {_stops(CHAT_STOPS)}." in " ".join(PROMPTS_PAGE.split())


def test_the_completion_shown_becomes_the_program_shown() -> None:
    """The example of extraction is what the program extracts."""
    program = HELLO.prompt + extract_code(CHAT_COMPLETION, prompt=HELLO.prompt, entry_point=HELLO.entry_point)

    assert _shown(CHAT_COMPLETION) in PROMPTS_PAGE
    assert _shown(program) in PROMPTS_PAGE


def test_every_prompt_style_is_explained() -> None:
    """No choice of --qeval-prompt is missing."""
    assert all(f"`--qeval-prompt {name}`" in PROMPTS_PAGE or f"`{name}`" in PROMPTS_PAGE for name in PROMPTS)


@pytest.mark.parametrize(
    ("option", "names"), [("prompt", PROMPTS), ("sandbox", ISOLATIONS), ("suite", (*SUITES, "all", *MORE_SUITES))]
)
def test_the_help_lists_what_an_option_accepts(option: str, names: tuple[str, ...]) -> None:
    """The table of options is written by hand, so that an inactive plugin imports nothing for it."""
    words = next(one.help for one in OPTIONS if one.name == option).replace(",", " ").replace("'", " ").split()

    assert set(names) <= {*words}


def test_every_gate_on_robustness_can_be_read() -> None:
    """An example ends before two blanks."""
    block = ROBUSTNESS.split("## Gates\n\n")[1].split("\n\n")[0]
    gates = [re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines()]

    assert len(gates) == 4
    assert [parse_gate(expression).expression for expression in gates] == gates


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("your-perturbations.md", "conftest.py"),
        ("your-problems.md", "test_ours.py"),
        ("your-reporter.md", "reporter.py"),
        ("results-in-pandas.md", "results_in_pandas.py"),
    ],
)
def test_the_example_shown_is_the_one_that_is_run(page: str, file: str) -> None:
    """Only docstrings are left out of the page."""
    shown = _text(page).split("```python\n")[1].split("```")[0]
    lines = (DOCS / "examples" / file).read_text(encoding="utf-8").splitlines()

    assert shown.split() == "\n".join(line for line in lines if '"""' not in line).split()


def test_the_columns_of_the_tables_are_listed() -> None:
    """With their types and meanings, in their order."""
    rows = [f"| `{one.name}` | {one.kind} | {one.meaning} |" for one in COLUMNS]

    assert _table(_text("results-in-pandas.md"), "| column |")[2:] == rows


def test_every_benchmark_is_listed() -> None:
    """Each with its own row, and MBPP's problems that are left out."""
    text = _text("benchmarks.md")

    assert set(re.findall(r"^\| \*([\w-]+)\* \|", text, flags=re.MULTILINE)) == set(registry.names("benchmarks"))
    assert set(re.findall(r"MBPP/\d+", text)) == set(EXCLUDED)
    left_out = dict(
        re.findall(r"^\| `(HumanEval_javascript/\d+)` \| (.+) \|$", _text("javascript.md"), flags=re.MULTILINE)
    )
    assert left_out == JAVASCRIPT_EXCLUDED


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links all others."""
    links = re.findall(r"\]\(([\w/.-]+\.md)\)", _text("README.md"))

    assert sorted(links) == sorted(
        str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.name != "README.md"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """The file exists, and so does the heading, where the link names one."""
    links = re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not _exists(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_option_named_exists(page: Path) -> None:
    """An option that is renamed is renamed in the pages."""
    commands = {"--qeval-list", "--qeval-compare", "--qeval-render", "--qeval-fit"}
    known = {f"--qeval-{option.name}" for option in OPTIONS} | commands

    assert set(re.findall(r"--qeval-[a-z-]+[a-z]", page.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_the_package_can_be_imported(page: Path) -> None:
    """Modules, classes and functions are written with their full name; groups of entry points look like them."""
    named = set(re.findall(r"\bpytest_qeval(?:\.\w+)+", page.read_text(encoding="utf-8")))

    for name in sorted(named - {f"pytest_qeval.{kind}" for kind in registry.KINDS}):
        pkgutil.resolve_name(name)


def _exists(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_the_repository_that_is_named_exists(page: Path) -> None:
    """Paths in code spans and commands; files that the user has or that a run writes are in no folder of these."""
    named = re.findall(
        r"\b((?:benchmarks|docs|pytest_qeval|suites|tests|tools)/[\w./-]*\w)", page.read_text(encoding="utf-8")
    )

    assert [path for path in named if not (ROOT / path).exists()] == []

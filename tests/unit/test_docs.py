"""What the pages of docs show is what the program does."""

import re
import textwrap
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.base import COMPLETION_STOPS
from pytest_qeval.benchmarks.chat import CHAT_STOPS, FUNCTION_TASK, SCRIPT_TASK, chat_prompt
from pytest_qeval.benchmarks.extraction import extract_code
from pytest_qeval.perturb.base import CATEGORIES
from pytest_qeval.perturb.selection import FULL, SCREENED, perturbation_table, select
from pytest_qeval.schema import Problem
from pytest_qeval.settings import PROMPTS
from pytest_qeval.stats.paired import detectable_drop, problems_needed
from pytest_qeval.verdict.gates.file import read_gate_file
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.metrics import gate_table

PAGE = Path(__file__).parents[2] / "docs" / "gates.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
PROMPTS_PAGE = PAGE.with_name("prompts.md")
PROMPTS_TEXT = PROMPTS_PAGE.read_text(encoding="utf-8") if PROMPTS_PAGE.exists() else ""

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
ANSWER = """\
Of course. Here it is:

```python
def longest(words: List[str]) -> str:
    return max(words, key=len)

print(longest(["a", "bc"]))
```

It looks at the length of each word.
"""

pytestmark = pytest.mark.skipif(not TEXT, reason="an installed package has no documentation beside its tests")


def test_the_table_of_metrics_is_the_program_s() -> None:
    assert "\n".join(gate_table()) in TEXT


def test_every_gate_shown_can_be_read() -> None:
    """In the examples: everything in front of two blanks."""
    block = TEXT.split("Some examples:\n\n")[1].split("\n\n")[0]
    shown = [re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines()]

    assert len(shown) == 9
    assert [parse_gate(expression).expression for expression in shown] == shown


def test_the_gate_file_shown_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(TEXT.split("```toml\n")[1].split("```")[0], encoding="utf-8")

    assert [gate.recipe for gate in read_gate_file(path)] == ["int8*", "int4", "w4a16-*", None]


def test_what_a_run_can_prove_is_what_the_tables_say() -> None:
    """The rows of HumanEval's size and of 2 points."""
    assert f"| 164 | {100 * detectable_drop(164, discordance=0.04):.1f} pt" in TEXT
    assert f" | {100 * detectable_drop(164):.1f} pt" in TEXT
    assert f"| 2 pt | {problems_needed(0.02, discordance=0.04)} | {problems_needed(0.02)} |" in TEXT


def _shown(text: str) -> str:
    """Give a text as an indented block of Markdown."""
    return textwrap.indent(text.rstrip("\n"), "    ")


def _stops(stops: tuple[str, ...]) -> str:
    return " ".join(f"`` {stop!r} ``" if "`" in stop else f"`{stop!r}`" for stop in stops)


@pytest.mark.parametrize(("problem", "task"), [(HELLO, FUNCTION_TASK), (DOUBLE, SCRIPT_TASK)])
def test_the_messages_shown_are_what_is_asked(problem: Problem, task: str) -> None:
    """To the character, and so is the beginning of the answer."""
    prompt = chat_prompt(problem, task)

    assert _shown(prompt.user or "") in PROMPTS_TEXT
    assert f"\n\n{_shown(prompt.text)}\n\n" in PROMPTS_TEXT


def test_the_stops_shown_are_those_of_the_styles() -> None:
    assert f"| {_stops(COMPLETION_STOPS)} |" in PROMPTS_TEXT
    assert f"the block, {_stops(CHAT_STOPS)}." in " ".join(PROMPTS_TEXT.split())


def test_the_answer_shown_becomes_the_program_shown() -> None:
    program = HELLO.prompt + extract_code(ANSWER, prompt=HELLO.prompt, entry_point=HELLO.entry_point)

    assert _shown(ANSWER) in PROMPTS_TEXT
    assert _shown(program) in PROMPTS_TEXT


def test_every_style_is_explained() -> None:
    assert all(f"`--qeval-prompt {name}`" in PROMPTS_TEXT or f"`{name}`" in PROMPTS_TEXT for name in PROMPTS)


def test_the_table_of_perturbations_is_the_program_s() -> None:
    shown = (PAGE.parent / "robustness.md").read_text(encoding="utf-8")

    assert "\n".join(perturbation_table()) in shown
    assert len(perturbation_table()) == 2 + len(select([FULL]))


def test_the_set_screen_is_what_the_page_says() -> None:
    """Two of each category, marked in the table."""
    chosen = [one.category for one in select(SCREENED)]

    assert {category: chosen.count(category) for category in CATEGORIES} == dict.fromkeys(CATEGORIES, 2)
    assert {row.split("`")[1] for row in perturbation_table() if "` * |" in row} == set(SCREENED)


def test_every_gate_on_robustness_can_be_read() -> None:
    """In the page's own section."""
    shown = (PAGE.parent / "robustness.md").read_text(encoding="utf-8")
    block = shown.split("## Gates\n\n")[1].split("\n\n")[0]
    gates = [re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines()]

    assert len(gates) == 4
    assert [parse_gate(expression).expression for expression in gates] == gates


def test_the_page_on_your_perturbations_shows_the_example() -> None:
    """But for what each line is for."""
    shown = (PAGE.parent / "your-perturbations.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    example = (PAGE.parent / "examples" / "conftest.py").read_text(encoding="utf-8")

    lines = [line for line in example.splitlines() if '"""' not in line]
    assert shown.split() == "\n".join(lines).split()


def test_the_page_on_your_problems_shows_the_example() -> None:
    """The test that is shown is the one that lies there and is run."""
    shown = (PAGE.parent / "your-problems.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    example = (PAGE.parent / "examples" / "test_ours.py").read_text(encoding="utf-8")

    lines = [line for line in example.splitlines() if '"""' not in line]
    assert shown.split() == "\n".join(lines).split()

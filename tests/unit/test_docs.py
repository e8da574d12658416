"""What the pages of docs show is what the program does."""

import re
from pathlib import Path

import pytest

from pytest_qeval.stats.paired import detectable_drop, problems_needed
from pytest_qeval.verdict.gate_file import read_gate_file
from pytest_qeval.verdict.gates import parse_gate
from pytest_qeval.verdict.observe import gate_table

PAGE = Path(__file__).parents[2] / "docs" / "gates.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""

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


def test_the_page_on_your_problems_shows_the_example() -> None:
    """The test that is shown is the one that lies there and is run."""
    shown = (PAGE.parent / "your-problems.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    example = (PAGE.parent / "examples" / "test_ours.py").read_text(encoding="utf-8")

    lines = [line for line in example.splitlines() if '"""' not in line]
    assert shown.split() == "\n".join(lines).split()

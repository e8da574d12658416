"""The README is tested like code."""

import re
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.options import OPTIONS
from pytest_qeval.verdict.gates.grammar import parse_gate

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""

pytestmark = pytest.mark.skipif(not TEXT, reason="an installed package has no README beside its tests")


def test_the_table_of_recipes_is_what_is_installed() -> None:
    """Every recipe with its own summary, and no other."""
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", TEXT, flags=re.MULTILINE))

    assert rows == {name: registry.load("recipes", name).summary for name in registry.names("recipes")}


def test_every_option_named_exists() -> None:
    """An option that was renamed must not live on in the README."""
    commands = {"--qeval-list", "--qeval-compare", "--qeval-render", "--qeval-fit"}
    known = {f"--qeval-{option.name}" for option in OPTIONS} | commands

    assert set(re.findall(r"--qeval-[a-z-]+[a-z]", TEXT)) <= known


def test_every_gate_shown_can_be_read() -> None:
    """The examples are taken at their word."""
    shown = re.findall(
        r"^    ((?:p90 )?(?:\w+:)?[a-z_]+(?:@\d)?(?: \w+)? [<>]=? \S+(?: rough)?)", TEXT, flags=re.MULTILINE
    )

    assert len(shown) == 11
    assert all(parse_gate(expression).expression == expression for expression in shown)


def test_there_are_exactly_two_commands_to_set_up() -> None:
    """One runs the main job, one passes the tests, each complete in itself."""
    blocks = re.findall(r"```bash\n(.*?)\n```", TEXT, flags=re.DOTALL)

    assert len(blocks) == 2
    assert all(block.startswith("python3 -m venv .venv && .venv/bin/pip install") for block in blocks)
    assert "--qeval-model demo --qeval-recipe int8" in blocks[0]
    assert blocks[1].endswith("-m pytest -n 2 --dist loadfile")

"""The page in a browser: it opens without a network, does what it should, and is accessible.

Needs the Chromium of the system and Playwright; axe-core is looked for in `AXE_CORE` (a path of axe.min.js) and in
`node_modules` (`npm install axe-core`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.report.html.page import page_of, render
from pytest_qeval.schema import Record
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.hostile_texts import HOSTILE, hostile_session
from tests.unit.report.html.test_page import SENSITIVITY, STREAMS, quickly
from tests.unit.report.test_sentences import BROKEN, PASSED
from tests.unit.summary.builders import BASELINE, INT8, generation, session
from tests.unit.summary.divergences import rising
from tests.unit.summary.perturbed import BASE, OWN, robust_session

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")
pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROOT = Path(__file__).parents[2]
AXE = Path(os.environ.get("AXE_CORE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine: apt-get install chromium"),
    pytest.mark.timeout(300),
]

TEXTS = {
    ("auto", "+"): "    total = 0\n    for value in values:\n        total += value\n    return total\n",
    ("int8", "+"): "    total = 0\n    for value in values:\n        total += value\n    return total\n",
    ("int8", "-"): "    total = 0\n    for value in values:\n        total -= value\n    return max(total, 0)\n",
    ("auto", "-"): "    return sum(values) + 1\n",
}


def material() -> SummaryInput:
    """Make a session with all sections: code that differs, perturbed problems, hostile text."""
    code, hostile = robust_session(BASE, OWN), hostile_session(" ".join(text[:2000] for text in HOSTILE.values()))
    return replace(
        code,
        planned=[*code.planned, *hostile.planned],
        records=[*map(_with_code, code.records), *hostile.records],
        recipes={"auto": BASELINE, "int8": INT8},
        generation=[generation(name, tokens=100, busy_s=1.0, energy_wh=0.2) for name in ("auto", "int8")],
        streams=STREAMS,
        sensitivity={"int8": SENSITIVITY},
        divergence={"int8": rising(9)},
    )


def _with_code(record: Record) -> Record:
    solved = "+" if record.n_solved else "-"
    samples = tuple(
        replace(one, completion=replace(one.completion, text=TEXTS[record.recipe, solved])) for one in record.samples
    )
    return replace(record, samples=samples)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the page, and return its address."""
    found, path = material(), tmp_path_factory.mktemp("page") / "report.html"
    records = {(one.recipe, one.case): one for one in found.records}
    path.write_text(render(page_of(summarize(found), [PASSED, BROKEN], records)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM)
        yield launched
        launched.close()


class Opened:
    """A page in its own context, and what went wrong with it."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.problems: list[str] = []
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.problems.extend({request.url} - {address}))
        self.page.goto(address)
        self.page.wait_for_selector("#ledger tbody tr")

    def cells(self, column: int, rows: str = "#ledger tbody tr:not(.opened)") -> list[str]:
        """Return the texts of a column, counted from 1."""
        found: list[str] = self.page.locator(f"{rows} > :nth-child({column})").all_inner_texts()
        return found


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opened]:
    found = Opened(browser, address)
    yield found
    found.page.context.close()
    assert found.problems == [], "no console message, no error, no request"


def test_filters_show_what_they_say(opened: Opened) -> None:
    """First the flips; by kind, benchmark and recipe; the count is announced."""
    page = opened.page
    assert {kind.lstrip("▼▲ ") for kind in opened.cells(4)} == {"regressed", "fixed"}
    page.select_option("[name=kind]", "both solved")
    assert set(opened.cells(4)) == {"both solved"}
    page.select_option("[name=kind]", "all")
    page.select_option("[name=benchmark]", "micro, perturbed")
    assert set(opened.cells(2)) == {"micro, perturbed"}
    shown = len(opened.cells(1))
    assert page.inner_text("#count").startswith(f"{shown} of ")


def test_the_search_looks_into_code_and_failures(opened: Opened) -> None:
    page = opened.page
    page.select_option("[name=kind]", "all")
    page.fill("[name=search]", "MAX(total")
    assert opened.cells(1)
    page.locator("#ledger tbody button").first.click()
    assert "max(total, 0)" in page.inner_text("#ledger .opened")
    page.fill("[name=search]", "nobody wrote this")
    assert opened.cells(1) == []
    assert page.inner_text("#count").startswith("0 of ")


def test_a_row_opens_by_keyboard_and_marks_the_first_difference(opened: Opened) -> None:
    """Both programs side by side, the differing token marked in each, and said in a sentence."""
    page = opened.page
    page.select_option("[name=kind]", "regressed")
    page.fill("[name=search]", "max(total")
    button = page.locator("#ledger tbody button").first
    button.focus()
    page.keyboard.press("Enter")

    assert button.get_attribute("aria-expanded") == "true"
    assert page.locator("#ledger .opened mark").all_inner_texts() == ["+", "-"]
    assert page.inner_text("#ledger .note") == 'First difference: line 3, column 15: "+" became "-".'
    assert page.locator("#ledger .opened .line.del").count() == page.locator("#ledger .opened .line.ins").count() == 2
    page.keyboard.press("Enter")
    assert page.locator("#ledger .opened").count() == 0


@pytest.mark.parametrize(
    ("texts", "note", "marks"),
    [
        (("x = f(n):\n", "x = f(n + 1):\n"), 'line 1, column 8: " + 1" was added', ["", " + 1"]),
        (("x = f(n, m)\ny\n", "x = f(n)\nz\n"), 'line 1, column 8: ", m" is missing', [", m", ""]),
        (("x = one\n", "x = two\n"), 'line 1, column 5: "one" became "two"', ["one", "two"]),
        (("x = f(n)\ny\n", "x = f(n)  # so\ny\n"), 'line 1, column 9: "  # so" was added', ["⏎", "  # so"]),
        (("x = f(a, b)\n", "x = f(\n    a, b)\n"), 'line 1, column 7: "a" became "\\n    "', ["a", "⏎"]),
        (("x\n\n  y\n", "x\n  y\n"), 'line 2, column 1: "\\n  " became "  "', ["⏎", "  "]),
        (("a😁\n", "a😀\n"), 'line 1, column 2: "😁" became "😀"', ["😁", "😀"]),
        (("x\ny\n", "x\n"), 'line 2, column 1: "y" is missing', ["y"]),
    ],
    ids=["added", "missing", "changed", "at the end", "wrapped", "blank line", "emoji", "shorter"],
)
def test_what_differs_is_named(
    browser: Any, tmp_path: Path, texts: tuple[str, str], note: str, marks: list[str]
) -> None:
    """What was put in, or left out, on a line is marked as a whole, and its place in the other program."""
    found, path = session("+", "-"), tmp_path / "report.html"
    written = dict(zip(("auto", "int8"), texts, strict=True))
    records = {
        (one.recipe, one.case): replace(
            one, samples=(replace(sample, completion=replace(sample.completion, text=written[one.recipe])),)
        )
        for one in found.records
        for sample in one.samples
    }
    path.write_text(quickly(page_of(summarize(found), [], records)), encoding="utf-8")
    opened = Opened(browser, path.as_uri())
    opened.page.locator("#ledger tbody button").first.click()

    assert opened.page.inner_text("#ledger .note") == f"First difference: {note}."
    assert opened.page.locator("#ledger .opened mark").all_text_contents() == marks
    opened.page.context.close()


def test_tables_are_sorted_by_their_heads(opened: Opened) -> None:
    """By numbers where there are numbers, and the state is said by `aria-sort`."""
    page = opened.page
    page.select_option("[name=kind]", "all")
    heads = page.locator("#ledger thead th")
    heads.nth(0).locator("button").click()
    ascending = opened.cells(1)
    assert heads.nth(0).get_attribute("aria-sort") == "ascending"
    heads.nth(0).locator("button").click()
    assert heads.nth(0).get_attribute("aria-sort") == "descending"
    assert opened.cells(1) != ascending
    ratio = page.locator("#recipes > .scroll thead th").nth(4)
    ratio.locator("button").click()
    values = [float(text.split()[0]) for text in opened.cells(5, "#recipes > .scroll tbody tr") if text != "–"]
    assert values == sorted(values) != []


def test_the_theme_is_chosen_by_the_reader(opened: Opened) -> None:
    """System, light, dark; remembered for the next page."""
    page = opened.page
    colour = "getComputedStyle(document.body).backgroundColor"
    page.click("#theme")
    light = page.evaluate(colour)
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: dark"
    assert page.evaluate(colour) != light
    page.reload()
    assert page.inner_text("#theme") == "Theme: dark"


def test_a_link_in_an_answer_shows_the_problems_of_its_recipe(opened: Opened) -> None:
    opened.page.click("a[data-recipe=int8]")
    assert opened.page.input_value("[name=recipe]") == "int8"


def test_hostile_text_runs_nothing(opened: Opened) -> None:
    """Every row opened: no dialog, no element of its own, and `opened` finds no request and no error."""
    page = opened.page
    dialogs: list[str] = []

    def refuse(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    page.select_option("[name=kind]", "all")
    page.fill("[name=search]", "onerror")
    assert opened.cells(1)
    for button in page.locator("#ledger tbody button").all():
        button.click()
    assert dialogs == []
    assert page.locator("#ledger img, #ledger script, #ledger style").count() == 0
    assert "</script><script>alert(1)</script>" in page.inner_text("#ledger")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_does_not_scroll_sideways(browser: Any, address: str, width: int) -> None:
    """Wide tables scroll by themselves."""
    found = Opened(browser, address, viewport={"width": width, "height": 800})
    found.page.select_option("[name=kind]", "all")
    found.page.locator("#ledger tbody button").first.click()

    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    visible = found.page.locator("svg.plot:visible").count()
    assert visible == found.page.locator("figure").count() > 5
    found.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.skipif(not AXE.is_file(), reason="there is no axe-core: npm install axe-core, or name it by AXE_CORE")
def test_axe_finds_no_fault(browser: Any, address: str, width: int, scheme: str) -> None:
    """Of WCAG 2.2 AA, with a row and all folds open."""
    found = Opened(browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme)
    found.page.locator("#ledger tbody button").first.click()
    found.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found.page.evaluate(AXE.read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    faults = found.page.evaluate("(tags) => axe.run(document, { runOnly: tags })", tags)["violations"]

    assert [(one["id"], one["impact"], [node["html"][:200] for node in one["nodes"][:3]]) for one in faults] == []
    found.page.context.close()

"""What an ini file says of this plugin is read, or refused by name; with and without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import pytest

Configure = Callable[..., pytest.Config]


def check_refused(configure: Configure, sentence: str, *arguments: str) -> None:
    with pytest.raises(pytest.UsageError) as refused:
        configure(*arguments)
    assert fnmatchcase(str(refused.value).replace("[", "("), sentence.replace("[", "("))


@pytest.mark.parametrize(
    ("name", "section"), [("tox.ini", "[pytest]"), ("pyproject.toml", "[tool.pytest.ini_options]")]
)
@pytest.mark.parametrize("key", ["qeval_gates", "qeval-gate", "QEVAL_GATE", "Qeval_Gate", "pytest_qeval_gate"])
def test_an_unknown_key_is_refused(
    configure: Configure, pytester: pytest.Pytester, name: str, section: str, key: str
) -> None:
    """It must not make a run that judges no gate and passes."""
    pytester.path.joinpath(name).write_text(f"{section}\n{key} = 'regressed <= 0'\n", encoding="utf-8")

    check_refused(configure, f"the key '{key}', set in */{name}, is unknown. Did you mean 'qeval_gate'? *")


def test_an_unknown_key_that_was_typed_is_not_of_the_file(
    configure: Configure, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\n")
    sentence = "the key 'qeval-gate', set by {}, is unknown. Did you mean 'qeval_gate'? *"
    check_refused(configure, sentence.format("-o"), "-o", "qeval-gate=x")
    check_refused(configure, sentence.format("-o"), "--override-ini=qeval-gate=x")

    monkeypatch.setenv("PYTEST_ADDOPTS", "-o qeval-gate=x")
    check_refused(configure, sentence.format("PYTEST_ADDOPTS"))


SECTIONS = {
    "pyproject": ("pyproject.toml", "[tool.qeval]\ngate = ['x']", "[tool.qeval]"),
    "its keys": ("pyproject.toml", "[ tool.qeval ]\n\n# ours\nqeval_gate = ['x']", "[tool.qeval]"),
    "below": ("pyproject.toml", "[[tool.qeval.gate]]\ngate = 'x'", "[tool.qeval]"),
    "in pytest's": ("pyproject.toml", "[tool.pytest.ini_options.qeval]\ngate = 'x'", "[tool.pytest.ini_options.qeval]"),
    "ini": ("pytest.ini", "[pytest]\nqeval_limit = 3\n[qeval]\ngate = x", "[qeval]"),
    "cfg": ("setup.cfg", "[tool:pytest]\n[tool:qeval]\ngate = x", "[tool:qeval]"),
    "not the first": ("tox.ini", "[pytest]\n[qeval]\ndeps = x\ngate = x", "[qeval]"),
    "nearly a key": ("tox.ini", "[pytest]\n[qeval]\ngates = x", "[qeval]"),
    "our package": ("pyproject.toml", "[tool.pytest-qeval]\ngate = ['x']", "[tool.pytest-qeval]"),
    "our module": ("pyproject.toml", "[tool.pytest_qeval]\nqeval_gate = ['x']", "[tool.pytest_qeval]"),
    "our package in an ini": ("tox.ini", "[pytest]\n[pytest-qeval]\ngate = x", "[pytest-qeval]"),
    "dotted": ("pyproject.toml", "[tool]\nqeval.gate = ['x']", "[tool.qeval]"),
    "ini in toml": ("pyproject.toml", "[pytest]\nqeval_gate = ['x']", "[pytest]"),
    "dashes": ("pyproject.toml", "[tool.pytest.ini-options]\nqeval_gate = ['x']", "[tool.pytest.ini-options]"),
    "options": ("pyproject.toml", "[tool.pytest.options]\nqeval_gate = ['x']", "[tool.pytest.options]"),
    "no section": ("pyproject.toml", "qeval_gate = ['x']", "[]"),
    "cfg in ini": ("pytest.ini", "[pytest]\n[tool:pytest]\nqeval_gate = x", "[tool:pytest]"),
    "toml in ini": (
        "tox.ini",
        "[pytest]\n[tool.pytest.ini_options]\nqeval_gate = x",
        "[tool.pytest.ini_options]",
    ),
}


@pytest.mark.parametrize(("name", "text", "section"), SECTIONS.values(), ids=SECTIONS)
def test_a_section_of_our_own_is_refused(
    configure: Configure, pytester: pytest.Pytester, name: str, text: str, section: str
) -> None:
    """Other tools have theirs; pytest reads one section only."""
    pytester.path.joinpath(name).write_text(text, encoding="utf-8")

    check_refused(configure, f"*/{name} has the section {section}, which * Did you mean 'qeval_gate'? Write *")


@pytest.mark.parametrize("section", ["tool.qeval", "tool.pytest.ini_options"])
def test_a_section_beside_another_ini_file_is_refused(
    configure: Configure, pytester: pytest.Pytester, section: str
) -> None:
    """Pytest does not even open it."""
    pytester.makefile(".ini", pytest="[pytest]\n")
    pytester.makepyprojecttoml(f"[{section}]\nqeval_gate = ['x']\n")

    sentence = f"*/pyproject.toml has the section [{section}], which * into [pytest] of pytest.ini."
    check_refused(configure, sentence)


@pytest.mark.parametrize("text", ["[tool.pytest.ini_options]\nqeval_gate = ['x']\n", "[broken\nqeval_gate = 1\n"])
def test_the_ini_file_that_was_not_chosen_may_say_what_it_likes(
    configure: Configure, pytester: pytest.Pytester, text: str
) -> None:
    """Who names another one knows."""
    pytester.makepyprojecttoml(text)
    path = pytester.path / "other.ini"
    path.write_text("[pytest]\n", encoding="utf-8")

    assert configure("-c", str(path), "test_own.py").args == ["test_own.py"]


@pytest.mark.parametrize(
    "text",
    [
        '[project.entry-points."pytest_qeval.recipes"]\nours = "ours:RECIPE"\n',
        "[tool.qevaluate]\ngate = 1\n",
        '[project]\ndescription = """\nqeval = 3\n"""\n',
        "[tool.qeval]\n",
        '[project.scripts]\nqeval_gate = "ours:main"\n',
        '[tool.poe.tasks]\nqeval_selftest = "pytest --qeval-selftest"\n[tool.poe.tasks.qeval]\nengine = "x"\n',
        '[tool.uv.sources]\npytest-qeval = {path = "x"}\n',
    ],
)
def test_what_is_about_something_else_is_left_alone(configure: Configure, pytester: pytest.Pytester, text: str) -> None:
    pytester.makefile(".ini", pytest="[pytest]\n")
    pytester.makepyprojecttoml(text)

    assert configure("test_own.py").args == ["test_own.py"]


def test_sections_of_other_tools_may_be_called_like_us(configure: Configure, pytester: pytest.Pytester) -> None:
    """Tox refers to them: `{[qeval]deps}`."""
    pytester.makeini("[pytest]\nqeval_limit = 3\n[qeval]\ndeps = pytest-qeval\n[testenv:qeval]\ntimeout = 3\n")

    assert configure("test_own.py").args == ["test_own.py"]


@pytest.mark.parametrize("key", ["ours_qeval_dir", "qeval_ours"])
def test_keys_of_other_plugins_are_left_alone(configure: Configure, pytester: pytest.Pytester, key: str) -> None:
    """However they are given."""
    pytester.makeconftest(f"def pytest_addoption(parser): parser.addini({key!r}, 'x')")
    config = configure("-o", f"{key}=x", "test_own.py")
    assert config.getini(key) == "x"

    pytester.makeini(f"[pytest]\n{key} = x\n")
    assert configure("test_own.py").getini(key) == "x"


def test_an_unknown_key_that_only_contains_our_name_is_left_alone(
    configure: Configure, pytester: pytest.Pytester
) -> None:
    """Pytest warns of it."""
    pytester.makeini("[pytest]\nours_qeval_dir = x\n")

    assert configure("-o", "their_qeval=x", "test_own.py").args == ["test_own.py"]


@pytest.mark.parametrize("arguments", [(), ("--qeval-model=demo",)], ids=["without a model", "with a model"])
def test_neither_true_nor_false_is_refused(
    configure: Configure, pytester: pytest.Pytester, arguments: Sequence[str]
) -> None:
    """Pytest itself names neither the key nor the file."""
    path = pytester.makeini("[pytest]\nqeval_strict = maybe\n")

    check_refused(configure, f"qeval_strict, set in {path}, expects true or false: *'maybe'.", *arguments)
    check_refused(configure, "qeval_strict, set by -o, expects *'no way'.", *arguments, "-oqeval_strict=no way")

from importlib.metadata import EntryPoint

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import UnknownNameError, UsageError


def test_unknown_names_get_a_suggestion() -> None:
    """A typing error is refused with the nearest names and all that there are."""
    with pytest.raises(UnknownNameError, match=r"no recipe 'int9'. Did you mean 'int8' or 'int4'\?.*Available: .*auto"):
        registry.load("recipes", "int9")


def test_a_name_that_resembles_nothing_gets_the_list() -> None:
    """No guess is better than a wild one."""
    found = r"^there is no engine 'qqq'\. Available: llamacpp, openai, transformers, vllm\.$"
    with pytest.raises(UnknownNameError, match=found):
        registry.load("engines", "qqq")


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("no_such_module:RECIPE", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("json:RECIPE", "AttributeError: module 'json' has no attribute 'RECIPE'"),
    ],
)
def test_an_entry_point_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, value: str, fault: str) -> None:
    """It may be another package's."""
    entry = EntryPoint(name="ours", value=value, group="pytest_qeval.recipes")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])  # noqa: ARG005 - called by keyword
    with pytest.raises(UsageError) as error:
        registry.load("recipes", "ours")

    sentence = f"'ours' cannot be loaded: its entry point {value!r} of pytest_qeval.recipes failed ({fault})."
    assert str(error.value) == sentence


def test_a_bug_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(name="ours", value="pytest_qeval.errors:missing", group="pytest_qeval.recipes")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])  # noqa: ARG005 - called by keyword
    with pytest.raises(AttributeError, match="missing"):
        registry.load("recipes", "ours")


@pytest.mark.parametrize("kind", ["benchmarks", "recipes", "quantizers", "engines", "reporters"])
def test_everything_listed_can_be_loaded_and_says_what_it_is(kind: registry.Kind) -> None:
    """Every built-in entry has its own name and a summary of one line."""
    for name in registry.names(kind):
        found = registry.load(kind, name)

        assert found.name == name
        assert found.summary
        assert "\n" not in found.summary

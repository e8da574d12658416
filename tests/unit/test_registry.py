import pytest

from pytest_qeval import registry
from pytest_qeval.errors import UnknownNameError


def test_unknown_names_get_a_suggestion() -> None:
    """A typing error is refused with the nearest names and all that there are."""
    with pytest.raises(UnknownNameError, match=r"no recipe 'int9'. Did you mean 'int8' or 'int4'\?.*Available: .*auto"):
        registry.load("recipes", "int9")


def test_a_name_that_resembles_nothing_gets_the_list() -> None:
    """No guess is better than a wild one."""
    with pytest.raises(UnknownNameError, match=r"^there is no engine 'qqq'\. Available: transformers\.$"):
        registry.load("engines", "qqq")


@pytest.mark.parametrize("kind", ["benchmarks", "recipes", "quantizers", "engines"])
def test_everything_listed_can_be_loaded_and_says_what_it_is(kind: registry.Kind) -> None:
    """Every built-in entry has its own name and a summary of one line."""
    for name in registry.names(kind):
        found = registry.load(kind, name)

        assert found.name == name
        assert found.summary
        assert "\n" not in found.summary

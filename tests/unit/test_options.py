"""The table of options."""

from pytest_qeval.options import GROUPS, OPTIONS


def test_every_option_is_in_one_group() -> None:
    """An option outside of the groups would not be added at all."""
    grouped = [name for names in GROUPS.values() for name in names]

    assert sorted(grouped) == sorted(option.name for option in OPTIONS)

"""Addresses and variables on the command line."""

import pytest

from pytest_qeval.engines.openai.address import check_variable, is_address, read_address
from pytest_qeval.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost:8080", "http://localhost:8080/v1"),
        ("http://localhost:8080/", "http://localhost:8080/v1"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("https://example.com/api/v3", "https://example.com/api/v3"),
        ("HTTP://[::1]:80", "http://[::1]:80/v1"),
    ],
)
def test_addresses_are_completed(text: str, expected: str) -> None:
    """A path that the user gives is kept."""
    assert is_address(text)
    assert read_address(text, "endpoint") == expected


@pytest.mark.parametrize(
    "text", ["localhost:8080", "ftp://x", "http://", "http://x:99999", "http://x:y", "http://[::1", ""]
)
def test_other_texts_are_refused(text: str) -> None:
    """With an example of what is expected."""
    with pytest.raises(UsageError, match="expects an address such as http://localhost:8080"):
        read_address(text, "endpoint")


@pytest.mark.parametrize(
    "text",
    [
        "https://me:secret@x",
        "https://secret@x",
        "https://x/v1?key=secret",
        "ftp://secret@x",
        "http://me:pa/secret@x",
        "http://me:80/secret@x",
        "https://:80/?key=secret",
    ],
)
def test_passwords_are_refused_and_not_repeated(text: str) -> None:
    """Addresses stand in reports."""
    with pytest.raises(UsageError) as caught:
        read_address(text, "endpoint")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["sk-secret", "sk_secret", "hf_secret", "two words", ""])
def test_a_key_is_not_taken_for_the_name_of_a_variable(name: str) -> None:
    """And is not repeated."""
    with pytest.raises(UsageError, match="name of an environment variable") as caught:
        check_variable(name)
    assert "secret" not in str(caught.value)


def test_a_variables_name_is_taken() -> None:
    """As it is."""
    assert check_variable("OPENAI_API_KEY") == "OPENAI_API_KEY"

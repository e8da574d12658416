"""Text and identities of Allure results."""

from __future__ import annotations

import hashlib


def writable(text: str) -> str:
    """Return text that UTF-8 can encode: a model may write half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def identity(*parts: str) -> str:
    """Return the identity of a test with these parts, in Allure's own form, an MD5 digest."""
    return hashlib.md5(":".join(("pytest_qeval", *parts)).encode(), usedforsecurity=False).hexdigest()

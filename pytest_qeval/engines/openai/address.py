"""Addresses of servers, as users write them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pytest_qeval.errors import UsageError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_address(text: str) -> bool:
    """Return whether a text is meant as the address of a server."""
    return text.lower().startswith(("http://", "https://"))


def read_address(text: str, option: str) -> str:
    """Return the base address of a server's interface: without a path, `/v1` is added.

    Raises:
        UsageError: for anything but http and https, for a query, and for a password, which would end up in reports.
    """
    if any(character in text for character in "@?#"):  # before anything of it is shown
        raise UsageError(
            f"--qeval-{option}: an address must hold no user, password or query, for it stands in reports: put the key "
            "into an environment variable, and name that by --qeval-api-key-env."
        )
    try:
        parts = urlsplit(text.strip())
        known = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise UsageError(f"--qeval-{option} expects an address such as http://localhost:8080, not {text!r}.")
    path = parts.path.rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc}{path or '/v1'}"


def check_variable(name: str) -> str:
    """Return the name of an environment variable.

    Raises:
        UsageError: for something else, perhaps the key itself, which is not repeated.
    """
    if not _VARIABLE.fullmatch(name) or name.startswith(("sk_", "hf_")):
        raise UsageError(
            "--qeval-api-key-env expects the name of an environment variable, such as OPENAI_API_KEY, and not the key."
        )
    return name


def is_own_machine(address: str) -> bool:
    """Return whether an address is one of this machine."""
    host = urlsplit(address).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")

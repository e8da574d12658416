"""The countries whose grids codecarbon knows."""

from __future__ import annotations

from typing import Any

from pytest_qeval.errors import MissingPackageError, UsageError, did_you_mean


def known_country(code: str) -> str:
    """Return an ISO 3166-1 alpha-3 code in capital letters.

    Raises:
        UsageError: for a code that codecarbon has no data on; it would use the world average without a word.
        MissingPackageError: without codecarbon.
    """
    try:
        from codecarbon.input import DataSource  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        raise MissingPackageError("codecarbon", extra="energy", purpose="--qeval-country") from None
    source: Any = DataSource
    known = source().get_global_energy_mix_data()
    if code.upper() in known:
        return code.upper()
    names = {str(facts["country_name"]).lower(): iso for iso, facts in known.items()}
    guess = names.get(code.lower())
    hint = f"Did you mean {guess!r}? " if guess else did_you_mean(code.upper(), known)
    raise UsageError(
        f"--qeval-country expects an ISO code of three letters, such as FRA or USA, not {code!r}. {hint}"
        f"Codecarbon knows the grids of {len(known)} countries."
    )

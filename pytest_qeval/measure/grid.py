"""The countries whose grids codecarbon knows."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.errors import MissingPackageError, UsageError, did_you_mean

_TABLE = "data/private_infra/global_energy_mix.json"
"""In codecarbon's folder; importing codecarbon to ask for it would take a second, and pandas."""


def known_country(code: str) -> str:
    """Return an ISO 3166-1 alpha-3 code in capital letters.

    Raises:
        UsageError: for a code that codecarbon has no data on; it would use the world average without a word.
        MissingPackageError: without codecarbon.
    """
    spec = find_spec("codecarbon")
    if spec is None or spec.origin is None:
        raise MissingPackageError("codecarbon", extra="energy", purpose="--qeval-country")
    known = json.loads((Path(spec.origin).parent / _TABLE).read_text(encoding="utf-8"))
    if code.upper() in known:
        return code.upper()
    names = {str(facts["country_name"]).lower(): iso for iso, facts in known.items()}
    guess = names.get(code.lower())
    hint = f"Did you mean {guess!r}? " if guess else did_you_mean(code.upper(), known)
    raise UsageError(
        f"--qeval-country expects an ISO code of three letters, such as FRA or USA, not {code!r}. {hint}"
        f"Codecarbon knows the grids of {len(known)} countries."
    )

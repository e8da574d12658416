"""Values of a summary become JSON-ready values."""

import json
from dataclasses import dataclass

from pytest_qeval.report.plain import to_plain
from pytest_qeval.schema import Estimate, Quantity, Undefined


@dataclass(frozen=True)
class Inner:
    quantity: Quantity


@dataclass(frozen=True)
class Outer:
    by_k: dict[int, Quantity]
    names: tuple[str, ...]
    inner: Inner | None


def test_fields_keys_and_tuples_become_json() -> None:
    """Quantities keep the report's form at any depth."""
    estimate = Estimate(value=0.5, low=0.25, high=None, n=4, method="some")
    found = to_plain(Outer(by_k={1: estimate}, names=("a", "b"), inner=Inner(quantity=Undefined(reason="none"))))

    assert (
        found
        == json.loads(json.dumps(found))
        == {
            "by_k": {"1": {"value": 0.5, "low": 0.25, "high": None, "n": 4, "method": "some", "confidence": 0.95}},
            "names": ["a", "b"],
            "inner": {"quantity": {"undefined": "none"}},
        }
    )


def test_scalars_stay_what_they_are() -> None:
    assert to_plain([None, True, 1, 0.5, "text"]) == [None, True, 1, 0.5, "text"]

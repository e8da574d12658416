"""Values of a summary as JSON-ready values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_qeval.schema import Json, Undefined


def to_plain(value: object) -> Any:
    """Return dicts, lists and scalars; an undefined quantity is `{"undefined": reason}`."""
    if isinstance(value, Undefined):
        return {"undefined": value.reason}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [to_plain(item) for item in value]
    fields = getattr(value, "__dataclass_fields__", None) or getattr(value, "__struct_fields__", None)
    return value if fields is None else {name: to_plain(getattr(value, name)) for name in fields}


def without(value: object, *names: str) -> Json:
    """Return the fields of a value as JSON-ready values, without those that its place in the report implies."""
    return {name: field for name, field in to_plain(value).items() if name not in names}

"""Unified diff of a nominal and a perturbed prompt, or of their completions."""

from __future__ import annotations

from difflib import unified_diff


def prompt_diff(before: str, after: str, label: str) -> str:
    """Return the unified diff of two texts, one line of context; empty where they are equal."""
    lines = unified_diff(before.splitlines(), after.splitlines(), "nominal", label, n=1, lineterm="")
    return "\n".join(lines)

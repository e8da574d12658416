"""Prompts for chat models: one user message, and the assistant prefill."""

from __future__ import annotations

import re
from typing import Literal

from pytest_qeval.schema import Problem, Prompt

_FORM = (
    "Answer with one block of Python code that holds the whole function and every import and helper function it needs. "
    "Leave out tests, examples and explanations."
)
FUNCTION_TASK = f"Complete the Python function `{{entry_point}}` that is begun below. {_FORM}"
"""Instruction for prompts that end within a function."""
SCRIPT_TASK = (
    f"Write the Python function `{{entry_point}}` that is described below, so that the assertion holds. {_FORM}"
)
"""Instruction for prompts that are a docstring with a text and an assert statement."""

CHAT_STOPS = ("\n```",)
"""The end of the block that the prefill opens. A fence inside a docstring is indented and does not end it."""

CHAT_STYLES: tuple[Literal["chat", "chat-prefilled"], ...] = ("chat", "chat-prefilled")
"""Prompt styles with a message; completions of the second continue the prompt, as in the completion style."""


def chat_prompt(problem: Problem, task: str, *, begun: str = "") -> Prompt:
    """Return the message, which shows the problem's prompt unchanged in a block, and the prefill, which opens a block.

    The instruction `task` has `{entry_point}` in place of the function's name; `begun` is code that the prefill goes on
    with.
    """
    end = "" if problem.prompt.endswith("\n") else "\n"
    longest = max(map(len, re.findall("`+", problem.prompt)), default=0)
    fence = "`" * max(3, longest + 1)  # no line of the prompt can close it
    instruction = task.replace("{entry_point}", problem.entry_point)
    message = f"{instruction}\n\n{fence}{problem.language}\n{problem.prompt}{end}{fence}"
    return Prompt(text=f"```{problem.language}\n{begun}", user=message)

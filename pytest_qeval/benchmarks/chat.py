"""How a problem is put to a chat model: one message, and the beginning of the answer."""

from __future__ import annotations

from pytest_qeval.benchmarks.fences import fence_for
from pytest_qeval.schema import Problem, Prompt

__all__ = ["CHAT_STOPS", "FUNCTION_TASK", "SCRIPT_TASK", "chat_prompt"]

_FORM = (
    "Answer with one block of Python code that holds the whole function and every import and helper function it needs. "
    "Leave out tests, examples and explanations."
)
FUNCTION_TASK = f"Complete the Python function `{{entry_point}}` that is begun below. {_FORM}"
"""For prompts that end within a function."""
SCRIPT_TASK = (
    f"Write the Python function `{{entry_point}}` that is described below, so that the assertion holds. {_FORM}"
)
"""For prompts that are a docstring with a text and an assert statement."""

CHAT_STOPS = ("\n```",)
"""The end of the block that the answer begins with. A fence inside a docstring is indented and does not end it."""

_BEGINNING = "```python\n"


def chat_prompt(problem: Problem, task: str) -> Prompt:
    """Return the message, which shows the problem's prompt unchanged in a block, and the opened block of the answer.

    Args:
        problem: What is asked.
        task: The instruction, with `{entry_point}` where the function's name goes.
    """
    end = "" if problem.prompt.endswith("\n") else "\n"
    fence = fence_for(problem.prompt)
    instruction = task.replace("{entry_point}", problem.entry_point)
    return Prompt(text=_BEGINNING, user=f"{instruction}\n\n{fence}python\n{problem.prompt}{end}{fence}")

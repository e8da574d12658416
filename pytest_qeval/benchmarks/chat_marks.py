"""Remove what surrounds the reply of a chat model: thoughts, the marks of its turn, a speaker's name before the code.

Tools that replay or decode completions differ in what they leave: special tokens as text, thoughts in the notation of
each family of models, the language's name of a fence whose backticks are in the prompt.
"""

from __future__ import annotations

import re

from pytest_qeval.benchmarks.python_source import find_statements

_THOUGHT = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|(?:inner_)?monologue)"
_NO_CODE = r"(?![ \t]*[-=,.:\[(+*/%@|&^<>])"
"""After a bracket: `[reason] = reasons` is Python."""
_OPENED = rf"(?:<\|?(?:begin_of_|start_)?{_THOUGHT}\|?>|\[{_THOUGHT}\]{_NO_CODE}|◁{_THOUGHT}▷|<\|channel>thought)"
_CLOSED = rf"(?:</{_THOUGHT}>|<\|end_(?:of_)?{_THOUGHT}\|>|\[/{_THOUGHT}\]|◁/{_THOUGHT}▷|<channel\|>)(?![\"']|`(?!``))"
_WHOLE = re.compile(rf"(?:^|(?<=[\s>])){_OPENED}.*?{_CLOSED}", re.DOTALL | re.IGNORECASE)
_BEFORE = re.compile(rf"\A.*{_CLOSED}", re.DOTALL | re.IGNORECASE)
_BEGINS = re.compile(rf"\s*{_OPENED}", re.IGNORECASE)
_UNENDED = re.compile(
    rf"\A\s*{_OPENED}|(?:^|(?<=\|>)){_OPENED}|^[ \t]*{_OPENED}[ \t]*(?:\n|\Z)", re.MULTILINE | re.IGNORECASE
)
"""At the beginning, at the margin, after another mark, or alone on its line; elsewhere it is text in a string."""
_CODE = re.compile(r"^(?:[ \t]+\S|return\b)", re.MULTILINE)
_CHANNEL = re.compile(r"(?:\A\s*|<\|start\|>[^<>\n]*)<\|channel\|>")
_FINAL = re.compile(r"\A.*<\|channel\|>final[^\n]*?<\|message\|>|\Aanalysis.*?assistantfinal", re.DOTALL)
"""What comes before the last channel of the Harmony format, with its special tokens or without them."""
_MARK = (
    r"(?:<[|\uff5c][^<>\n]{1,40}[|\uff5c]>|</s>|<eos>|<end_of_\w+>|<start_of_turn>|<turn\|>"
    r"|\[/?INST\]|\[EOS\]|\[end of text\])"
)
_TURN_END = re.compile(rf"(?:{_MARK})\s*(?={_MARK}|\n|\Z)", re.IGNORECASE)
_TURN_BEGIN = re.compile(
    rf"\A(?:\s*{_MARK}|\s*(?:assistant|model|python3?|py)[ \t]*:?[ \t]*(?=\n|{_MARK}))+", re.IGNORECASE
)


_TAGGED = re.compile(r"\s*<(\w+)>(.*)</\1>\s*", re.DOTALL)


def reply_of(completion: str) -> str | None:
    """Return what a chat model says in its reply; None where there is no code before a thought that does not end."""
    text = completion.lstrip("\ufeff\u200b").replace("\r\n", "\n").replace("\r", "\n")
    if _CHANNEL.search(text) and not _FINAL.match(text):
        return None
    text = _BEFORE.sub("", _WHOLE.sub("", _FINAL.sub("", text)))
    if unended := _UNENDED.search(text):
        text = text[: unended.start()]
        if not _CODE.search(text) and not find_statements(text):
            return None
    begin = _TURN_BEGIN.match(text)
    text = text[begin.end() :].lstrip("\n") if begin else text
    end = _TURN_END.search(text)
    text = text[: end.start()] if end else text
    return tagged[2].lstrip("\n") if (tagged := _TAGGED.fullmatch(text)) else text


def begins_with_thought(completion: str) -> bool:
    """Return whether a completion begins with the mark of a thought."""
    return _BEGINS.match(completion) is not None or _CHANNEL.match(completion) is not None

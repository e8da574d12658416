"""The reply of a chat model, in whatever notation its tools leave thoughts and turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.chat_marks import begins_with_thought, reply_of
from tests.unit.benchmarks.test_extraction import BODY, WHOLE, total_of

FENCED = f"```python\n{WHOLE}```"
DRAFT = WHOLE.replace("double(x)", "x")
DRAFTED = f"```python\n{DRAFT}```"

WORDS = {
    "language": f"python\n{WHOLE}```",
    "short language": f"py\n{WHOLE}",
    "language with a colon": f"Python:\n{WHOLE}",
    "language with a version": f"python3\n{WHOLE}```\nDone.",
    "speaker": f"assistant\n{WHOLE}",
    "speaker with a colon": f"Assistant:\n{WHOLE}",
    "speaker and language": f"assistant\npython\n{WHOLE}",
    "tag": f"[PYTHON]\n{WHOLE}[/PYTHON]\n",
    "begin and done": f"[BEGIN]\n{WHOLE}[DONE]\n",
    "elements": f"<code>\n{WHOLE}</code>",
    "element on the same line": f"<answer>{WHOLE}</answer>",
    "element around a fence": f"<answer>\n{FENCED}\n</answer>",
    "word before": f"Solution\n\n{WHOLE}",
    "word after": f"{WHOLE}\nExplanation\n\nIt works.\n",
    "word after, alone": f"{WHOLE}\nExplanation\n",
    "title after": f"{WHOLE}\n**Explanation**\n\nIt works\n",
    "note after": f"{WHOLE}\nNote: fine\n",
    "output after": f"{WHOLE}\nOutput:\n6\n",
    "rule after": f"{WHOLE}\n---\nThat is it.\n",
    "byte order mark": f"\ufeff{WHOLE}",
}
MARKS = {
    "ChatML": f"<|im_start|>assistant\n{WHOLE}<|im_end|>\n<|im_start|>user\nThanks\n",
    "Llama 3": f"<|start_header_id|>assistant<|end_header_id|>\n\n{WHOLE}<|eot_id|>",
    "Gemma": f"<start_of_turn>model\n{FENCED}<end_of_turn>\n<eos>",
    "DeepSeek": f"{WHOLE.rstrip()}<\uff5cend\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>Again",
    "twice": f"{WHOLE.rstrip()}<|endoftext|><|endoftext|>",
    "sentence end": f"{WHOLE.rstrip()}</s>",
    "several": f"{WHOLE.rstrip()}<|end|><|endoftext|></s>\n",
    "llama.cpp": f"{WHOLE} [end of text]\n\n",
    "instruction": f"{WHOLE}[INST] And now?",
    "tool": f"<|python_tag|>{WHOLE}<|eom_id|>",
}
THOUGHTS = {
    "think": "<think>\n{}\n</think>\n",
    "think without a line": "<think>{} no</think>",
    "opened by the template": "{}\nNo, that is wrong.</think>\n",
    "thinking": "<thinking>\n{}\n</thinking>\n",
    "Thought": "<Thought>\n{}\n</Thought>\n",
    "reasoning": "<reasoning>\n{}\n</reasoning>\n",
    "scratchpad": "<scratchpad>\n{}\n</scratchpad>\n",
    "twice": "<think>\n{0}\n</think>\nHm. <think>{0}</think>\n",
    "Magistral": "[THINK]\n{}\nNo.[/THINK]\n",
    "Kimi": "\u25c1think\u25b7{} no\u25c1/think\u25b7",
    "Seed": "<seed:think>\n{}</seed:think>\n",
    "Cohere": "<|START_THINKING|>{} no<|END_THINKING|><|START_RESPONSE|>",
    "Sky": "<|begin_of_thought|>\n{}\n<|end_of_thought|>\n\n<|begin_of_solution|>\n",
    "Gemma": "<|channel>thought\n{}<channel|>",
    "Harmony": "<|channel|>analysis<|message|>{} no.<|end|><|start|>assistant<|channel|>final<|message|>",
    "Harmony with a format": "<|channel|>analysis<|message|>{}<|end|><|channel|>final <|constrain|>code<|message|>",
    "Harmony without tokens": "analysis{} no.assistantfinal",
}
DRAFTS = {
    "corrected": f"First attempt:\n{DRAFTED}\nThat is wrong. Corrected:\n{FENCED}",
    "corrected twice": f"{DRAFTED}\nNo.\n{DRAFTED}\nNo.\n{FENCED}\n",
    "corrected body": f"```python\n    return 0\n```\nCorrected:\n```python\n{BODY}```\n",
    "usage after": f"{FENCED}\nUse it:\n```python\nprint(total([1, 2]))\n```\n",
    "signature after": f"{FENCED}\nIts signature:\n```python\ndef total(numbers):\n    ...\n```\n",
    "another that is cut off": f"{FENCED}\nOr:\n```python\ndef total(\n",
    "reflection between": f"{DRAFTED}\n<reflection>Wrong.</reflection>\n{FENCED}\n",
    "thought after": f"{FENCED}\n<think>\nDid I do it?",
}


@pytest.mark.parametrize(
    "completion",
    [*WORDS.values(), *MARKS.values(), *DRAFTS.values()],
    ids=[*WORDS, *MARKS, *DRAFTS],
)
def test_what_surrounds_the_code_is_not_part_of_it(completion: str) -> None:
    """Words, tags, marks of turns, and drafts before the correction."""
    assert total_of(completion)([1, 2]) == 6


@pytest.mark.parametrize("draft", [DRAFT, DRAFTED], ids=["bare", "fenced"])
@pytest.mark.parametrize("thought", THOUGHTS.values(), ids=THOUGHTS)
def test_thoughts_are_left_out_in_every_notation(thought: str, draft: str) -> None:
    """A draft in a thought is not the solution."""
    assert total_of(thought.format(draft) + FENCED)([1, 2]) == 6


@pytest.mark.parametrize(
    "completion",
    [
        *("<think>\n{}", "<thinking>\nHm", "[THINK]\n{}", "<|channel|>analysis<|message|>{}", " <think>"),
        *("<think>Hm {}", "\n [THINK] Hm", "\u25c1think\u25b7{}", "<|begin_of_thought|> Hm", "<|channel>thought Hm"),
        *("Sure!\n<think>\nHm", "Sure!\n\n<think>Hm\n{}", "python\n<think>\n{}", "```python\n<think>\nHm"),
        *("<|im_start|>assistant\n<think>\nHm", "<|CHATBOT_TOKEN|><|START_THINKING|>Hm", "<think>a</think><think>\nb"),
        "<|start|>assistant<|channel|>commentary to=python<|message|>{}",
    ],
)
def test_a_thought_that_does_not_end_has_no_reply(completion: str) -> None:
    """Its drafts are not judged, wherever on its line it begins and whatever words stand before it."""
    assert reply_of(completion.format(DRAFTED)) is None


@pytest.mark.parametrize(
    "before", [WHOLE, FENCED, BODY, "return sum(numbers)"], ids=["whole", "fenced", "body", "line"]
)
def test_code_before_a_thought_that_does_not_end_is_the_reply(before: str) -> None:
    assert reply_of(f"{before}\n<think>Did I do it?") == f"{before}\n"


@pytest.mark.parametrize(
    ("completion", "begins"),
    [("<think>Hm", True), ("\n[THINK]\nHm", True), ("<|channel|>analysis", True), (WHOLE, False), ("I <think>", False)],
)
def test_a_thought_at_the_beginning_is_seen(completion: str, begins: bool) -> None:  # noqa: FBT001 - a parameter
    assert begins_with_thought(completion) == begins


@pytest.mark.parametrize(
    "code",
    ["    [reason] = reasons\n    return reason\n", "[thought], rest = thoughts\n", "    [analysis][0].run()\n"],
)
def test_a_list_of_one_name_is_no_thought(code: str) -> None:
    """It is Python that unpacks or calls."""
    assert reply_of(code) == code


def test_marks_in_strings_are_code() -> None:
    """Only what ends a line, or stands before another mark, ends a turn."""
    code = WHOLE.replace("return sum", 'ends = "</s>", "</think>", "<|im_end|>", "<|channel|>", "<think>"; return sum')

    assert total_of(code)([1, 2]) == 6
    assert reply_of(code) == code


@given(st.text("<>|/[]\n `thinkednd_of_s[]INSTassistant", max_size=60))
def test_any_text_has_a_reply_or_none(text: str) -> None:
    """A reply is never longer than the completion."""
    reply = reply_of(text)
    assert reply is None or len(reply) <= len(text)

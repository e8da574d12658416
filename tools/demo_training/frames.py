"""Put a wording into a sentence: the frames of training docstrings."""

from random import Random
from typing import Final

from demo_training.family import choose

_NOUN_FRAMES: Final = (
    "[Return|Return|Return|Returns|Compute|Calculate|Find|Give|Get|Give back] $it.",
    "[Return|Compute|Find|Calculate|Get] $it",
    "[Given|For] $given, [return|compute|find|calculate|give] $it.",
    "[You are given|You get|Take|Takes|There is] $given. [Return|Compute|Find|Calculate] $it.",
    "[This|The] function [should return|returns|must return|computes|finds|gives] $it.",
    "[Write|Implement] a function [that returns|to find|to compute] $it.",
    "[Your task is to|We want to|Please] [find|compute|return] $it.",
    "[The result is|The answer is] $it.",
    "[Take|Takes] $given and [return|returns|compute] $it.",
    "[What is|What would be] $it?",
    "[Help|It helps] [to find|to get] $it.",
)
_VERB_FRAMES: Final = (
    "$Act.",
    "$Act",
    "$Act and return [the result|it].",
    "$Act[.|, then] [return|Return] the result.",
    "[Given|For] $given, $act.",
    "[You are given|You get|There is] $given. $Act.",
    "[This|The] function [should|must|has to|will] $act.",
    "[Write|Implement] a function to $act.",
    "[Your task is to|We want to|Please] $act.",
    "[Return|Give] the result [when you|if you] $act.",
)
_GIVEN: Final = {
    "int": "[an integer|a number|an int|the integer|the number] $x",
    "count": "[a number|a positive integer|an integer|the number] $x",
    "ints": "[a list|a list of integers|a list of numbers|the list|an array|a list of ints] $x",
    "text": "[a string|a text|the string|a sentence] $x",
    "word": "[a string|a word|the string|a text] $x",
    "texts": "[a list of strings|a list of words|the strings|the words] $x",
    "mapping": "[a dictionary|a dict|the dictionary] $x",
    "pair": "[a pair|a tuple|the pair|the tuple] $x",
    "nested": "[a list of lists|the lists|a nested list] $x",
}
_REMARKS: Final = (
    "The [input|argument] [may|can] be [anything|small|large|empty].",
    "[Nothing else is|No imports are] needed.",
    "Do not [change|modify] the [input|argument].",
    "[See|Look at] the [examples|example].",
    "This is [easy|simple|a small task|an exercise].",
    "Return only the [result|answer].",
    "The function has [no side effects|one result].",
)


def remark(rng: Random) -> str:
    """Return a sentence that changes nothing about the task."""
    return choose(rng.choice(_REMARKS), rng)


def describe(kinds: tuple[str, ...], names: tuple[str, ...], rng: Random) -> str:
    """Return a phrase that introduces all parameters, for example "a list xs and an integer n"."""
    phrases = [choose(_GIVEN[kind], rng).replace("$x", name) for kind, name in zip(kinds, names, strict=True)]
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


def frame_noun(wording: str, given: str, rng: Random) -> str:
    """Return a sentence that asks for the thing the wording names."""
    return choose(rng.choice(_NOUN_FRAMES), rng).replace("$given", given).replace("$it", wording)


def frame_verb(wording: str, given: str, rng: Random) -> str:
    """Return a sentence that asks for the action the wording names."""
    sentence = choose(rng.choice(_VERB_FRAMES), rng).replace("$given", given)
    return sentence.replace("$act", wording).replace("$Act", wording[:1].upper() + wording[1:])

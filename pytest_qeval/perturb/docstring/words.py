"""Words of English in a docstring: which carry the task's meaning, how they are written, and what precedes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_qeval.perturb.docstring.markup import Span

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_WHOLE_WORD = re.compile(r"(?<![A-Za-z'-])[A-Za-z]+(?![A-Za-z'-])")
_BEFORE = re.compile(r"(\S+)\s+$")
_MARKS = "\"'`()[],;:*-"
_REACH = 80
"""Characters to look back; a line is about as long."""
_SENTENCE_END = re.compile(r"(?:[.!?:]['\")\]]*|\"\"\"|'''|\n\s*(?:[-*•]|\d+[.)]))\s*$|\n[ \t]*\n\s*$")
_SENTENCE = re.compile(r"(?:[.!?:](?=\s)|\"\"\"|'''|\n[ \t]*\n)((?:(?![.!?:]\s|\n[ \t]*\n).)*)$", re.DOTALL)
_LONGEST = 400
"""Characters of a sentence that are searched."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


FUNCTION_WORDS = word_set(
    """
    a about above according across after again against all almost along already also although am among an and
    another any anybody anyone anything are around as at away back be because been before behind being below beneath
    beside besides between beyond both but by can cannot could did do does doing done down during each either else
    enough etc even ever every everybody everyone everything except few fewer first five following for four from
    further given had half has have having he hence her here hers him his how however i if in inside instead into is
    it its itself just last later latter least less let likewise many may me might mine more moreover most much must
    my near neither never next nine no nobody none nor not nothing now of off on once one onto or other others
    otherwise our ours out outside over own per please plus previous quite rather same second seven several shall
    she should since six so some somebody someone something sometimes still such ten than that the their theirs them
    then there therefore these they third this those though three through throughout thus till times to together too
    toward towards twice two under unless unlike until unto up upon us very via was we well were what whatever when
    where whereas whether which while who whole whom whose why will with within without would yes yet you your yours
    zero
    """
)
"""Articles, pronouns, prepositions, conjunctions, auxiliaries, numerals: each carries a part of the task."""

TECHNICAL = word_set(
    """
    absolute add algorithm alphabet alphabetical alphanumeric append area argument arithmetic array ascending ascii
    assert assign attribute average base binary bit bits boolean bracket branch buffer byte bytes call case cell
    character characters circle class closed code column comma command common compare comparison complex concatenate
    condition consonant constant convert coordinate copy count cube current cycle data date decimal decode decrease
    decreasing default degree delete delimiter denominator descending dictionary difference digit digits directory
    distance distinct divide divisible division divisor dot double duplicate else empty encode end entry equal error
    evaluate even exception exclusive exponent expression factor factorial false field file filter float floor
    format fraction frequency function generate generator greater greatest group hash heap height hexadecimal high
    higher highest import include included inclusive increase increasing increment index indices infinity initial
    input insert instance int integer intersection interval inverse item iterate iterator join key keys keyword last
    leaf left length letter letters level lexicographic library limit line list logarithm long longer longest loop
    low lower lowercase lowest map match matrix max maximum mean median member memory merge method middle min
    minimum minus mode module modulo month multiple multiplication multiply name natural negative nested node none
    null number numbers numerator numeric object occurrence octal odd open operand operation operator order original
    output overlap pair palindrome parameter parentheses parenthesis parse part path pattern percent period
    permutation place plus point pointer polynomial pop position positive power predicate prefix prime print process
    product program property punctuation push python query queue quote quotient radius random range ratio raw read
    real record rectangle recursion recursive reference regex regular remainder remove repeat repetition replace
    represent representation return returned returns reverse right root rotate round row rule run scale score search
    segment separate sequence series set shape shift short shorter shortest side sign sine size slice small smaller
    smallest sort sorted source space split square stack standard state statement step stop store string strings
    subarray sublist subsequence subset substring subtract suffix sum swap symbol symmetric table tail term test
    text third threshold time tree triangle triple true truncate tuple type undefined union unique unit unsorted
    upper uppercase value values variable vector vertex volume vowel weight whitespace width word words year zip
    """
)
"""Terms of programming and mathematics, which have no synonym: with another word the task would be another."""

IMPERATIVES = word_set(
    """
    add append apply assume build calculate change check choose combine complete compute concatenate construct
    convert copy count create define delete determine divide double encode evaluate exclude extract fill filter find
    flip generate get give ignore implement increment insert join keep make merge move multiply obtain output parse
    perform print produce put read remove repeat replace return reverse rotate round search select shift show skip
    sort split square subtract sum swap take test transform use validate verify write
    """
)
"""Verbs that state a task in the imperative."""

INFINITIVE = word_set("can could may might must not shall should to will would")
"""After these a plain verb form has no tense."""

_DETERMINERS = word_set(
    """
    a all an another any as both by each every few first for from given her his in its last many most my next no of
    on one only other our same second several single some the their these third this those three total two under
    with without your
    """
)
"""Words after which a plain verb form, or one with -s, is no verb."""


def match_case(word: str, new: str) -> str:
    """Capitalise `new` where `word` is capitalised."""
    return new[:1].upper() + new[1:] if word[:1].isupper() else new


def whole_words(prompt: str, span: Span) -> Iterator[tuple[int, str]]:
    """Return the offset and text of each word of a span; no part of a compound ("non-empty") or of a contraction."""
    for found in _WHOLE_WORD.finditer(prompt, span.start, span.stop):
        yield found.start(), found[0]


def word_before(prompt: str, start: int) -> str:
    """Return the word before an offset, in lower case and without marks; empty at the very beginning."""
    found = _BEFORE.search(prompt, max(0, start - _REACH), start)
    return found[1].strip(_MARKS).lower() if found else ""


def begins_sentence(prompt: str, start: int) -> bool:
    """Return whether a sentence, a list item or the docstring begins at this offset."""
    return bool(_SENTENCE_END.search(prompt, max(0, start - _REACH), start))


def sentence_before(prompt: str, start: int) -> str:
    """Return the part of the sentence before an offset."""
    found = _SENTENCE.search(prompt, max(0, start - _LONGEST), start)
    return found[1] if found else prompt[max(0, start - _LONGEST) : start]


def follows_determiner(prompt: str, start: int) -> bool:
    """Return whether the word before an offset calls for a noun."""
    return word_before(prompt, start) in _DETERMINERS and not begins_sentence(prompt, start)

"""Words of English that matter to every perturbation of prose: those that carry a task's meaning, and letter case."""

from __future__ import annotations

import re

__all__ = ["FUNCTION_WORDS", "IMPERATIVES", "TECHNICAL", "WORD", "in_case_of", "listed"]

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")


def listed(text: str) -> frozenset[str]:
    """Return the words of a text, for tables that are read by people."""
    return frozenset(text.split())


FUNCTION_WORDS = listed(
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
"""Articles, pronouns, prepositions, conjunctions, auxiliaries, numerals: each is a step of what a sentence says."""

TECHNICAL = listed(
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
"""Terms of programming and mathematics in whose place no synonym may stand: with it the task would be another one."""

IMPERATIVES = listed(
    """
    add append apply assume build calculate change check choose combine complete compute concatenate construct
    convert copy count create define delete determine divide double encode evaluate exclude extract fill filter find
    flip generate get give ignore implement increment insert join keep make merge move multiply obtain output parse
    perform print produce put read remove repeat replace return reverse rotate round search select shift show skip
    sort split square subtract sum swap take test transform use validate verify write
    """
)
"""Verbs with which a docstring tells what to do."""


def in_case_of(word: str, new: str) -> str:
    """Write `new` as `word` is written: capitalised or not."""
    return new[:1].upper() + new[1:] if word[:1].isupper() else new

"""Generate synthetic Python functions with docstrings, endlessly and from a seed alone."""

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from keyword import iskeyword
from random import Random
from typing import Final

from demo_training import (
    families_affixes,
    families_arithmetic,
    families_composed,
    families_conditions,
    families_lists,
    families_mappings,
    families_numbers,
    families_reshaping,
    families_selections,
    families_texts,
    families_tuples,
    families_words,
)
from demo_training.define import define
from demo_training.family import CONSTANT_SLOTS, PARAMETER_SLOTS, Family, choose, fill
from demo_training.frames import describe, frame_noun, frame_verb, remark
from demo_training.values import ANNOTATIONS, Constant, chance, draw_argument, draw_constant, draw_parameters

FAMILIES: Final[tuple[Family, ...]] = (
    *families_arithmetic.FAMILIES,
    *families_numbers.FAMILIES,
    *families_conditions.FAMILIES,
    *families_lists.FAMILIES,
    *families_reshaping.FAMILIES,
    *families_texts.FAMILIES,
    *families_affixes.FAMILIES,
    *families_words.FAMILIES,
    *families_mappings.FAMILIES,
    *families_tuples.FAMILIES,
    *families_selections.FAMILIES,
    *families_composed.FAMILIES,
)
NAME_WORDS: Final = (
    "get",
    "compute",
    "calc",
    "find",
    "make",
    "do",
    "run",
    "my",
    "func",
    "solve",
    "build",
    "apply",
    "check",
    "new",
    "simple",
    "quick",
    "fast",
    "do_it",
    "helper",
    "use",
    "the",
    "task",
    "answer",
    "result",
    "process",
    "handle",
    "work",
    "step",
    "value",
    "part",
    "main",
    "foo",
    "bar",
    "baz",
    "my_func",
    "f",
    "g",
    "convert",
    "transform",
    "count",
    "select",
)
_PLAIN_WEIGHT: Final = 60
_GROUP_WEIGHTS: Final = {
    "plain": _PLAIN_WEIGHT, "limits": 8, "ranges": 16, "predicate": 36, "choice": 16, "positions": 14, "two lists": 16,
    "text": 18, "characters": 24, "affix": 28, "words": 14, "text lists": 26, "mappings": 36, "tuples": 18,
    "filter": 14, "drop": 6, "quantified": 14, "reduce": 20, "map": 14, "map reduce": 10, "filter map": 14,
    "filter map sum": 10, "conditional map": 10, "filter sort": 10,
}  # fmt: skip
_REMARK_SHARE: Final = 0.12
_UNNAMED_SHARE: Final = 0.2
_UNNAMED: Final = {
    "int": "[the|the given] [number|integer|input|value]",
    "count": "[the|the given] [number|integer|input]",
    "ints": "[the|the given] [list|numbers|list of numbers|input|list of integers]",
    "text": "[the|the given] [text|string|input|sentence]",
    "word": "[the|the given] [string|word|input|text]",
    "texts": "[the|the given] [list|words|strings|list of strings]",
    "mapping": "[the|the given] [dictionary|dict|mapping]",
    "pair": "[the|the given] [pair|tuple]",
    "nested": "[the|the given] [list|lists|nested list]",
}
_TABS_SHARE: Final = 0.02
_QUOTES_SHARE: Final = 0.02
_MAX_VALUE_LENGTH: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Hold one synthetic function in parts; `prompt + body` is its source."""

    family: str
    name: str
    parameters: tuple[str, ...]
    constants: tuple[Constant, ...]
    wording: str
    prompt: str
    body: str

    @property
    def source(self) -> str:
        """Return the whole function."""
        return self.prompt + self.body


@lru_cache(maxsize=1)
def _groups() -> dict[str, tuple[Family, ...]]:
    return {group: tuple(made for made in FAMILIES if made.group == group) for group in _GROUP_WEIGHTS}


def draw_family(rng: Random) -> Family:
    """Draw a family: first its group by weight, then evenly inside the group."""
    group = rng.choices(tuple(_GROUP_WEIGHTS), tuple(_GROUP_WEIGHTS.values()))[0]
    return rng.choice(_groups()[group])


def _draw_name(family: Family, rng: Random) -> str:
    stems = family.name.split()
    words = [rng.choice(stems), rng.choice(NAME_WORDS)] if chance(0.4, rng) else [family.name.replace(" ", "_")]
    if chance(0.4, rng):
        words = [rng.choice(NAME_WORDS) for _ in range(rng.randint(1, 2))]
    rng.shuffle(words)
    name = "_".join(words)
    if chance(0.1, rng):
        first, *others = name.split("_")
        name = first + "".join(map(str.capitalize, others))
    return f"{name}_of" if hasattr(builtins, name) or iskeyword(name) else name


def _examples(source: str, name: str, arguments: list[tuple[object, ...]]) -> list[str]:
    function = define(source, name)
    lines: list[str] = []
    for values in arguments:
        try:
            result = repr(function(*values))
        except (IndexError, ValueError, ZeroDivisionError):
            continue
        if len(result) <= _MAX_VALUE_LENGTH:
            lines += [f">>> {name}({', '.join(map(repr, values))})", result]
    return lines


def _signature(family: Family, name: str, parameters: tuple[str, ...], rng: Random) -> str:
    if chance(0.5, rng):
        return f"def {name}({', '.join(parameters)}):\n"
    typed = (f"{parameter}: {ANNOTATIONS[kind]}" for parameter, kind in zip(parameters, family.parameters, strict=True))
    return f"def {name}({', '.join(typed)}) -> {family.returns}:\n"


def _misspell(sentence: str, rng: Random) -> str:
    """Perturb one or two letters outside quotes, so that the model tolerates what perturbations do."""
    letters = list(sentence)
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(letters) - 1)
        if "'" in sentence or not (letters[place].isalpha() and letters[place + 1].isalpha()):
            continue
        letters[place : place + 2] = rng.choice(
            ([letters[place + 1], letters[place]], [letters[place]], [letters[place]] * 2 + [letters[place + 1]]),
        )
    return "".join(letters)


def _sentence(family: Family, slots: dict[str, str], parameters: tuple[str, ...], rng: Random) -> tuple[str, str]:
    wanted_verb = bool(family.verbs) and (not family.nouns or chance(0.4, rng))
    pattern = rng.choice(family.verbs if wanted_verb else family.nouns)
    if len(parameters) == 1 and chance(_UNNAMED_SHARE, rng):
        slots = {**slots, "x": choose(_UNNAMED[family.parameters[0]], rng)}
    wording = fill(choose(pattern, rng), slots)
    given = describe(family.parameters, parameters, rng)
    sentence = (frame_verb if wanted_verb else frame_noun)(wording, given, rng)
    if chance(_REMARK_SHARE, rng):
        sentence = f"{sentence} {remark(rng)}" if sentence.endswith(".") or chance(_REMARK_SHARE, rng) else sentence
    return wording, _misspell(sentence, rng) if chance(0.05, rng) else sentence


def _layout(source: str, rng: Random) -> str:
    """Change the formatting of a few documents: tabs for spaces, or other quotes."""
    drawn = rng.random()
    if drawn < _TABS_SHARE:
        return source.replace("    ", "\t")
    if drawn < _TABS_SHARE + _QUOTES_SHARE:
        return source.replace('"""', "'''")
    return source


def _docstring(lines: list[str], rng: Random) -> str:
    opening = rng.choice(('    """', '    """', '    """ ', '    """\n    '))
    return opening + "\n    ".join(lines) + '\n    """\n'


def document(family: Family, rng: Random) -> Document:
    """Generate one document of a family."""
    parameters, name = draw_parameters(family.parameters, rng), _draw_name(family, rng)
    constants: list[Constant] = []
    for kind in family.constants:
        constants.append(draw_constant(kind, rng, constants))
    slots = dict(zip(PARAMETER_SLOTS, parameters, strict=False))
    slots |= dict(zip(CONSTANT_SLOTS, map(repr, constants), strict=False))
    wording, sentence = _sentence(family, slots, parameters, rng)
    signature = _signature(family, name, parameters, rng)
    body = "".join(f"    {line}\n" for line in fill(family.body, slots).split("\n"))
    arguments = [
        tuple(draw_argument(kind, rng, constants) for kind in family.parameters) for _ in range(rng.randint(0, 2))
    ]
    docstring = _docstring([sentence, *_examples(signature + body, name, arguments)], rng)
    # seeded by the name so that both parts are laid out alike
    prompt, body = (_layout(part, Random(name)) for part in (signature + docstring, body))  # noqa: S311
    return Document(
        family=family.name,
        name=name,
        parameters=parameters,
        constants=tuple(constants),
        wording=wording,
        prompt=prompt,
        body=body,
    )


def documents(seed: int) -> Iterator[Document]:
    """Generate documents without end; the same seed gives the same documents."""
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    while True:
        yield document(draw_family(rng), rng)

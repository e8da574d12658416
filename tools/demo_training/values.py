"""Draw the constants, arguments and identifiers of synthetic functions from a given random source."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from demo_training.holdout import is_held_out_number, is_held_out_text

Constant = int | str

WORDS: Final = (
    "apple",
    "sky",
    "river",
    "stone",
    "cat",
    "dog",
    "house",
    "tree",
    "light",
    "code",
    "python",
    "test",
    "data",
    "green",
    "blue",
    "red",
    "moon",
    "star",
    "fish",
    "bird",
    "paper",
    "table",
    "chair",
    "road",
    "bread",
    "milk",
    "salt",
    "sugar",
    "train",
    "ship",
    "cloud",
    "rain",
    "snow",
    "wind",
    "fire",
    "glass",
    "gold",
    "iron",
    "king",
    "queen",
    "level",
    "radar",
    "noon",
    "stats",
    "hello",
    "world",
    "one",
    "two",
    "three",
    "alpha",
    "beta",
    "gamma",
    "delta",
    "north",
    "south",
    "east",
    "west",
)
_SEPARATORS: Final = tuple(",;:./*+|=~&@!?%^- _#")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_NEAR: Final = 4

PARAMETER_NAMES: Final = {
    "int": [
        "x",
        "n",
        "num",
        "number",
        "value",
        "a",
        "b",
        "m",
        "p",
        "q",
        "val",
        "integer",
        "amount",
        "arg",
        "y",
        "z",
        "k",
        "score",
    ],
    "count": ["n", "m", "limit", "size", "count", "k", "num", "upto", "length", "top"],
    "ints": [
        "numbers",
        "nums",
        "values",
        "xs",
        "lst",
        "items",
        "data",
        "arr",
        "elements",
        "array",
        "sequence",
        "ns",
        "series",
        "ints",
    ],
    "text": ["text", "s", "string", "sentence", "line", "phrase", "message", "txt", "string_value", "st", "source"],
    "word": ["word", "s", "text", "string", "name", "token", "label", "term"],
    "texts": ["words", "strings", "names", "texts", "tokens", "items", "labels", "lst", "entries", "parts"],
    "mapping": ["d", "mapping", "counts", "scores", "table", "data", "prices", "ages", "stock", "dictionary", "record"],
    "pair": ["pair", "point", "t", "tup", "pair_value", "p", "couple"],
    "nested": ["rows", "lists", "matrix", "groups", "nested", "grid", "chunks"],
}
ANNOTATIONS: Final = {
    "int": "int",
    "count": "int",
    "ints": "list[int]",
    "text": "str",
    "word": "str",
    "texts": "list[str]",
    "mapping": "dict[str, int]",
    "pair": "tuple[int, int]",
    "nested": "list[list[int]]",
}


def chance(share: float, rng: Random) -> bool:
    """Return True in the given share of all calls."""
    return rng.random() < share


def _number(rng: Random) -> int:
    return rng.randint(*rng.choice(((2, 20), (2, 99), (2, 99), (10, 99), (100, 999))))


def _letters(rng: Random) -> str:
    if chance(0.4, rng):
        return rng.choice(WORDS)
    return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(2, 4)))


def _text_like(rng: Random) -> str:
    word = _letters(rng)
    return rng.choice((word, word, word, word.upper(), word + rng.choice(_SEPARATORS), rng.choice(_SEPARATORS) + word))


def draw_constant(kind: str, rng: Random, previous: Sequence[Constant] = ()) -> Constant:
    """Draw one constant that training may see; `high` is above the previous one, nothing is drawn twice."""
    makers: dict[str, Callable[[], Constant]] = {
        "number": lambda: _number(rng),
        "small": lambda: rng.randint(2, 20),
        "high": lambda: int(previous[0]) + _number(rng),
        "letter": lambda: rng.choice(_LETTERS),
        "word": lambda: _letters(rng),
        "affix": lambda: _text_like(rng),
        "separator": lambda: rng.choice(_SEPARATORS),
    }
    while True:
        constant = makers[kind]()
        held_out = is_held_out_number(constant) if isinstance(constant, int) else is_held_out_text(constant)
        if not held_out and constant not in previous:
            return constant


def _integer(rng: Random, constants: Sequence[Constant]) -> int:
    numbers = [constant for constant in constants if isinstance(constant, int)]
    if numbers and chance(0.5, rng):
        return rng.choice(numbers) + rng.randint(-_NEAR, _NEAR)
    return rng.randint(*rng.choice(((0, 9), (-9, 30), (0, 99))))


def _integers(rng: Random, constants: Sequence[Constant]) -> list[int]:
    values = [_integer(rng, constants) for _ in range(rng.randint(2, 5))]
    if chance(0.3, rng):
        values.append(rng.choice(values))
    numbers = [constant for constant in constants if isinstance(constant, int)]
    if numbers and chance(0.3, rng):
        values[rng.randrange(len(values))] = rng.choice(numbers)
    return values


def _word(rng: Random, constants: Sequence[Constant]) -> str:
    texts = [constant for constant in constants if isinstance(constant, str)]
    word = rng.choice(WORDS)
    if texts and chance(0.6, rng):
        chosen = rng.choice(texts)
        return rng.choice((chosen + word, word + chosen, chosen, word[:2] + chosen + word[2:]))
    return word.capitalize() if chance(0.1, rng) else word


def _mapping(rng: Random, constants: Sequence[Constant]) -> dict[str, int]:
    keys = [constant for constant in constants if isinstance(constant, str) and chance(0.7, rng)]
    keys += rng.sample(WORDS, rng.randint(1, 3))
    return {key: _integer(rng, constants) for key in keys}


def draw_argument(kind: str, rng: Random, constants: Sequence[Constant]) -> object:
    """Draw one argument, often close to the function's constants so that examples show something."""
    makers: dict[str, Callable[[], object]] = {
        "int": lambda: _integer(rng, constants),
        "count": lambda: rng.randint(0, 9),
        "ints": lambda: _integers(rng, constants),
        "text": lambda: " ".join(_word(rng, constants) for _ in range(rng.randint(1, 3))),
        "word": lambda: _word(rng, constants),
        "texts": lambda: [_word(rng, constants) for _ in range(rng.randint(2, 4))],
        "mapping": lambda: _mapping(rng, constants),
        "pair": lambda: (_integer(rng, constants), _integer(rng, constants)),
        "nested": lambda: [[rng.randint(0, 20) for _ in range(rng.randint(1, 2))] for _ in range(rng.randint(2, 3))],
    }
    return makers[kind]()


def draw_parameters(kinds: Sequence[str], rng: Random) -> tuple[str, ...]:
    """Draw distinct parameter names, most of them usual for their kinds."""
    names: list[str] = []
    for kind in kinds:
        name = rng.choice(PARAMETER_NAMES[kind])
        while name in names or chance(0.12, rng):
            stem = rng.choice((rng.choice(_LETTERS[:21]), rng.choice(WORDS), rng.choice(("var", "arg", "param", "my"))))
            name = stem + rng.choice(("_", "")) + rng.choice((str(rng.randint(0, 9)), rng.choice(WORDS)))
            if name not in names:
                break
        names.append(name)
    return tuple(names)

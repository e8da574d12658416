"""Parse and describe the short form of a recipe, such as `w4a16-g128` or `w8a8-static-mse+lm_head`.

    w<bits>a<bits> [-weight part]… [-dynamic|-static [-activation part]…] [+lm_head]

Weight parts: tensor, channel (default), g<N>; minmax (default), mse, p<percent>. Activation parts: token (default if
dynamic), tensor (always if static); minmax (default) and, if static, mse, entropy, p<percent>; asym; and, if static,
n<N> texts of calibration. `a16` leaves activations in floating point, `+lm_head` quantizes the output layer too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pytest_qeval.errors import RecipeError, counted, did_you_mean
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, ClipMethod, Recipe, WeightScheme

SCHEME_PARTS: Final = (
    ("w8a8", "weights of 8 bits and activations of 8 bits; weights may have 2 to 8, activations 4 to 8"),
    ("w4a16", "weights of 4 bits, activations in floating point"),
    ("-tensor", "one scale for a whole weight; one per output feature (per_channel) is the default"),
    ("-g128", "one scale for every 128 neighbours of an output feature (per_group); the last group may be shorter"),
    ("-mse", "scales that move the weights least; `-p99.9` clips to a percentile, minmax is the default"),
    ("-dynamic-tensor", "one activation scale for all rows at hand; one per token is the default"),
    ("-dynamic-asym", "activation grids from the smallest value to the largest instead of around zero"),
    ("-static", "activation scales per tensor, fixed by calibration: minmax over 128 texts"),
    ("-static-mse", "the same, clipped by mean squared error; `-entropy` and `-p99.9` also work"),
    ("-static-mse-n500", "the same, calibrated on 500 texts"),
    ("+lm_head", "the output layer too, unless it is tied to the embeddings"),
)
CACHE_PARTS: Final = (
    ("+kv8", "keys and values of 8 bits, one symmetric grid per token and head; simulated"),
    ("+kv4", "keys and values of 4 bits, one asymmetric grid per token and head; simulated"),
)
"""Endings of any recipe's name and their meaning, as `SCHEME_PARTS`."""
"""Parts of a scheme and their meaning, for `--qeval-list recipes` and the documentation. Parts in front of `static` or
`dynamic` are about weights."""

_FLOATING_POINT: Final = 16
"""Activation bits that mean floating point."""
_OUTPUT_LAYER: Final = "lm_head"
_MODES: Final = ("static", "dynamic")
_HEAD: Final = re.compile(r"w([0-9]{1,9})a([0-9]{1,9})")
_NUMBERED: Final = re.compile(r"g(?P<group>[0-9]{1,18})|n(?P<texts>[0-9]{1,18})|p(?P<percent>[0-9]{1,3}(\.[0-9]+)?)")
_POSSIBLE: Final = (
    "A recipe has tensor, channel, g<N>, minmax, mse, p<percent> for weights, and behind static or dynamic "
    "token, tensor, minmax, mse, entropy, p<percent>, asym, n<N> for activations."
)


class _Part(NamedTuple):
    """The meaning of a word between two hyphens."""

    topic: str
    """Two words on one topic contradict each other."""
    values: Mapping[str, Any]
    """Fields of the scheme or of the calibration plan."""
    sides: tuple[str, ...] = ("weights", *_MODES)
    """Where the word may stand: before the mode, or behind one of these modes."""


_WORDS: Final[Mapping[str, _Part]] = {
    "tensor": _Part("granularity", {"granularity": "per_tensor"}),
    "channel": _Part("granularity", {"granularity": "per_channel"}, ("weights",)),
    "token": _Part("granularity", {"granularity": "per_token"}, ("dynamic",)),
    "minmax": _Part("clip", {"clip": "minmax"}),
    "mse": _Part("clip", {"clip": "mse"}),
    "entropy": _Part("clip", {"clip": "entropy"}, ("static",)),
    "asym": _Part("symmetry", {"symmetric": False}, _MODES),
}


def looks_like_scheme(text: str) -> bool:
    """Whether a text, valid or not, is meant as a scheme: it starts like `w8` or `W8`."""
    return re.match(r"[wW][0-9]", text) is not None


def parse_recipe(text: str) -> Recipe:
    """Parse a recipe's short form; the text becomes its name.

    Raises:
        RecipeError: The text is invalid; the message quotes it and the wrong part.
    """
    try:
        recipe = _parse(text)
    except RecipeError as error:
        raise RecipeError(f"recipe {text!r}: {_lower_case_hint(text) or error}") from None
    return replace(recipe, summary=describe(recipe))


def _lower_case_hint(text: str) -> str:
    """Return a hint if the text is valid in lower case; else an empty string."""
    try:
        _parse(text.lower())
    except RecipeError:
        return ""
    return f"recipes are written in lower case: {text.lower()!r}." if text != text.lower() else ""


def _parse(text: str) -> Recipe:
    body, plus, extra = text.partition("+")
    if plus and extra != _OUTPUT_LAYER:
        cache = " '+kv8' or '+kv4' belongs behind the whole recipe's name: mixed.toml+kv8." if "kv" in extra else ""
        raise RecipeError(
            f"{plus + extra!r} cannot be read; only '+{_OUTPUT_LAYER}' is possible, at the very end.{cache}"
        )
    head, *words = body.split("-")
    weight_bits, activation_bits = _parse_bits(head)
    modes = [word for word in words if word in _MODES]
    if len(modes) > 1:
        raise _conflict(*modes[:2])
    cut = words.index(modes[0]) if modes else len(words)
    weight_only = activation_bits == _FLOATING_POINT
    weights = WeightScheme(bits=weight_bits, **_parse_words(words[:cut], "a16" if weight_only else "weights"))
    recipe = Recipe(name=text, summary="", weights=weights, kept=() if plus else (_OUTPUT_LAYER,))
    if not weight_only:
        return _add_activations(recipe, activation_bits, words[cut:])
    if modes:
        raise RecipeError(f"{modes[0]!r} is about activations, which a16 leaves in floating point.")
    return recipe


def _add_activations(recipe: Recipe, bits: int, words: Sequence[str]) -> Recipe:
    """Parse `static` or `dynamic`, if given, and the words behind it."""
    values = _parse_words(words[1:], words[0]) if words else {}
    if words[:1] != ["static"]:
        return replace(recipe, activations=ActivationScheme(bits=bits, **values))
    calibration = CalibrationPlan(samples=values.pop("samples", CalibrationPlan().samples))
    values = {"dynamic": False, "granularity": "per_tensor", **values}
    return replace(recipe, activations=ActivationScheme(bits=bits, **values), calibration=calibration)


def _parse_bits(head: str) -> tuple[int, int]:
    match = _HEAD.fullmatch(head)
    if match is None:
        raise RecipeError(
            f"{head!r} is no beginning of a recipe, which gives the bits of weights and of activations, "
            "such as 'w8a8' or, with activations in floating point, 'w4a16'."
        )
    return int(match[1]), int(match[2])


def _parse_words(words: Sequence[str], side: str) -> dict[str, Any]:
    """Parse the words about `weights` (`a16`: without quantized activations), or behind `static` or `dynamic`."""
    topics: dict[str, str] = {}
    values: dict[str, Any] = {}
    for word in words:
        part = _parse_word(word)
        if ("weights" if side == "a16" else side) not in part.sides:
            raise _misplaced(word, part, side)
        if part.topic in topics:
            raise _conflict(topics[part.topic], word)
        topics[part.topic] = word
        values |= part.values
    return values


def _parse_word(word: str) -> _Part:
    if word in _WORDS:
        return _WORDS[word]
    match = _NUMBERED.fullmatch(word)
    if match is None:
        raise RecipeError(_unknown_word(word))
    if match["percent"]:
        return _Part("clip", {"clip": "percentile", "percentile": float(match["percent"])})
    if match["group"]:
        return _Part("granularity", {"granularity": "per_group", "group_size": int(match["group"])}, ("weights",))
    if not int(match["texts"]):
        raise RecipeError(f"{word!r} asks for calibration without a text: 1 or more are possible.")
    return _Part("calibration", {"samples": int(match["texts"])}, ("static",))


def _unknown_word(word: str) -> str:
    if not word:
        return "there is nothing behind one of the hyphens."
    # Not 'asym' for 'sym', which is the default and its opposite.
    known = [name for name in (*_MODES, *_WORDS, "g128", "n64", "p99.9") if name != f"a{word}"]
    return f"{word!r} is no part of a recipe. {did_you_mean(word, known)}{_POSSIBLE}"


def _misplaced(word: str, part: _Part, side: str) -> RecipeError:
    if part.sides == ("weights",):
        return RecipeError(f"{word!r} is about weights, and belongs in front of {side!r}.")
    if side == "a16":
        return RecipeError(f"{word!r} is about activations, which a16 leaves in floating point.")
    return RecipeError(f"{word!r} is about activations, and belongs behind {' or '.join(map(repr, part.sides))}.")


def _conflict(first: str, second: str) -> RecipeError:
    if first == second:
        return RecipeError(f"{second!r} is there twice.")
    return RecipeError(f"{first!r} and {second!r} contradict each other; choose one.")


def describe(recipe: Recipe) -> str:
    """Describe a recipe in one line: `8-bit weights per channel, 8-bit activations per token; lm_head kept`."""
    parts = [_describe_default(recipe)]
    parts += [f"{rule.pattern}: {_describe_schemes(rule.weights, rule.activations)}" for rule in recipe.rules]
    if plan := recipe.calibration:
        parts.append(
            f"calibrated on {counted(plan.samples, 'text')} of at most {counted(plan.characters, 'character')}"
        )
    if recipe.quantizes and recipe.dtype != "checkpoint":
        parts.append(f"the rest in {recipe.dtype}")
    if recipe.quantizes:
        kept = ", ".join(recipe.kept)
        parts.append(f"{kept} kept" if kept else f"{_OUTPUT_LAYER} too, unless it is tied to the embeddings")
    return "; ".join(parts)


def _describe_default(recipe: Recipe) -> str:
    """Describe the scheme of the layers without a rule."""
    if recipe.quantizer:
        return f"{recipe.config} of {recipe.quantizer}"
    if recipe.weights:
        return _describe_schemes(recipe.weights, recipe.activations)
    precision = "the precision that the checkpoint is stored in" if recipe.dtype == "checkpoint" else recipe.dtype
    return f"only some layers quantized, the others in {precision}" if recipe.rules else precision


def _describe_schemes(weights: WeightScheme, activations: ActivationScheme | None) -> str:
    sharing = f"in groups of {weights.group_size}" if weights.group_size else weights.granularity.replace("_", " ")
    text = f"{weights.bits}-bit weights {sharing}{_clipped(weights.clip, weights.percentile)}, "
    if activations is None:
        return f"{text}activations in floating point"
    mode = "" if activations.granularity == "per_token" else "dynamic " if activations.dynamic else "static "
    grid = "" if activations.symmetric else "asymmetric "
    sharing = activations.granularity.replace("_", " ")
    clipped = _clipped(activations.clip, activations.percentile)
    return f"{text}{mode}{grid}{activations.bits}-bit activations {sharing}{clipped}"


def _clipped(clip: ClipMethod, percentile: float | None) -> str:
    how = {"minmax": "", "mse": " clipped by MSE", "entropy": " clipped by entropy"}
    return how.get(clip, f" clipped at percentile {percentile}")


def expand_braces(text: str) -> list[str]:
    """Expand alternatives: `w{8,4}a16` is `w8a16` and `w4a16`; several braces multiply, the last changes fastest.

    Raises:
        RecipeError: Braces are nested, empty or not closed.
    """
    pieces = re.split(r"\{([^{}]*)\}", text)
    if any(brace in piece for piece in pieces[::2] for brace in "{}"):
        raise RecipeError(f"recipe {text!r} has a brace without its partner, or one in another; write 'w{{8,4}}a16'.")
    if "" in pieces[1::2]:
        raise RecipeError(f"recipe {text!r} has braces with nothing between them; write 'w{{8,4}}a16'.")
    alternatives = (
        [choice.strip() for choice in piece.split(",")] if index % 2 else [piece] for index, piece in enumerate(pieces)
    )
    return ["".join(choice) for choice in itertools.product(*alternatives)]

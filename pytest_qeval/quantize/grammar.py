"""The short form of a recipe, such as `w4a16-g128` or `w8a8-static-mse+lm_head`, read, written and put into words.

    w<bits>a<bits> [-weight part]… [-dynamic|-static [-activation part]…] [+lm_head]

Weight parts: tensor, channel (default), g<N>; minmax (default), mse, p<percent>. Activation parts: token (default where
dynamic), tensor (the only one where static); minmax (default) and, where static, mse, entropy, p<percent>; asym; and,
where static, n<N> texts of calibration. `a16` leaves activations in floating point, `+lm_head` quantizes the output
layer too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pytest_qeval.errors import RecipeError, did_you_mean
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, ClipMethod, Recipe, WeightScheme

__all__ = ["describe", "expand_braces", "format_recipe", "looks_like_scheme", "parse_recipe"]

_FLOATING_POINT: Final = 16
"""Bits behind the `a` that leave activations as they are."""
_SAMPLES: Final = CalibrationPlan().samples
_OUTPUT_LAYER: Final = "lm_head"
_MODES: Final = ("static", "dynamic")
_HEAD: Final = re.compile(r"w([0-9]{1,9})a([0-9]{1,9})")
_NUMBERED: Final = re.compile(r"g(?P<group>[0-9]{1,18})|n(?P<texts>[0-9]{1,18})|p(?P<percent>[0-9]{1,3}(\.[0-9]+)?)")
_POSSIBLE: Final = (
    "A recipe has tensor, channel, g<N>, minmax, mse, p<percent> for weights, and behind static or dynamic "
    "token, tensor, minmax, mse, entropy, p<percent>, asym, n<N> for activations."
)


class _Part(NamedTuple):
    """What one word between two hyphens means."""

    topic: str
    """Two words on one topic cannot both hold."""
    values: Mapping[str, Any]
    """Fields of the scheme, or of the calibration plan."""
    homes: tuple[str, ...] = ("weights", *_MODES)
    """What it may be said about: weights, or activations of these modes."""


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
    """Whether somebody meant a scheme, right or wrong: it starts as `w8` or `W8`."""
    return re.match(r"[wW][0-9]", text) is not None


def parse_recipe(text: str) -> Recipe:
    """Read a recipe from its short form; its name is the text as it stands.

    Raises:
        RecipeError: quoting the text and the part that is wrong.
    """
    try:
        recipe = _parse(text)
    except RecipeError as error:
        raise RecipeError(f"recipe {text!r}: {_lower_case(text) or error}") from None
    return replace(recipe, summary=describe(recipe))


def _lower_case(text: str) -> str:
    """Say that capitals are all that is wrong, where they are."""
    try:
        _parse(text.lower())
    except RecipeError:
        return ""
    return f"recipes are written in lower case: {text.lower()!r}." if text != text.lower() else ""


def _parse(text: str) -> Recipe:
    body, plus, extra = text.partition("+")
    if plus and extra != _OUTPUT_LAYER:
        raise RecipeError(f"{plus + extra!r} cannot be read; only '+{_OUTPUT_LAYER}' is possible, at the very end.")
    head, *words = body.split("-")
    weight_bits, activation_bits = _parse_bits(head)
    modes = [word for word in words if word in _MODES]
    if len(modes) > 1:
        raise _clash(*modes[:2])
    cut = words.index(modes[0]) if modes else len(words)
    floats = activation_bits == _FLOATING_POINT
    weights = WeightScheme(bits=weight_bits, **_parse_side(words[:cut], "a16" if floats else "weights"))
    recipe = Recipe(name=text, summary="", weights=weights, kept=() if plus else (_OUTPUT_LAYER,))
    if not floats:
        return _add_activations(recipe, activation_bits, words[cut:])
    if modes:
        raise RecipeError(f"{modes[0]!r} is about activations, which a16 leaves in floating point.")
    return recipe


def _add_activations(recipe: Recipe, bits: int, words: Sequence[str]) -> Recipe:
    """Read `static` or `dynamic`, if it is there, and what stands behind it."""
    values = _parse_side(words[1:], words[0]) if words else {}
    if words[:1] != ["static"]:
        return replace(recipe, activations=ActivationScheme(bits=bits, **values))
    calibration = CalibrationPlan(samples=values.pop("samples", _SAMPLES))
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


def _parse_side(words: Sequence[str], side: str) -> dict[str, Any]:
    """Read the words about `weights` (`a16`: and there is no other side), or those behind `static` or `dynamic`."""
    found: dict[str, str] = {}
    values: dict[str, Any] = {}
    for word in words:
        part = _part(word)
        if ("weights" if side == "a16" else side) not in part.homes:
            raise _misplaced(word, part, side)
        if part.topic in found:
            raise _clash(found[part.topic], word)
        found[part.topic] = word
        values |= part.values
    return values


def _misplaced(word: str, part: _Part, side: str) -> RecipeError:
    if part.homes == ("weights",):
        return RecipeError(f"{word!r} is about weights, and belongs in front of {side!r}.")
    if side == "a16":
        return RecipeError(f"{word!r} is about activations, which a16 leaves in floating point.")
    return RecipeError(f"{word!r} is about activations, and belongs behind {' or '.join(map(repr, part.homes))}.")


def _part(word: str) -> _Part:
    """Return the meaning of a word.

    Raises:
        RecipeError: when it has none, with the nearest that has.
    """
    if word in _WORDS:
        return _WORDS[word]
    match = _NUMBERED.fullmatch(word)
    if match is None:
        raise RecipeError(_no_part(word))
    if match["percent"]:
        return _Part("clip", {"clip": "percentile", "percentile": float(match["percent"])})
    if match["group"]:
        return _Part("granularity", {"granularity": "per_group", "group_size": int(match["group"])}, ("weights",))
    if not int(match["texts"]):
        raise RecipeError(f"{word!r} asks for calibration without a text: 1 or more are possible.")
    return _Part("calibration", {"samples": int(match["texts"])}, ("static",))


def _no_part(word: str) -> str:
    if not word:
        return "there is nothing behind one of the hyphens."
    # Not 'asym' for 'sym', which is the default and its opposite.
    known = [name for name in (*_MODES, *_WORDS, "g128", "n64", "p99.9") if name != f"a{word}"]
    return f"{word!r} is no part of a recipe. {did_you_mean(word, known)}{_POSSIBLE}"


def _clash(first: str, second: str) -> RecipeError:
    if first == second:
        return RecipeError(f"{second!r} is there twice.")
    return RecipeError(f"{first!r} and {second!r} contradict each other; choose one.")


def format_recipe(recipe: Recipe) -> str:
    """Write a recipe in its shortest form, from which `parse_recipe` reads the same one but for name and summary.

    Raises:
        RecipeError: when it has something that the short form cannot say, such as rules for single layers.
    """
    weights, activations, calibration = recipe.weights, recipe.activations, recipe.calibration
    text = ""
    if weights:
        words = [f"w{weights.bits}a{activations.bits if activations else _FLOATING_POINT}"]
        words += {"per_tensor": ["tensor"], "per_group": [f"g{weights.group_size}"]}.get(weights.granularity, [])
        words += _clip_words(weights.clip, weights.percentile)
        words += _activation_words(activations, calibration.samples if calibration else None) if activations else []
        text = "-".join(words) + ("" if recipe.kept else f"+{_OUTPUT_LAYER}")
    if not text or replace(_parse(text), name=recipe.name, summary=recipe.summary) != recipe:
        raise RecipeError(f"recipe {recipe.name!r} has no short form: {describe(recipe)}.")
    return text


def _activation_words(scheme: ActivationScheme, n_texts: int | None) -> list[str]:
    words = _clip_words(scheme.clip, scheme.percentile) + ([] if scheme.symmetric else ["asym"])
    if not scheme.dynamic:
        return ["static", *words, *([] if n_texts in {None, _SAMPLES} else [f"n{n_texts}"])]
    words = (["tensor"] if scheme.granularity == "per_tensor" else []) + words
    return ["dynamic", *words] if words else []


def _clip_words(clip: ClipMethod, percentile: float | None) -> list[str]:
    if percentile is not None:
        return [f"p{repr(float(percentile)).removesuffix('.0')}"]
    return [] if clip == "minmax" else [clip]


def describe(recipe: Recipe) -> str:
    """Put what a recipe does into one line: `8-bit weights per channel, 8-bit activations per token; lm_head kept`."""
    parts = [_describe_most(recipe)]
    parts += [f"{rule.pattern}: {_describe_schemes(rule.weights, rule.activations)}" for rule in recipe.rules]
    if plan := recipe.calibration:
        parts.append(f"calibrated on {plan.samples} texts of at most {plan.characters} characters")
    if recipe.quantizes and recipe.dtype != "checkpoint":
        parts.append(f"the rest in {recipe.dtype}")
    if recipe.quantizes:
        kept = ", ".join(recipe.kept)
        parts.append(f"{kept} kept" if kept else f"{_OUTPUT_LAYER} too, unless it is tied to the embeddings")
    return "; ".join(parts)


def _describe_most(recipe: Recipe) -> str:
    """Say what becomes of the layers that no rule is for."""
    if recipe.quantizer:
        return f"{recipe.config} of {recipe.quantizer}"
    if recipe.weights:
        return _describe_schemes(recipe.weights, recipe.activations)
    precision = "the precision that the checkpoint is stored in" if recipe.dtype == "checkpoint" else recipe.dtype
    return f"only some layers quantized, the others in {precision}" if recipe.rules else precision


def _describe_schemes(weights: WeightScheme, activations: ActivationScheme | None) -> str:
    sharing = f"in groups of {weights.group_size}" if weights.group_size else _per(weights.granularity)
    text = f"{weights.bits}-bit weights {sharing}{_clipped(weights.clip, weights.percentile)}, "
    if activations is None:
        return f"{text}activations in floating point"
    if activations.granularity == "per_tensor":  # scales per token can only be dynamic, which needs no word
        text += "dynamic " if activations.dynamic else "static "
    text += f"{'' if activations.symmetric else 'asymmetric '}{activations.bits}-bit activations "
    return text + _per(activations.granularity) + _clipped(activations.clip, activations.percentile)


def _per(granularity: str) -> str:
    return granularity.replace("_", " ")


def _clipped(clip: ClipMethod, percentile: float | None) -> str:
    how = {"minmax": "", "mse": " clipped by MSE", "entropy": " clipped by entropy"}
    return how.get(clip, f" clipped at percentile {percentile}")


def expand_braces(text: str) -> list[str]:
    """Write out alternatives: `w{8,4}a16` is `w8a16` and `w4a16`; several braces multiply, the last changes fastest.

    Raises:
        RecipeError: when braces are nested, empty or not closed.
    """
    pieces = re.split(r"\{([^{}]*)\}", text)
    if any(brace in piece for piece in pieces[::2] for brace in "{}"):
        raise RecipeError(f"recipe {text!r} has a brace without its partner, or one in another; write 'w{{8,4}}a16'.")
    if "" in pieces[1::2]:
        raise RecipeError(f"recipe {text!r} has braces with nothing between them; write 'w{{8,4}}a16'.")
    alternatives = (
        [choice.strip() for choice in piece.split(",")] if place % 2 else [piece] for place, piece in enumerate(pieces)
    )
    return ["".join(choice) for choice in itertools.product(*alternatives)]

"""The short form of recipes: what is read, what is written, and what is refused how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.grammar import describe, expand_braces, looks_like_scheme, parse_recipe
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, LayerRule, Recipe, WeightScheme

PERCENTILES = st.floats(50, 100, exclude_min=True)


@st.composite
def weight_schemes(draw: st.DrawFn) -> WeightScheme:
    granularity: Any = draw(st.sampled_from(["per_tensor", "per_channel", "per_group"]))
    clip: Any = draw(st.sampled_from(["minmax", "mse", "percentile"]))
    return WeightScheme(
        bits=draw(st.integers(2, 8)),
        granularity=granularity,
        group_size=draw(st.integers(8, 10_000)) if granularity == "per_group" else None,
        clip=clip,
        percentile=draw(PERCENTILES) if clip == "percentile" else None,
    )


@st.composite
def activation_schemes(draw: st.DrawFn) -> ActivationScheme:
    dynamic = draw(st.booleans())
    clip: Any = "minmax" if dynamic else draw(st.sampled_from(["minmax", "mse", "entropy", "percentile"]))
    return ActivationScheme(
        bits=draw(st.integers(4, 8)),
        granularity="per_token" if dynamic and draw(st.booleans()) else "per_tensor",
        dynamic=dynamic,
        clip=clip,
        percentile=draw(PERCENTILES) if clip == "percentile" else None,
        symmetric=draw(st.booleans()),
    )


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Draw any recipe that the short form can say."""
    activations = draw(st.none() | activation_schemes())
    static = activations is not None and not activations.dynamic
    return Recipe(
        name="drawn",
        summary="at random",
        weights=draw(weight_schemes()),
        activations=activations,
        kept=draw(st.sampled_from([(), ("lm_head",)])),
        calibration=CalibrationPlan(samples=draw(st.integers(1, 10_000))) if static else None,
    )


def clip_words(clip: str, percentile: float | None) -> list[str]:
    """Write a clip method, `minmax` too."""
    return [clip if percentile is None else f"p{percentile!r}"]


def short_form(recipe: Recipe) -> str:
    """Write a recipe with all its defaults."""
    weights, activations = recipe.weights, recipe.activations
    assert weights is not None
    sharing = {"per_tensor": "tensor", "per_channel": "channel", "per_group": f"g{weights.group_size}"}
    words = [f"w{weights.bits}a{activations.bits if activations else 16}", sharing[weights.granularity]]
    words += clip_words(weights.clip, weights.percentile)
    if activations:
        words += ["dynamic" if activations.dynamic else "static", activations.granularity.removeprefix("per_")]
        words += clip_words(activations.clip, activations.percentile) + ([] if activations.symmetric else ["asym"])
    words += [f"n{recipe.calibration.samples}"] if recipe.calibration else []
    return "-".join(words) + ("" if recipe.kept else "+lm_head")


@given(recipe=recipes())
def test_every_combination_can_be_written(recipe: Recipe) -> None:
    """Weights, activations, calibration and the output layer are independent of each other."""
    read = parse_recipe(short_form(recipe))

    assert replace(read, name=recipe.name, summary=recipe.summary) == recipe


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("w4a16", WeightScheme(bits=4)),
        ("w8a16-tensor", WeightScheme(bits=8, granularity="per_tensor")),
        ("w4a16-channel-minmax", WeightScheme(bits=4)),
        ("w4a16-g128", WeightScheme(bits=4, granularity="per_group", group_size=128)),
        ("w3a16-mse-g64", WeightScheme(bits=3, granularity="per_group", group_size=64, clip="mse")),
        ("w3a16-p99.9", WeightScheme(bits=3, clip="percentile", percentile=99.9)),
    ],
)
def test_the_first_words_are_about_weights(text: str, weights: WeightScheme) -> None:
    """In any order; with a16 there is nothing else."""
    recipe = parse_recipe(text)

    assert (recipe.weights, recipe.activations, recipe.calibration) == (weights, None, None)


@pytest.mark.parametrize(
    ("text", "activations"),
    [
        ("w8a8", ActivationScheme()),
        ("w8a4-dynamic-token", ActivationScheme(bits=4)),
        ("w8a8-dynamic-tensor", ActivationScheme(granularity="per_tensor")),
        ("w8a8-dynamic-asym", ActivationScheme(symmetric=False)),
        ("w8a8-static", ActivationScheme(granularity="per_tensor", dynamic=False)),
        ("w8a8-static-tensor-mse", ActivationScheme(granularity="per_tensor", dynamic=False, clip="mse")),
        (
            "w8a6-static-p99-asym",
            ActivationScheme(
                bits=6, granularity="per_tensor", dynamic=False, clip="percentile", percentile=99, symmetric=False
            ),
        ),
    ],
)
def test_the_words_behind_static_or_dynamic_are_about_activations(text: str, activations: ActivationScheme) -> None:
    """They leave the weights alone."""
    recipe = parse_recipe(text)

    assert (recipe.weights, recipe.activations) == (WeightScheme(bits=8), activations)


@pytest.mark.parametrize(("text", "samples"), [("w8a8-static", 128), ("w8a8-static-n64-mse", 64)])
def test_static_activations_are_calibrated(text: str, samples: int) -> None:
    """On 128 texts, or as many as the recipe says."""
    assert parse_recipe(text).calibration == CalibrationPlan(samples=samples)


def test_each_side_has_its_own_clip() -> None:
    """The same word means weights in front of static and activations behind it."""
    recipe = parse_recipe("w8a8-mse-static-entropy")

    assert recipe.weights == WeightScheme(bits=8, clip="mse")
    assert recipe.activations == ActivationScheme(granularity="per_tensor", dynamic=False, clip="entropy")


@pytest.mark.parametrize(("text", "kept"), [("w8a8", ("lm_head",)), ("w8a8-static+lm_head", ())])
def test_the_output_layer_is_kept_unless_it_is_named(text: str, kept: tuple[str, ...]) -> None:
    """`+lm_head` adds it to the layers that are quantized."""
    assert parse_recipe(text).kept == kept


def test_the_name_is_the_text() -> None:
    """A report shows what the user wrote, not our spelling of it."""
    assert parse_recipe("w8a8-channel-dynamic").name == "w8a8-channel-dynamic"


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("w8a8-dynamic", "w8a8"),
        ("w8a8-channel-minmax-dynamic-token-minmax", "w8a8"),
        ("w4a16-mse-g128", "w4a16-g128-mse"),
        ("w8a8-static-n128-asym-p99.0", "w8a8-static-p99-asym"),
        ("w08a08-tensor+lm_head", "w8a8-tensor+lm_head"),
    ],
)
def test_several_spellings_are_the_same_recipe(text: str, shortest: str) -> None:
    """Defaults may be written, and words come in any order."""
    assert replace(parse_recipe(text), name=shortest) == parse_recipe(shortest)


_POSSIBLE = (
    " A recipe has tensor, channel, g<N>, minmax, mse, p<percent> for weights, and behind static or dynamic "
    "token, tensor, minmax, mse, entropy, p<percent>, asym, n<N> for activations."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w8a8-statik-mse", "'statik' is no part of a recipe. Did you mean 'static'?" + _POSSIBLE),
        ("w4a16-group128", "'group128' is no part of a recipe. Did you mean 'g128'?" + _POSSIBLE),
        ("w8a8-static-99.9", "'99.9' is no part of a recipe. Did you mean 'p99.9'?" + _POSSIBLE),
        ("w8a8-xyz", "'xyz' is no part of a recipe." + _POSSIBLE),
        ("w8a8-static-sym", "'sym' is no part of a recipe." + _POSSIBLE),
        ("w4a16-g", "'g' is no part of a recipe." + _POSSIBLE),
        ("w8a8-", "there is nothing behind one of the hyphens."),
        ("w8a8--mse", "there is nothing behind one of the hyphens."),
        ("w8a8-static-mse-mse", "'mse' is there twice."),
        ("w8a8-static-static", "'static' is there twice."),
        ("w8a8-static-mse-dynamic", "'static' and 'dynamic' contradict each other; choose one."),
        ("w8a8-tensor-g64", "'tensor' and 'g64' contradict each other; choose one."),
        ("w8a8-mse-p99", "'mse' and 'p99' contradict each other; choose one."),
        ("w8a8-static-n4-n8", "'n4' and 'n8' contradict each other; choose one."),
        ("w8a8-asym", "'asym' is about activations, and belongs behind 'static' or 'dynamic'."),
        ("w8a8-token", "'token' is about activations, and belongs behind 'dynamic'."),
        ("w8a8-entropy", "'entropy' is about activations, and belongs behind 'static'."),
        ("w8a8-n64", "'n64' is about activations, and belongs behind 'static'."),
        ("w8a8-dynamic-n64", "'n64' is about activations, and belongs behind 'static'."),
        ("w8a8-static-token", "'token' is about activations, and belongs behind 'dynamic'."),
        ("w8a8-static-g64", "'g64' is about weights, and belongs in front of 'static'."),
        ("w8a8-dynamic-channel", "'channel' is about weights, and belongs in front of 'dynamic'."),
        ("w4a16-static", "'static' is about activations, which a16 leaves in floating point."),
        ("w4a16-asym", "'asym' is about activations, which a16 leaves in floating point."),
        ("w8a8-static-n0", "'n0' asks for calibration without a text: 1 or more are possible."),
        ("w8a8+lmhead", "'+lmhead' cannot be read; only '+lm_head' is possible, at the very end."),
        ("w8a8+lm_head-mse", "'+lm_head-mse' cannot be read; only '+lm_head' is possible, at the very end."),
        ("w8a8+", "'+' cannot be read; only '+lm_head' is possible, at the very end."),
        ("W8A8-Static", "recipes are written in lower case: 'w8a8-static'."),
        ("w9a8", "weights of 9 bits: 2 to 8 are possible."),
        ("w1a16", "weights of 1 bits: 2 to 8 are possible."),
        ("w8a3", "activations of 3 bits: 4 to 8 are possible, or 16 for floating point."),
        ("w8a32", "activations of 32 bits: 4 to 8 are possible, or 16 for floating point."),
        ("w4a16-g4", "groups of 4 weights: 8 or more are possible."),
        ("w8a16-p50", "a percentile of 50: above 50 and at most 100 are possible."),
        ("w8a8-static-p100.5", "a percentile of 100.5: above 50 and at most 100 are possible."),
        ("w8a8-dynamic-mse", "dynamic activations are not clipped; mse needs static ones."),
        ("w8a8-dynamic-entropy", "'entropy' is about activations, and belongs behind 'static'."),
    ],
)
def test_what_cannot_be_read_is_quoted_with_the_part_that_is_wrong(text: str, message: str) -> None:
    """Each mistake has one sentence of its own."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)

    assert str(caught.value) == f"recipe {text!r}: {message}"


@pytest.mark.parametrize("text", ["", "w8", "wa8", "w8a", "a8w8", "w8a8_static", " w8a8", "w٨a8", "w8a8static", "int8"])
def test_a_recipe_begins_with_bits(text: str) -> None:
    """Without both numbers there is no scheme."""
    with pytest.raises(RecipeError, match="is no beginning of a recipe, which gives the bits"):
        parse_recipe(text)


WEIGHT_WORDS = ["tensor", "channel", "g64", "minmax", "mse", "p99.5"]
OTHER_WORDS = ["static", "dynamic", "token", "entropy", "asym", "n16", "n0", "+lm_head", "", "x"]


@given(
    head=st.sampled_from(["w8a8", "w4a16", "w0a8", "w8a0", "W8A8", "w"]),
    words=st.lists(st.sampled_from(WEIGHT_WORDS + OTHER_WORDS) | st.text(max_size=5), max_size=5),
)
def test_every_text_is_a_recipe_or_a_recipe_error(head: str, words: list[str]) -> None:
    """No input breaks the parser."""
    text = "-".join([head, *words])
    try:
        recipe = parse_recipe(text)
    except RecipeError:
        return

    assert (recipe.name, bool(recipe.summary)) == (text, True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("w8a8", "8-bit weights per channel, 8-bit activations per token; lm_head kept"),
        (
            "w4a16-g128+lm_head",
            (
                "4-bit weights in groups of 128, activations in floating point; "
                "lm_head too, unless it is tied to the embeddings"
            ),
        ),
        (
            "w8a8-tensor-mse-dynamic-tensor-asym",
            "8-bit weights per tensor clipped by MSE, dynamic asymmetric 8-bit activations per tensor; lm_head kept",
        ),
        (
            "w8a8-p99.9-static-entropy-n64",
            (
                "8-bit weights per channel clipped at percentile 99.9, static 8-bit activations per tensor clipped by "
                "entropy; calibrated on 64 texts of at most 512 characters; lm_head kept"
            ),
        ),
    ],
)
def test_a_recipe_says_in_one_line_what_it_does(text: str, line: str) -> None:
    """Clip, sharing of scales, mode, symmetry, calibration and what is kept."""
    assert parse_recipe(text).summary == line


RULES = (LayerRule(pattern="*.down_proj", weights=WeightScheme(bits=4)),)


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        (Recipe(name="", summary=""), "the precision that the checkpoint is stored in"),
        (Recipe(name="", summary="", dtype="float32"), "float32"),
        (
            Recipe(name="", summary="", weights=WeightScheme(bits=8), rules=RULES, dtype="float32"),
            (
                "8-bit weights per channel, activations in floating point; *.down_proj: 4-bit weights per channel, "
                "activations in floating point; the rest in float32; lm_head kept"
            ),
        ),
        (
            Recipe(name="", summary="", rules=RULES, kept=("lm_head", "*.0.*")),
            (
                "only some layers quantized, the others in the precision that the checkpoint is stored in; "
                "*.down_proj: 4-bit weights per channel, activations in floating point; lm_head, *.0.* kept"
            ),
        ),
        (
            Recipe(name="", summary="", quantizer="torchao", config="Int8WeightOnlyConfig"),
            "Int8WeightOnlyConfig of torchao; lm_head kept",
        ),
    ],
    ids=["checkpoint", "float32", "rules", "rules alone", "quantizer"],
)
def test_recipes_that_are_no_scheme_are_described_too(recipe: Recipe, line: str) -> None:
    """Rules by their patterns, floating point by its type, other packages by their configuration."""
    assert describe(recipe) == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w8a8", ["w8a8"]),
        ("w{8,6,4}a16", ["w8a16", "w6a16", "w4a16"]),
        ("w{8,4}a{8,16}", ["w8a8", "w8a16", "w4a8", "w4a16"]),
        ("w8a8{,-mse}", ["w8a8", "w8a8-mse"]),
        ("w{8}a8", ["w8a8"]),
        ("", [""]),
    ],
)
def test_braces_are_written_out_in_their_order(text: str, expected: list[str]) -> None:
    """Several multiply, and the last changes fastest."""
    assert expand_braces(text) == expected


@pytest.mark.parametrize("text", ["w{8,4a16", "w8,4}a16", "w{8,{6,4}}a16", "w}8{a16"])
def test_braces_come_in_pairs_and_not_nested(text: str) -> None:
    """The text is quoted, and a right one shown."""
    with pytest.raises(RecipeError) as caught:
        expand_braces(text)

    assert str(caught.value) == (
        f"recipe {text!r} has a brace without its partner, or one in another; write 'w{{8,4}}a16'."
    )


def test_braces_hold_something() -> None:
    """Empty ones are a slip, not an empty alternative."""
    with pytest.raises(RecipeError, match=r"recipe 'w\{\}a8' has braces with nothing between them"):
        expand_braces("w{}a8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("w8a8", True), ("w8", True), ("W8A8", True), ("w9-typo", True), ("int8", False), ("wide", False), ("", False)],
)
def test_a_scheme_is_told_by_its_first_two_characters(text: str, expected: object) -> None:
    """Right or wrong, so that the reader of schemes can say what is wrong with it."""
    assert looks_like_scheme(text) is expected

"""Calibration: a model in full precision continues texts, and every layer's inputs are watched on the way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from pytest_qeval.engines.hf.continuation import completions, continued
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.rows import Text
from pytest_qeval.engines.hf.seq2seq import Sides
from pytest_qeval.errors import EngineError, RecipeError
from pytest_qeval.measure.divergence import ScoredText
from pytest_qeval.quantize.apply import NO_RANGES
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.clip import clip_histogram, range_of_histogram
from pytest_qeval.quantize.kernels.observers import Histogram
from pytest_qeval.quantize.layers import LayerPlan, plan_layers
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, Recipe

__all__ = ["Calibration", "Reader", "Watch", "observed_ranges"]

_PREFILL_TOKENS = 1024
"""Padded tokens that are watched together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was found, and on what."""

    ranges: Mapping[str, StaticRange]
    """By name of the layer, for every layer with static activations."""
    source: str
    texts_sha256: str
    seed: int
    samples: int
    tokens: int
    """Watched: of the texts and of what was generated after them."""
    duration_s: float


class Watch:
    """One histogram per static layer, of its inputs, filled while the model runs."""

    def __init__(self, model: Any, recipe: Recipe) -> None:
        """Look for the layers that the recipe gives static activations."""
        self._places = [place for place in plan_layers(model, recipe) if _static(place)]
        self._histograms = [Histogram() for _ in self._places]
        self._model = model

    @contextmanager
    def __call__(self, real: torch.Tensor | None = None) -> Iterator[None]:
        """Watch; `real` `[batch, tokens]` marks what is no padding."""
        hooks = [self._hook(*pair, real) for pair in zip(self._places, self._histograms, strict=True)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, place: LayerPlan, histogram: Histogram, real: torch.Tensor | None) -> Any:
        def watch(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            x = inputs[0].detach()
            x = x.reshape(-1, x.shape[-1])  # some models flatten batch and position themselves
            if real is not None and x.shape[0] == real.numel():
                x = x[real.flatten()]
            try:
                histogram.add(x)
            except EngineError as error:
                raise EngineError(f"layer {place.name}: {error}") from error

        return place.module(self._model).register_forward_pre_hook(watch)

    def ranges(self) -> dict[str, StaticRange]:
        """Conclude: one range per layer.

        Raises:
            RecipeError: when a layer has never been called.
        """
        found = {}
        for place, histogram in zip(self._places, self._histograms, strict=True):
            if not histogram.n_values:
                raise RecipeError(f"calibration never reached {place.name}: keep it, or choose dynamic activations.")
            found[place.name] = _range(histogram, _scheme(place))
        return found


class Reader:
    """Runs a model over texts and over what it says after them.

    Statistics have to cover the prompts and the generated tokens, as in the study. A causal model is first let
    generate, and then shown text and continuation at once: it computes the same there, many tokens at a time. So is one
    with an encoder, which is shown one text at a time. Any other model generates while it is watched.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        texts: CalibrationTexts,
        plan: CalibrationPlan,
        *,
        eos_ids: tuple[int, ...],
        continuous: bool,
        sides: Sides | None = None,
    ) -> None:
        """Let a model continue the texts, in full precision and unwatched.

        Args:
            model: In full precision.
            tokenizer: Its tokenizer.
            texts: What it is shown.
            plan: How much it generates after each text.
            eos_ids: Tokens that end a sequence.
            continuous: Whether the continuous batch can carry the model; else it generates when it is shown the texts.
            sides: Those of a model with an encoder.
        """
        started = time.perf_counter()
        self._model = model
        self._tokenizer = tokenizer
        self._texts = texts
        self._plan = plan
        self._sequences: list[tuple[int, ...]] | None = None
        self._answered: list[ScoredText] = []
        if sides:
            text, new_tokens = Text(tokenizer, eos_ids, apart=True), plan.new_tokens
            answers = completions(model, text, texts.texts, new_tokens, continuous=continuous, sides=sides)
            self._answered = [sides.solved(tokenizer, *pair) for pair in zip(texts.texts, answers, strict=True)]
        elif continuous:
            self._sequences = continued(model, Text(tokenizer, eos_ids), texts.texts, plan.new_tokens)
        self._duration_s = time.perf_counter() - started
        self.tokens = 0
        """Shown so far."""

    def show(self, watch: Watch | None = None) -> None:
        """Run the model over everything, watched or not; unwatched, one text at a time and without padding.

        Args:
            watch: Looks at the inputs of layers.

        Raises:
            EngineError: when activations are not finite.
        """
        started = time.perf_counter()
        if self._answered:
            self.tokens = sum(self._read_sides(text, watch) for text in self._answered)
        elif self._sequences is None:
            self.tokens = sum(self._generate(text, watch) for text in self._texts.texts)
        else:
            groups = _groups(self._sequences) if watch else ([sequence] for sequence in self._sequences)
            self.tokens = sum(self._read(group, watch) for group in groups)
        self._duration_s += time.perf_counter() - started

    def calibration(self, ranges: Mapping[str, StaticRange]) -> Calibration:
        """Say what was done, with the ranges that came of it."""
        return Calibration(
            ranges=ranges,
            source=self._texts.source,
            texts_sha256=self._texts.sha256,
            seed=self._texts.seed,
            samples=len(self._texts.texts),
            tokens=self.tokens,
            duration_s=self._duration_s,
        )

    @torch.inference_mode()
    def _read(self, group: Sequence[Sequence[int]], watch: Watch | None) -> int:
        """Run sequences through the model, padded on the right, where a causal model never looks."""
        ids = torch.zeros((len(group), max(map(len, group))), dtype=torch.long, device=self._model.device)
        real = torch.zeros_like(ids, dtype=torch.bool)
        for row, sequence in enumerate(group):
            ids[row, : len(sequence)] = torch.tensor(sequence)
            real[row, : len(sequence)] = True
        with watch(real) if watch else nullcontext():
            self._model(input_ids=ids, use_cache=False)
        return int(real.sum())

    @torch.inference_mode()
    def _read_sides(self, text: ScoredText, watch: Watch | None) -> int:
        """Let the encoder read a text and the decoder its answer, alone: there is nothing to pad."""
        source, said = (torch.tensor([ids], device=self._model.device) for ids in (text.source_ids, text.token_ids))
        with watch() if watch else nullcontext():
            self._model(input_ids=source, decoder_input_ids=said, use_cache=False)
        return source.numel() + said.numel()

    @torch.inference_mode()
    def _generate(self, text: str, watch: Watch | None) -> int:
        room = max(1, context_length(self._model) - self._plan.new_tokens)
        ids = self._tokenizer(text, return_tensors="pt").input_ids[:, :room].to(self._model.device)
        with watch() if watch else nullcontext():
            out = self._model.generate(ids, do_sample=False, max_new_tokens=self._plan.new_tokens)
        return int(out.shape[1]) - 1  # the last token is chosen and never read


def observed_ranges(model: Any, recipe: Recipe, reader: Reader) -> Mapping[str, StaticRange]:
    """Watch a model read, and give the range of every layer with static activations; none where there are none.

    Raises:
        EngineError: when activations are not finite.
        RecipeError: when a static layer has never been called.
    """
    if not recipe.needs_calibration:
        return NO_RANGES
    watch = Watch(model, recipe)
    reader.show(watch)
    return watch.ranges()


def _groups(sequences: Iterable[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Put sequences of similar length together."""
    group: list[tuple[int, ...]] = []
    for sequence in sorted(sequences, key=len):
        if group and len(sequence) * (len(group) + 1) > _PREFILL_TOKENS:
            yield group
            group = []
        group.append(sequence)
    if group:
        yield group


def _static(place: LayerPlan) -> bool:
    return place.rule is not None and place.rule.activations is not None and not place.rule.activations.dynamic


def _scheme(place: LayerPlan) -> ActivationScheme:
    assert place.rule is not None  # noqa: S101 - `_static` has looked
    assert place.rule.activations is not None  # noqa: S101
    return place.rule.activations


def _range(histogram: Histogram, scheme: ActivationScheme) -> StaticRange:
    if scheme.symmetric:
        limit = clip_histogram(histogram, bits=scheme.bits, clip=scheme.clip, percentile=scheme.percentile)
        return StaticRange(low=-limit, high=limit)
    low, high = range_of_histogram(histogram, bits=scheme.bits, clip=scheme.clip, percentile=scheme.percentile)
    return StaticRange(low=low, high=high)

"""Calibration: observe every layer's inputs while a model in full precision reads texts and its continuations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from pytest_qeval.engines.hf.decoding import complete, continue_texts
from pytest_qeval.engines.hf.forward import context_length, pad_right
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.errors import EngineError, RecipeError
from pytest_qeval.measure.divergence import ScoredText
from pytest_qeval.quantize.apply import NO_RANGES
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.clip import clip_histogram, range_of_histogram
from pytest_qeval.quantize.kernels.observers import Histogram
from pytest_qeval.quantize.layers import LayerPlan, plan_layers
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, Recipe

_GROUP_TOKENS = 1024
"""Padded tokens of texts that are run together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Static ranges, and the texts that they come from."""

    ranges: Mapping[str, StaticRange]
    """By name of the layer, for every layer with static activations."""
    source: str
    texts_sha256: str
    seed: int
    samples: int
    tokens: int
    """Tokens that were run: of the texts and of their continuations."""
    duration_s: float


class ActivationObserver:
    """One histogram of the inputs of each layer with static activations, filled while the model runs."""

    def __init__(self, model: Any, recipe: Recipe) -> None:
        """Find the layers to which the recipe gives static activations."""
        places = [(place, _static_scheme(place)) for place in plan_layers(model, recipe)]
        self._layers = [(place, scheme, Histogram()) for place, scheme in places if scheme]
        self._model = model

    @contextmanager
    def observe(self, mask: torch.Tensor | None = None) -> Iterator[None]:
        """Observe all calls of the model meanwhile; `mask` `[batch, tokens]` is 1 where there is no padding."""
        hooks = [self._hook(place, histogram, mask) for place, _, histogram in self._layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, place: LayerPlan, histogram: Histogram, mask: torch.Tensor | None) -> Any:
        def add(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            x = inputs[0].detach()
            x = x.reshape(-1, x.shape[-1])  # some models flatten batch and position themselves
            if mask is not None and x.shape[0] == mask.numel():
                x = x[mask.flatten().bool()]
            try:
                histogram.add(x)
            except EngineError as error:
                raise EngineError(f"layer {place.name}: {error}") from error

        return place.module(self._model).register_forward_pre_hook(add)

    def ranges(self) -> dict[str, StaticRange]:
        """Return one range per layer.

        Raises:
            RecipeError: when a layer has never been called.
        """
        found = {}
        for place, scheme, histogram in self._layers:
            if not histogram.n_values:
                raise RecipeError(f"calibration never reached {place.name}: keep it, or choose dynamic activations.")
            found[place.name] = _range(histogram, scheme)
        return found


class CalibrationRun:
    """Runs a model over texts and its continuations of them.

    Statistics have to cover the prompts and the generated tokens, as in the study. A causal model first generates, and
    then reads text and continuation at once: it computes the same there, many tokens at a time. So does a model with an
    encoder, one text at a time. A model that the continuous batch cannot decode is observed while it generates.
    """

    def __init__(self, language_model: LanguageModel, texts: CalibrationTexts, plan: CalibrationPlan) -> None:
        """Let a model in full precision continue the texts by `plan.new_tokens` tokens."""
        started = time.perf_counter()
        self._language_model = language_model
        self._model = language_model.model
        self._texts = texts
        self._new_tokens = plan.new_tokens
        self._sequences: list[tuple[int, ...]] = []
        self._pairs: list[ScoredText] = []
        if encoder_decoder := language_model.encoder_decoder:
            pairs = zip(texts.texts, complete(language_model, texts.texts, plan.new_tokens), strict=True)
            self._pairs = [encoder_decoder.tokenize_solution(language_model.tokenizer, *pair) for pair in pairs]
        elif not language_model.fallback_reason:
            self._sequences = continue_texts(language_model, texts.texts, plan.new_tokens)
        self._duration_s = time.perf_counter() - started
        self.tokens = 0
        """Tokens that the last `run` has seen."""

    def run(self, observer: ActivationObserver | None = None) -> None:
        """Run the model over everything; without an observer one text at a time and without padding.

        Raises:
            EngineError: when activations are not finite.
        """
        started = time.perf_counter()
        if self._pairs:
            self.tokens = sum(self._run_pair(pair, observer) for pair in self._pairs)
        elif self._sequences:
            groups = _groups(self._sequences) if observer else ([sequence] for sequence in self._sequences)
            self.tokens = sum(self._run_group(group, observer) for group in groups)
        else:
            self.tokens = sum(self._generate(text, observer) for text in self._texts.texts)
        self._duration_s += time.perf_counter() - started

    def calibration(self, ranges: Mapping[str, StaticRange]) -> Calibration:
        """Describe this run, with the ranges that came of it."""
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
    def _run_group(self, group: Sequence[Sequence[int]], observer: ActivationObserver | None) -> int:
        """Run sequences padded on the right, where a causal model never attends to padding."""
        ids, mask = pad_right(group, self._model.device)
        with observer.observe(mask) if observer else nullcontext():
            self._model(input_ids=ids, use_cache=False)
        return int(mask.sum())

    @torch.inference_mode()
    def _run_pair(self, pair: ScoredText, observer: ActivationObserver | None) -> int:
        """Run the encoder over one text and the decoder over its completion, without padding."""
        source, target = (torch.tensor([ids], device=self._model.device) for ids in (pair.source_ids, pair.token_ids))
        with observer.observe() if observer else nullcontext():
            self._model(input_ids=source, decoder_input_ids=target, use_cache=False)
        return source.numel() + target.numel()

    @torch.inference_mode()
    def _generate(self, text: str, observer: ActivationObserver | None) -> int:
        room = max(1, context_length(self._model) - self._new_tokens)
        ids = self._language_model.tokenizer(text, return_tensors="pt").input_ids[:, :room].to(self._model.device)
        with observer.observe() if observer else nullcontext():
            out = self._model.generate(ids, do_sample=False, max_new_tokens=self._new_tokens)
        return int(out.shape[1]) - 1  # the last token is chosen and never read


def observe_ranges(model: Any, recipe: Recipe, run: CalibrationRun) -> Mapping[str, StaticRange]:
    """Return the range of every layer with static activations; empty where the recipe has none.

    Raises:
        EngineError: when activations are not finite.
        RecipeError: when a static layer has never been called.
    """
    if not recipe.needs_calibration:
        return NO_RANGES
    observer = ActivationObserver(model, recipe)
    run.run(observer)
    return observer.ranges()


def _groups(sequences: Iterable[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Put sequences of similar length together."""
    group: list[tuple[int, ...]] = []
    for sequence in sorted(sequences, key=len):
        if group and len(sequence) * (len(group) + 1) > _GROUP_TOKENS:
            yield group
            group = []
        group.append(sequence)
    if group:
        yield group


def _static_scheme(place: LayerPlan) -> ActivationScheme | None:
    scheme = place.rule.activations if place.rule else None
    return scheme if scheme and not scheme.dynamic else None


def _range(histogram: Histogram, scheme: ActivationScheme) -> StaticRange:
    if scheme.symmetric:
        limit = clip_histogram(histogram, bits=scheme.bits, clip=scheme.clip, percentile=scheme.percentile)
        return StaticRange(low=-limit, high=limit)
    low, high = range_of_histogram(histogram, bits=scheme.bits, clip=scheme.clip, percentile=scheme.percentile)
    return StaticRange(low=low, high=high)

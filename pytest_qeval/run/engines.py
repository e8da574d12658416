"""Open the engine of a recipe, and post what the recipe did to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pytest_qeval.benchmarks.selftest import RECIPES
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.base import ModelEngine
from pytest_qeval.engines.replay import ReplayEngine
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import RecipeFacts, Role
from pytest_qeval.records.messages import Message
from pytest_qeval.run.replay import Replays
from pytest_qeval.schema import LoadingProgress
from pytest_qeval.settings import CONTROL, file_stem


@dataclass(kw_only=True, eq=False)
class EngineLoader:
    """Opens engines by the recipe's name."""

    settings: RunSettings
    replays: Replays
    check_batch: Callable[[RecipeFacts], None]
    """Raises a `UsageError` where a recipe cannot be compared with the saved baseline."""
    post: Callable[[Message], None]
    """Takes the facts of every recipe that is loaded."""
    on_loading: Callable[[str, LoadingProgress], None] = lambda _recipe, _progress: None
    """Takes a recipe's progress while its model is being loaded."""
    _batch_size: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Begin with the user's batch size."""
        self._batch_size = self.settings.model.batch_size

    def load(self, name: str) -> ReplayEngine | ModelEngine:
        """Load and quantize a recipe's model, or read the samples.

        Raises:
            QEvalError: when that fails, or the saved baseline was decoded in another way.
        """
        completions = self.replays.completions(name)
        if completions is not None:
            summary = RECIPES[name] if self.settings.selftest else "completions from a samples file"
            self.post(RecipeFacts(name=name, role=self._role(name), summary=summary))
            return ReplayEngine(completions)
        return self.load_model(name)

    def load_model(self, name: str) -> ModelEngine:
        """Load and quantize a recipe's model.

        Raises:
            QEvalError: as `load`.
        """
        settings, recipe, resolved = self.settings, self.settings.recipe(name), self.settings.resolved
        assert resolved is not None  # noqa: S101 - only a replay has no model
        exports = settings.export and recipe.quantizes and recipe.name in settings.candidates
        runner = resolved.engine_of(recipe.name)
        engine = runner.open(
            resolved.source_of(recipe),
            recipe,
            model=replace(settings.model, batch_size=self._batch_size),
            generation=settings.generation,
            texts=settings.calibration_texts.get(recipe.name),
            export=settings.export / file_stem(recipe.name) if settings.export and exports else None,
            on_loading=lambda progress: self.on_loading(name, progress),
        )
        described = {"engine": runner.name, **recipe.to_dict(), **engine.facts()}
        facts = RecipeFacts(name=name, role=self._role(name), **described)
        try:
            if runner.in_process:  # a server decides for itself what it computes together
                # One width for all recipes of a run: the first one's memory decides, or the user.
                self._batch_size = facts.batch_size
                self.check_batch(facts)
        except UsageError:
            engine.close()
            raise
        self.post(facts)
        if budget := settings.budgets.get(name):
            self.post(budget)
        return engine

    def _role(self, name: str) -> Role:
        roles: Mapping[str | None, Role] = {self.settings.baseline: "baseline", CONTROL: "control"}
        return roles.get(name, "candidate")

"""The baseline's log-probabilities on a benchmark's solutions, which candidates are compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.engines.base import ModelEngine
from pytest_qeval.errors import UsageError
from pytest_qeval.measure.topk import Scores
from pytest_qeval.records.messages import BaselineScores, Message
from pytest_qeval.run.benchmarks import BenchmarkLoader
from pytest_qeval.run.engines import EngineLoader
from pytest_qeval.verdict.baseline.reuse import SavedBaseline


@dataclass(kw_only=True, eq=False)
class BaselineScorer:
    """Takes them from the saved baseline, or measures them once."""

    settings: RunSettings
    saved: SavedBaseline | None
    benchmarks: BenchmarkLoader
    engines: EngineLoader
    post: Callable[[Message], None]
    _scores: dict[str, Scores] = field(default_factory=dict, init=False)

    def of(self, benchmark: str, engine: ModelEngine | None = None) -> Scores:
        """Return them for a benchmark; without the loaded `engine` the model is loaded, and closed again.

        Raises:
            UsageError: when a saved baseline that the user named has none.
        """
        if benchmark not in self._scores:
            task_ids = {case.task_id for case in self.benchmarks.cases(benchmark)}
            own_texts = self.settings.divergence_texts is not None
            saved = self.saved.scores(benchmark, task_ids) if self.saved and not own_texts else None
            if self.settings.baseline_file and own_texts:
                raise UsageError(
                    f"{self.settings.baseline_file} holds log-probabilities on canonical solutions only: for "
                    "--qeval-divergence-texts run the baseline as well, and leave --qeval-baseline out."
                )
            if saved is None and self.settings.baseline_file:
                raise UsageError(
                    f"{self.settings.baseline_file} holds no log-probabilities on {benchmark}: make it again with "
                    "--qeval-save-baseline and --qeval-suite divergence."
                )
            self._scores[benchmark] = saved or self._measure(benchmark, engine)
        return self._scores[benchmark]

    def _measure(self, benchmark: str, engine: ModelEngine | None) -> Scores:
        name = self.settings.baseline or self.settings.candidates[0]
        texts = self.benchmarks.solutions(benchmark)
        loaded = engine or self.engines.load_model(name)
        try:
            scores = loaded.score(texts)
        finally:
            if engine is None:
                loaded.close()
        if self.settings.divergence_texts is None:  # a saved baseline has those of the solutions
            self.post(BaselineScores.of(name, benchmark, scores))
        return scores

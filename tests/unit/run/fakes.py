"""Stand-ins for the parts of a run: an engine with a model that is none, and a place for messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_qeval.engines.base import EngineProgress, ModelEngine, StreamTimes
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.facts import SensitivityFacts
from pytest_qeval.measure.topk import Scores
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings, ModelSettings

"""The embedded code model `demo`; `tools/demo_training` of the repository trains it again."""

from pathlib import Path
from typing import Final

MODEL_DIR: Final[Path] = Path(__file__).parent / "model"

__all__ = ["MODEL_DIR"]

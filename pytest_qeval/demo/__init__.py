"""Hold the embedded code model `demo` and everything needed to train it again."""

from pathlib import Path
from typing import Final

MODEL_DIR: Final[Path] = Path(__file__).parent / "model"

__all__ = ["MODEL_DIR"]

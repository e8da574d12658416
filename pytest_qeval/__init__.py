"""Evaluate quantized code models with pytest.

Importing this package imports neither pytest nor torch.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.2.0"

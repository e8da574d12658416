"""Plots of what a run takes, for scripts whose tables do without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def plot(path: Path, title: str, xs: Sequence[int], panels: Mapping[str, Sequence[float]]) -> None:
    """Draw panels side by side as SVG, each from 0 on, over the same numbers; nothing without matplotlib.

    Args:
        path: File to be written, the same for the same values.
        title: Of the axis that all share.
        xs: Ascending; far apart, they are drawn on a logarithmic axis.
        panels: Values for each of `xs`, by the label of their axis.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - of no extra: the tables do without
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        print("Without a plot: matplotlib is not installed.")
        return
    mpl.rcParams["svg.hashsalt"] = title  # the same file for the same points
    figure = Figure(figsize=(4 * len(panels), 3.2), layout="constrained")
    for axes, (label, values) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.plot(xs, values, "o-")
        axes.set(xlabel=title, ylabel=label, ylim=(0, None))
        axes.set_xscale("log", base=2) if xs[-1] > 8 * xs[0] else axes.set_xticks(xs)
        axes.set_xticks(xs, [f"{x:,}" for x in xs])
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})

"""Does a recipe make a model more brittle than its baseline?

    python -m benchmarks.robustness ~/.cache/qeval-models/qwen2.5-coder-0.5b-instruct

Runs the suite robustness once and prints a table in Markdown from its report: for every category the robust drop of
baseline and candidate, and the increase with its paired interval.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy import points, report_of, share
from pytest_qeval.perturb.base import CATEGORIES
from pytest_qeval.summary.robustness import ALL

HEAD = (
    "perturbed", "problems", "questions", "pass@1", "drop of the baseline", "drop of the recipe", "increase",
    "robust under the baseline only, the recipe only", "p (corrected)", "evidence",
)  # fmt: skip


def run(args: argparse.Namespace, output: Path) -> dict[str, Any]:
    """Ask the perturbed problems and give the report."""
    options = [
        *(f"--qeval-model={args.model}", f"--qeval-recipe={args.recipe}", f"--qeval-prompt={args.prompt}"),
        "--qeval-suite=robustness",
        *(f"--qeval-perturbation={one}" for one in args.perturbation),
        *([f"--qeval-limit={args.limit}"] if args.limit else []),
        *([f"--qeval-seeds={args.seeds}"] if args.seeds else []),
    ]
    return report_of(options, output)


def rows(scopes: dict[str, dict[str, dict[str, Any]]], recipe: str) -> Iterator[Sequence[str]]:
    """Yield a row for every category and for all, of a benchmark's results by recipe and scope."""
    for name in (name for name in (*CATEGORIES, ALL) if name in scopes[recipe]):
        own = scopes[recipe][name]
        compared = own["comparison"]
        base = scopes[compared["baseline"]][name]
        yield (
            name,
            str(own["problems"]),
            str(own["applied"]),
            f"{share(base['pass@1'])}, {share(own['pass@1'])}",
            share(base["robust_drop@1"]),
            share(own["robust_drop@1"]),
            points(compared["drop_increase"]),
            f"{len(compared['broken'])}, {len(compared['mended'])}",
            f"{compared['mcnemar_p']:.2g} ({compared['mcnemar_p_adjusted']:.2g})",
            f"{compared['evidence']} at {100 * compared['margin']:g} pt",
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--prompt", default="completion")
    parser.add_argument("--perturbation", nargs="+", default=["screen"])
    parser.add_argument("--limit", type=int, help="the first problems (default: as the set says)")
    parser.add_argument("--seeds", type=int)
    parser.add_argument(
        "--output", type=Path, default=None, help="where the report stays (default: a temporary folder)"
    )
    args = parser.parse_args()
    output = (args.output or Path(tempfile.mkdtemp())).resolve()
    for benchmark, scopes in run(args, output)["robustness"].items():
        table = [HEAD, ["---"] * len(HEAD), *rows(scopes, args.recipe)]
        print(f"{benchmark}\n")
        print("\n".join(f"| {' | '.join(cells)} |" for cells in table))


if __name__ == "__main__":
    main()

"""Measure what a recipe costs on several benchmarks, in both prompt styles.

    python benchmarks/accuracy.py ~/.cache/qeval-models/qwen2.5-coder-0.5b-instruct --data DIR

Runs pytest once per prompt style on HumanEval, MBPP's test split and code summarization, and prints one Markdown table
from the two reports: scores with intervals, paired differences, and what they prove. `--data` is a folder with
`mbpp.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

STYLES = ("completion", "chat")
SUITES = ("humaneval", "mbpp", "summarization")
HEAD = ("benchmark", "prompt", "metric", "n", "baseline", "candidate", "difference", "changed", "evidence")


def run(args: argparse.Namespace, style: str, output: Path) -> dict[str, Any]:
    """Evaluate in one style and return the report."""
    options = [
        *(f"--qeval-model={args.model}", f"--qeval-recipe={args.recipe}", f"--qeval-prompt={style}"),
        *(f"--qeval-suite={suite}" for suite in args.suites),
        *([f"--qeval-data={args.data}"] if args.data else []),
        *([f"--qeval-limit={args.limit}"] if args.limit else []),
    ]
    return report_of(options, output)


def report_of(options: Sequence[str], output: Path) -> dict[str, Any]:
    """Run pytest, the baseline included, and return its report."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qeval-baseline=run", *options]
    finished = subprocess.run([*command, f"--qeval-output={output}"], check=False)
    if not (output / "report.json").is_file():
        sys.exit(f"pytest ended with status {finished.returncode} and without a report")
    report: dict[str, Any] = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return report


def rows(report: dict[str, Any], style: str, recipe: str) -> Iterator[Sequence[str]]:
    """Yield a row for every benchmark and metric of a report."""
    for name, found in report["benchmarks"].items():
        compared = found["comparisons"][recipe]
        base, own = (found["results"][which] for which in (compared["baseline"], recipe))
        yield (
            name,
            style,
            "pass@1",
            str(base["solved"] + base["unsolved"]),
            f"{share(base['pass@k']['1'])} {base['solved']} solved",
            f"{share(own['pass@k']['1'])} {own['solved']} solved",
            points(compared["delta"]),
            f"{len(compared['regressed'])} regressed, {len(compared['fixed'])} fixed",
            f"{compared['evidence']} at {100 * compared['margin']:g} pt",
        )
    for name, found in report["summarization"].items():
        compared = found["comparisons"][recipe]
        base, own = (found["results"][which] for which in (compared["baseline"], recipe))
        for score in ("bleu", "chrf"):
            change = compared[score]
            yield (
                name,
                style,
                score,
                str(base["scored"]),
                share(base[score]),
                share(own[score]),
                points(change["delta"]),
                f"{change['lower']} lower, {change['higher']} higher",
                f"{change['evidence']} at {100 * change['margin']:g} pt",
            )


def share(estimate: dict[str, Any]) -> str:
    """Write a share from 0 to 1 with its interval."""
    if "undefined" in estimate:
        return str(estimate["undefined"])
    return f"{100 * estimate['value']:.1f} [{ends(estimate, '.1f')}]".replace("-", "−")


def points(estimate: dict[str, Any]) -> str:
    """Write a difference in points with its interval."""
    if "undefined" in estimate:
        return str(estimate["undefined"])
    return f"{100 * estimate['value']:+.1f} [{ends(estimate, '+.1f')}]".replace("-", "−")


def ends(estimate: dict[str, Any], form: str) -> str:
    """Write both ends of an interval."""
    return ", ".join("–" if estimate[end] is None else f"{100 * estimate[end]:{form}}" for end in ("low", "high"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--data")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--styles", nargs="+", choices=STYLES, default=STYLES)
    parser.add_argument("--suites", nargs="+", default=SUITES)
    parser.add_argument("--output", type=Path, default=None, help="where reports stay (default: a temporary folder)")
    args = parser.parse_args()
    output = args.output or Path(tempfile.mkdtemp())
    output.mkdir(parents=True, exist_ok=True)
    table: list[Sequence[str]] = [HEAD, ["---"] * len(HEAD)]
    for style in args.styles:
        table += rows(run(args, style, (output / style).resolve()), style, args.recipe)
    print("\n".join(f"| {' | '.join(cells)} |" for cells in table))


if __name__ == "__main__":
    main()

"""Read the cases of a run: which problems flipped, and what the recipes have in common."""

import sys

import pandas as pd

cases = pd.read_parquet(f"{sys.argv[1]}/cases.parquet")
nominal = cases[cases.perturbation.isna() & ~cases.half].assign(solved=lambda rows: rows.outcome == "solved")

# Share of problems that every recipe solves.
print(nominal.pivot_table("solved", "benchmark", "recipe"))

# Problems that flipped, and why.
flips = nominal[nominal.change.isin(["regressed", "fixed"])]
print(flips[["recipe", "task_id", "change", "status", "detail"]].to_string(index=False))

# Whether a recipe writes more where it fails.
print(nominal.groupby(["recipe", "outcome"]).n_tokens.describe()[["count", "mean", "50%", "max"]])

"""A reporter of your own: one line for a log of all evaluations."""

import json


class History:
    """Appends the verdict and the scores to `history.jsonl` beside the folders of the runs."""

    name = "history"
    summary = "history.jsonl: one line for every run"

    def write(self, results, folder):
        """Write one line."""
        report = results.report
        scores = {
            f"{benchmark}/{recipe}": found["pass@k"]["1"].get("value")
            for benchmark, one in report["benchmarks"].items()
            for recipe, found in one["results"].items()
        }
        row = {"run": report["run"]["id"], "verdict": report["verdict"], "pass@1": scores}
        with open(folder.parent / "history.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")


HISTORY = History()

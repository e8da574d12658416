"""Let a masked language model name local variables, for the perturbation `rename_variable_model`.

    PYTHONPATH=tools python -m build_perturbation_files.names humaneval microsoft/codebert-base-mlm DIR

Every use of the variable is masked at once, and the likeliest names over all of them are written, the best first. A
name is one token of the model. Make the file once and keep it, so that all models get the same prompts.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence

from build_perturbation_files.command import Build, pretrained
from pytest_qeval.perturb.base import nominal_form
from pytest_qeval.perturb.code.variables import NAMES_FILE, most_frequent_variable, rename_variable_model
from pytest_qeval.perturb.source import Source
from pytest_qeval.schema import Json, Problem

Proposer = Callable[[Sequence[str]], Sequence[str]]
"""Return names for a variable, the best first, from the texts between its uses."""

_NAMES = 20
"""How many are written, since the best ones are often taken."""


def hub_proposer(model: str) -> Proposer:
    """Load a masked language model from the hub or a directory.

    Raises:
        MissingPackageError: without the package transformers.
        ModelSourceError: when there is no such model, or it is of another kind.
    """
    tokenizer, network = pretrained("AutoModelForMaskedLM", model)
    # A program that is too long loses its beginning, which is the docstring.
    tokenizer.truncation_side = "left"

    def propose(pieces: Sequence[str]) -> Sequence[str]:
        inputs = tokenizer(tokenizer.mask_token.join(pieces), return_tensors="pt", truncation=True)
        places = inputs["input_ids"][0] == tokenizer.mask_token_id
        if not places.any():
            return []
        logits = network(**inputs).logits[0, places].detach()  # [uses, vocabulary]
        likely = logits.log_softmax(-1).mean(0).topk(min(50 * _NAMES, logits.shape[-1])).indices
        names = (tokenizer.decode([token]).strip() for token in likely.tolist())
        return list(dict.fromkeys(name for name in names if name.isidentifier()))[:_NAMES]

    return propose


def proposals(problems: Iterable[Problem], propose: Proposer) -> Iterator[Json]:
    """Return a row of the file for each problem that has a variable to rename in the given half."""
    perturbation = rename_variable_model({})
    for problem in problems:
        half = nominal_form(problem, perturbation)
        source = Source.of(half) if half else None
        uses = most_frequent_variable(source) if source else ()
        if source and uses:
            names = propose(_between(source, uses))
            yield {"task_id": problem.task_id, "variable": uses[0].id, "names": list(names)}


def _between(source: Source, uses: Sequence[ast.Name]) -> Sequence[str]:
    starts = [0, *(source.end(use) for use in uses)]
    ends = [*(source.start(use) for use in uses), len(source.text)]
    return [source.text[start:end] for start, end in zip(starts, ends, strict=True)]


def _rows(problems: Iterable[Problem], models: Sequence[str]) -> Iterator[Json]:
    (model,) = models
    return proposals(problems, hub_proposer(model))


main = Build(
    description=(__doc__ or "").partition("\n")[0],
    file=NAMES_FILE,
    models={"model": "a masked language model of code: hub id or directory"},
    rows=_rows,
).main

if __name__ == "__main__":
    main()

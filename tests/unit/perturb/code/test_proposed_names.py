"""Variables that a model of code named: read from a file, and the command that makes the file with a real network."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from build_perturbation_files.names import hub_proposer, main, proposals

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.proposed_names import FILE, Proposal, read_proposals, rename_variable_model
from pytest_qeval.perturb.code.variables import RENAME_VARIABLE_NAIVE
from pytest_qeval.perturb.validity import check_perturbed
from tests.unit.perturb.builders import run_solution, nominal_problems, problem, problems

BEFORE = problem("x = n + 1\nx += x\n", "return x\n")


def ask(*names: str, variable: str = "x") -> str:
    """Return the half that is asked when these names were proposed."""
    rows = {"made up/0": Proposal(task_id="made up/0", variable=variable, names=list(names))}
    return perturb_problem(BEFORE, rename_variable_model(rows), 0).prompt.partition('1\n    """\n')[2]


def test_the_best_name_is_given_everywhere() -> None:
    """As the other perturbations of variables do; what is left of the solution follows."""
    rows = {"made up/0": Proposal(task_id="made up/0", variable="x", names=["total"])}
    after = perturb_problem(BEFORE, rename_variable_model(rows), 0)

    assert after.prompt.endswith("    total = n + 1\n    total += total\n")
    assert after.canonical_solution == "    return total\n"
    assert run_solution(after, 2) == run_solution(BEFORE, 2)


def test_a_name_that_is_not_free_is_passed_over() -> None:
    """A parameter, a word of the prompt, a builtin, a keyword, the old name, no name at all."""
    assert ask("n", "Compute", "sum", "class", "x", "2nd", "total", "value") == "    total = n + 1\n    total += total\n"


@pytest.mark.parametrize("names", [(), ("n", "sum")])
def test_without_a_free_name_nothing_changes(names: Sequence[str]) -> None:
    """That is counted as unchanged."""
    assert ask(*names) == "    x = n + 1\n    x += x\n"


def test_names_for_another_variable_or_problem_are_not_taken() -> None:
    """The file may have been made when halves were cut otherwise."""
    assert ask("total", variable="y") == "    x = n + 1\n    x += x\n"
    assert rename_variable_model({}).apply(BEFORE, random.Random(0)) is BEFORE  # noqa: S311 - no cryptography


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, f"there is no {FILE} in .*: write one with python -m build_perturbation_files.names"),
        ('{"task_id": "a", "variable": "x"}', r"line 1: .*`names`.* Expected an object with task_id, variable, names"),
        ('{"task_id": "a", "variable": "x", "names": "y"}', "line 1: Expected `array`"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    """With its path, the line, and what was expected."""
    if text is not None:
        tmp_path.joinpath(FILE).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_proposals(tmp_path)


def test_a_model_is_asked_about_every_use_in_the_given_half_and_the_rest() -> None:
    """The pieces are the whole program without the variable."""
    seen: list[Sequence[str]] = []

    def propose(pieces: Sequence[str]) -> Sequence[str]:
        seen.append(pieces)
        return ["total"]

    whole = problem("x = n + 1\nx += x\nreturn x\ny = 1\n")  # the half of four lines is two
    lines = whole.prompt.splitlines(keepends=True)
    before = problem("", "x = n + 1\nx += x\nreturn x\ny = 1\n")

    assert list(proposals([before], propose)) == [{"task_id": "made up/0", "variable": "x", "names": ["total"]}]
    assert "x".join(seen[0]) == "".join(lines)
    assert len(seen[0]) == 5


def test_every_half_of_humaneval_that_has_a_variable_is_named_and_stays_answerable() -> None:
    """The same problems as of the other perturbations of variables, and none is broken."""
    rows = proposals(problems("humaneval"), lambda _pieces: ["sum", "proposed_name"])
    perturbation = rename_variable_model({row["task_id"]: Proposal(**row) for row in rows})
    halves = nominal_problems("humaneval", perturbation)
    status = {
        half.task_id: check_perturbed(half, perturb_problem(half, perturbation, 0), category="syntax").status for half in halves
    }

    assert "invalid" not in status.values()
    assert {task_id for task_id, what in status.items() if what == "applied"} == {
        half.task_id for half in halves if perturb_problem(half, RENAME_VARIABLE_NAIVE, 0) != half
    }


@pytest.fixture(scope="module")
def masked_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a masked language model with random weights, and a tokenizer that knows a few names."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "n", "total", "count", "+", "=", "def", "(", ")", "1", "return"]
    special = {f"{name}_token": f"<{name}>" for name in ("mask", "pad", "unk")}
    known = tokenizers.models.WordLevel(
        {word: place for place, word in enumerate(words)}, unk_token=special["unk_token"]
    )
    backend = tokenizers.Tokenizer(known)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=40, **special)
    torch.manual_seed(0)
    config = transformers.RobertaConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, pad_token_id=2, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("masked")
    transformers.RobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_masked_language_model_proposes_identifiers(masked_model: Path) -> None:
    """Every name that it knows, and no sign; a use that does not fit into it is left out, and so is all of them."""
    propose = hub_proposer(str(masked_model))

    assert set(propose(["def f ( n ) : ", " = n + 1 return ", ""])) == {"n", "total", "count", "def", "return"}
    assert propose(["def f ( n ) : ", " = n + 1 return " + "n " * 100]) == []


def test_the_command_writes_the_file(masked_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it writes is read and used."""
    main(["micro", str(masked_model), str(tmp_path)])
    rows = read_proposals(tmp_path)

    assert capsys.readouterr().out == f"{tmp_path / FILE}: {len(rows)} of {len(problems('micro'))} problems\n"
    assert rows
    assert all(len(row.names) == 5 for row in rows.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("humanevil", "{model}", "{data}"), "Did you mean 'humaneval'"),
        (("humaneval", "{data}/none", "{data}"), "cannot load {data}/none as AutoModelForMaskedLM"),
        (("humaneval", "{model}", "{data}/none"), "{data}/none is no directory: make it first."),
    ],
)
def test_what_it_cannot_use_is_told(
    masked_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], sentence: str
) -> None:
    """One sentence, and no file."""
    places = {"model": masked_model, "data": tmp_path}
    with pytest.raises(SystemExit):
        main([argument.format(**places) for argument in arguments])

    assert sentence.format(**places) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

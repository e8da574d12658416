"""The command that lets a masked language model name local variables, with a real network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from build_perturbation_files.names import hub_proposer, main, proposals

from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.variables import (
    NAMES_FILE,
    RENAME_VARIABLE_NAIVE,
    Proposal,
    read_proposals,
    rename_variable_model,
)
from pytest_qeval.perturb.validity import check_perturbed
from tests.unit.perturb.builders import nominal_problems, problem, problems


def test_the_model_gets_the_whole_half_with_every_use_masked() -> None:
    """Its input is the program in pieces, without the variable."""
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


def test_every_half_of_humaneval_with_a_variable_is_renamed() -> None:
    """The same problems as for the other perturbations of variables, and none is broken."""
    rows = proposals(problems("humaneval"), lambda _pieces: ["sum", "proposed_name"])
    perturbation = rename_variable_model({row["task_id"]: Proposal(**row) for row in rows})
    halves = nominal_problems("humaneval", perturbation)
    status = {
        half.task_id: check_perturbed(half, perturb_problem(half, perturbation, 0), category="syntax").status
        for half in halves
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
    """It proposes every name of its vocabulary and no sign; nothing where no use fits into its input."""
    propose = hub_proposer(str(masked_model))

    assert set(propose(["def f ( n ) : ", " = n + 1 return ", ""])) == {"n", "total", "count", "def", "return"}
    assert propose(["def f ( n ) : ", " = n + 1 return " + "n " * 100]) == []


def test_the_command_writes_the_file(masked_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rows can be read."""
    main(["micro", str(masked_model), str(tmp_path)])
    rows = read_proposals(tmp_path)

    assert capsys.readouterr().out == f"{tmp_path / NAMES_FILE}: {len(rows)} of {len(problems('micro'))} problems\n"
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
def test_bad_arguments_are_refused(
    masked_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], sentence: str
) -> None:
    """With one sentence, and without a file."""
    places = {"model": masked_model, "data": tmp_path}
    with pytest.raises(SystemExit):
        main([argument.format(**places) for argument in arguments])

    assert sentence.format(**places) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

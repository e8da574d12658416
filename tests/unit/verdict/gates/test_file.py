"""Gate files: what is read, and what is refused with file name, number and key."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.errors import GateError
from pytest_qeval.verdict.gates.checks import parse_gates
from pytest_qeval.verdict.gates.file import read_gate_file
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate

Read = Callable[[str], tuple[Gate, ...]]
DROP = 'expression = "pass@1 drop <= 2pt"\n'


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read a text as the file `gates.toml` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def read_text(text: str) -> tuple[Gate, ...]:
        Path("gates.toml").write_text(text, encoding="utf-8")
        return read_gate_file(Path("gates.toml"))

    return read_text


def test_every_key_is_read(read: Read) -> None:
    """Every key; a list of recipes is a gate for each; the file's proof is a default."""
    found = read("""
        require_proof = true

        [[gate]]
        expression = " pass@1 drop <= 2pt "
        recipe = ["int8*", "int4"]
        benchmark = "humaneval"
        require_proof = false
        primary = true
        reason = "agreed for the release"

        [[gate]]
        expression = "energy ratio <= 1 rough"
    """)
    drop = replace(
        parse_gate("pass@1 drop <= 2pt"),
        benchmark="humaneval",
        require_proof=False,
        primary=True,
        reason="agreed for the release",
    )

    assert found == (
        replace(drop, recipe="int8*"),
        replace(drop, recipe="int4"),
        replace(parse_gate("energy ratio <= 1 rough"), require_proof=True),
    )


def test_an_expression_alone_is_what_it_is_on_the_command_line(read: Read) -> None:
    """Everything else has a default."""
    assert read(f"[[gate]]\n{DROP}") == (parse_gate("pass@1 drop <= 2pt"),)


def test_a_benchmark_may_be_named_twice_if_it_is_the_same(read: Read) -> None:
    """In front of the expression and as a key."""
    (gate,) = read('[[gate]]\nexpression = "micro:regressed <= 1"\nbenchmark = "micro"')

    assert gate == parse_gate("micro:regressed <= 1")


@pytest.mark.usefixtures("read")
def test_files_and_expressions_are_mixed() -> None:
    """In the order in which they were named."""
    Path("gates.toml").write_text(f"[[gate]]\n{DROP}", encoding="utf-8")

    gates = parse_gates(["energy ratio <= 1 rough", "gates.toml", "regressed <= 3"], has_baseline=True)

    assert [gate.expression for gate in gates] == ["energy ratio <= 1 rough", "pass@1 drop <= 2pt", "regressed <= 3"]


@pytest.mark.usefixtures("read")
def test_a_comparison_in_a_file_needs_a_baseline() -> None:
    """The same as on the command line, with the file."""
    Path("gates.toml").write_text(f'[[gate]]\nexpression = "pass@1 >= 0.1"\n[[gate]]\n{DROP}', encoding="utf-8")

    with pytest.raises(GateError, match=r"the gate 'pass@1 drop <= 2pt' of gates.toml compares with a baseline"):
        parse_gates(["gates.toml"], has_baseline=False)


FIRST = ", [[gate]] number 1: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " holds no gate: write [[gate]], and below it expression = 'pass@1 drop <= 2pt'."),
        (
            "require_proof = true",
            " holds no gate: write [[gate]], and below it expression = 'pass@1 drop <= 2pt'.",
        ),
        ("gates = 1", ": the key 'gates' is unknown. Did you mean 'gate'? Possible: require_proof, gate."),
        ("zzz = 1", ": the key 'zzz' is unknown. Possible: require_proof, gate."),
        ("require_proof = 1", ": the key 'require_proof' is 1; give true or false."),
        (f"[gate]\n{DROP}", ": the key 'gate' is a table; give tables, each under [[gate]]."),
        ("gate = [1]", ": the key 'gate' is a list; give tables, each under [[gate]]."),
        ("[[gate]]", FIRST + "the key 'expression' is missing; give one, such as 'pass@1 drop <= 2pt'."),
        (
            f"[[gate]]\n{DROP}[[gate]]\nexpresion = 'regressed <= 1'",
            (
                ", [[gate]] number 2: the key 'expresion' is unknown. Did you mean 'expression'? "
                "Possible: expression, recipe, benchmark, require_proof, primary, reason."
            ),
        ),
        ("[[gate]]\nexpression = 1.5", FIRST + "the key 'expression' is a number; give one line of text."),
        (
            "[[gate]]\nexpression = 2026-01-01",
            FIRST + "the key 'expression' is a date or a time; give one line of text.",
        ),
        ("[[gate]]\nexpression = ' '", FIRST + "the key 'expression' is ' '; give one line of text."),
        (
            f"[[gate]]\n{DROP}reason = 'a\\tb'".replace("'", '"'),
            FIRST + "the key 'reason' is 'a\\tb'; give one line of text.",
        ),
        (f"[[gate]]\n{DROP}benchmark = {{}}", FIRST + "the key 'benchmark' is a table; give one line of text."),
        (f"[[gate]]\n{DROP}require_proof = 'no'", FIRST + "the key 'require_proof' is 'no'; give true or false."),
        (
            f"[[gate]]\n{DROP}recipe = []",
            FIRST + "the key 'recipe' is a list; give one line of text, or a list of at least one.",
        ),
        (
            f"[[gate]]\n{DROP}recipe = ['int8', true]",
            FIRST + "the key 'recipe' is a list; give one line of text, or a list of such.",
        ),
        (
            f"[[gate]]\n{DROP}recipe = true",
            FIRST + "the key 'recipe' is true or false; give one line of text, or a list of such.",
        ),
        (
            "[[gate]]\nexpression = 'be good'",
            (
                FIRST
                + "cannot read the gate 'be good': it has no comparison, which is one of <=, >=, < and >. Examples: "
                "`pass@1 drop <= 2pt`, `humaneval:pass@1 >= 0.35`, `model_bytes ratio <= 0.6`."
            ),
        ),
        (
            "[[gate]]\nexpression = 'micro:regressed <= 1'\nbenchmark = 'humaneval'",
            FIRST + "'humaneval' and 'micro:regressed <= 1' name two benchmarks; leave one of them out.",
        ),
        (
            "[[gate]]\nexpression = 'kl <= 1'\nprimary = true",
            FIRST + "'kl <= 1' compares nothing by an interval; only a drop or increase is primary.",
        ),
        (
            "[[gate]]\nexpression = 'kl <= 1'\nbenchmark = 'humaneval'",
            FIRST + "kl is measured once a run, not once a benchmark; leave 'benchmark' out.",
        ),
        ("gate = ", " is no valid TOML: Invalid value (at end of document). Mend it there."),
        (f"[[gate]]\n{DROP}= 3", " is no valid TOML: Invalid statement (at line 3, column 1). Mend it there."),
    ],
)
def test_what_is_wrong_is_named(read: Read, text: str, message: str) -> None:
    """One sentence with file, number and key, and what would be right."""
    with pytest.raises(GateError) as caught:
        read(text)

    assert str(caught.value) == f"gate file 'gates.toml'{message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not UTF-8: byte 1"),
        (b"gate = " + b"1" * 5000, "is no valid TOML"),
        (b"gate = " + b"[" * 100_000, "is no valid TOML"),
        (b"require_proof = 0x" + b"f" * 5000, "is a number; give true or false"),
    ],
    ids=["latin", "huge number", "deep", "huge hexadecimal number"],
)
def test_odd_bytes_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """What makes the TOML reader or `repr` give up is a user's mistake as well."""
    path = tmp_path / "gates.toml"
    path.write_bytes(content)

    with pytest.raises(GateError, match=message):
        read_gate_file(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Neither nothing nor a folder."""
    with pytest.raises(GateError, match=r"No such file or directory\. Name a TOML file"):
        read_gate_file(tmp_path / "none.toml")
    with pytest.raises(GateError, match=r"Is a directory\. Name a TOML file"):
        read_gate_file(tmp_path)


LINES = st.sampled_from(
    [
        "[[gate]]",
        "[gate]",
        "require_proof = true",
        "require_proof = 1",
        'expression = "pass@1 drop <= 2pt"',
        'expression = "kl <= 1"',
        "recipe = ['a', 'b']",
        "recipe = [[1]]",
        'benchmark = "micro"',
        "reason = 07:32:00",
        "reason = inf",
        "other.key = {a = 1}",
        "gate = [{}]",
    ]
)


@given(
    st.one_of(
        st.binary(max_size=60), st.text(max_size=60).map(str.encode), st.lists(LINES).map("\n".join).map(str.encode)
    )
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """No file makes the reader raise anything but GateError."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(GateError):
        path = Path(folder, "gates.toml")
        path.write_bytes(content)
        assert all(isinstance(gate, Gate) for gate in read_gate_file(path))


@given(st.text(max_size=20).filter(lambda text: not Path(text).is_file()))
def test_any_path_is_read_or_refused(path: str) -> None:
    """No name of a file either, a NUL or a lone surrogate in it included."""
    with pytest.raises(GateError):
        parse_gates([f"{path}.toml"], has_baseline=True)

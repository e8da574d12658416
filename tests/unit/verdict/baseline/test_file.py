"""A saved baseline gives back what was saved; anything else is refused in one sentence, whatever the file holds."""

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import BlockSensitivity, GenerationFacts, RecipeFacts, RunHeader, SensitivityFacts, StreamFacts
from pytest_qeval.measure.topk import Scores, TextScores, compare_scores
from pytest_qeval.report.json import report_dict
from pytest_qeval.report.layers import layers_csv
from pytest_qeval.report.terminal import lines
from pytest_qeval.schema import Json
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.baseline import file as module
from pytest_qeval.verdict.baseline.file import (
    SCHEMA,
    Baseline,
    differences,
    is_baseline_file,
    read_baseline,
    refusal,
    write_baseline,
)
from tests.unit.summary.builders import BASELINE, HEADER, case, generation, record

STREAM = StreamFacts(recipe="auto", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.03))
SENSITIVITY = SensitivityFacts(
    recipe="auto",
    texts=1,
    tokens=9,
    duration_s=1.0,
    blocks=(BlockSensitivity(name="b0", layers=7, kl=0.1, same_top1=0.9),),
)
SCORES = Scores(
    k=2,
    texts={
        "micro/0": TextScores(
            task_id="micro/0",
            tokens_sha256="0" * 64,
            choices=(4, 7),
            top_ids=((4, 5), (7, 8)),
            top_log_probs=((-0.1, -3.0), (-0.2, -2.0)),
            tail_log_probs=(-4.0, -5.0),
            reference_log_probs=(-0.1, -2.0),
        )
    },
    incomparable=("micro/1",),
    duration_s=1.0,
)
LAYER = {
    "name": "mlp.up",
    "shape": (64, 32),
    "bits": 32,
    "granularity": "",
    "kept": True,
    "execution": "full precision",
    "bytes_before": 8192,
    "bytes_after": 8192,
}
FACTS = replace(BASELINE, load_s=1.0, layers=(LAYER,), calibration={"duration_s": 2.0}, quantized_layers=1)
FIRST: tuple[Json, ...] = (
    {
        "type": "benchmark",
        "name": "micro",
        "version": "1",
        "sha256": "0" * 64,
        "problems": 89,
        "excluded": {},
        "scored": False,
    },
    {"type": "recipe", **asdict(FACTS)},
    *(record("auto", number, outcome).to_dict() for number, outcome in enumerate("+-t+")),
    {"type": "generation", **asdict(generation("auto", tokens=100, busy_s=2.0, energy_wh=0.4))},
    {"type": "stream", **asdict(STREAM)},
    {"type": "sensitivity", **asdict(SENSITIVITY)},
    {"type": "weather", "recipe": "auto", "rain": True},
    {"type": "scores", "recipe": "auto", "benchmark": "micro", **SCORES.to_dict()},
)
KEY = {"generation.max_new_tokens": 512, "model.weights_sha256": "00", "dtype": None, "execution.timeout_s": 5.0}
SAVED = Baseline(recipe="auto", key=KEY, run=asdict(HEADER), messages=FIRST)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_baseline(tmp_path / "b.json.gz", SAVED)
    return tmp_path / "b.json.gz"


def document() -> Json:
    row: Json = json.loads(json.dumps(module._document(SAVED)))
    return row


def pack(path: Path, value: object) -> Path:
    path.write_bytes(gzip.compress(json.dumps(value).encode(), 1))
    return path


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_baseline(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def plain(value: object) -> object:
    return json.loads(json.dumps(value))


def use(baseline: Baseline) -> None:
    """Conclude from a baseline's messages as a session does, and write every report."""
    bodies: dict[str, list[Json]] = {}
    for message in baseline.messages:
        bodies.setdefault(message["type"], []).append({k: v for k, v in message.items() if k != "type"})
    recipes = [RecipeFacts.from_dict(body) for body in bodies.get("recipe", [])]
    sensitivity = [SensitivityFacts.from_dict(body) for body in bodies.get("sensitivity", [])]
    candidate = [replace(found, recipe="another") for found in baseline.records.values()]
    summary = summarize(
        SummaryInput(
            run=RunHeader(**baseline.run),
            duration_s=1.0,
            planned=[(name, asked) for asked in baseline.records for name in (baseline.recipe, "another")],
            records=[*baseline.records.values(), *candidate],
            candidates=("another",),
            baseline=baseline.recipe,
            recipes={facts.name: facts for facts in recipes},
            generation=[GenerationFacts.from_dict(body) for body in bodies.get("generation", [])],
            streams=[StreamFacts.from_dict(body) for body in bodies.get("stream", [])],
            benchmarks={body.pop("name"): body for body in bodies.get("benchmark", [])},
            sensitivity={facts.recipe: facts for facts in sensitivity},
        )
    )
    for body in bodies.get("scores", []):
        for text in Scores.from_dict(body).texts.values():
            compare_scores(text, text)
    json.dumps(report_dict(summary, ()), allow_nan=False, ensure_ascii=False).encode()
    layers_csv(recipes).encode()
    "".join(line.text for line in lines(summary, (), output=Path())).encode()


def test_what_was_written_is_read(path: Path) -> None:
    """Conditions, run, messages (also of a type that is not known) and records."""
    read = read_baseline(path)
    assert (read.recipe, read.key, RunHeader(**read.run)) == ("auto", KEY, HEADER)
    assert plain(read.messages) == plain(FIRST)
    assert read.records == {case(number): record("auto", number, outcome) for number, outcome in enumerate("+-t+")}
    use(read)


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    """Neither time nor place is in the file, and reading loses nothing."""
    write_baseline(tmp_path / "deep" / "er" / "c.json.gz", read_baseline(path))
    assert (tmp_path / "deep" / "er" / "c.json.gz").read_bytes() == path.read_bytes()


def test_the_file_is_one_json_object_that_other_tools_can_show(path: Path) -> None:
    """`gzip -d` and any JSON parser are enough to look inside."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    assert list(content) == ["schema", "recipe", "key", "run", "messages"]
    assert content["schema"] == SCHEMA == "qeval-baseline/1"


def test_of_a_case_that_was_asked_twice_the_last_record_is_written(tmp_path: Path) -> None:
    """As in a session, where a repeated test replaces what it said before."""
    again = replace(SAVED, messages=(*FIRST, record("auto", 1, "+").to_dict()))
    write_baseline(tmp_path / "b.json.gz", again)
    read = read_baseline(tmp_path / "b.json.gz")
    assert len(read.records) == 4
    assert read.records[case(1)].outcome == "solved"


def test_nothing_is_left_behind_when_a_file_cannot_be_written(tmp_path: Path) -> None:
    """A folder in its place, or a file where a folder should be: one sentence, and no temporary file."""
    (tmp_path / "b.json.gz").mkdir()
    (tmp_path / "file").touch()
    for name in ("b.json.gz", "file/b.json.gz"):
        with pytest.raises(UsageError, match="cannot be written to") as caught:
            write_baseline(tmp_path / name, SAVED)
        assert not isinstance(caught.value, DataError)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["b.json.gz", "file"]


def test_what_could_not_be_read_again_does_not_replace_a_file(path: Path) -> None:
    """The old baseline stays."""
    before = path.read_bytes()
    broken = replace(SAVED, key={"generation.temperature": math.nan})
    with pytest.raises(UsageError, match="could not be read again"):
        write_baseline(path, broken)
    with pytest.raises(UsageError, match="generation: expected a plain value"):
        write_baseline(path, replace(SAVED, key={"generation": {"temperature": 0}}))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "truncated"),
        (b"{}", "Not a gzipped file"),
        (gzip.compress(b"{}")[:-3], "ended before"),
        (gzip.compress(b"{}")[:-8] + b"\0" * 8, "CRC check failed"),
        (gzip.compress(b"{}") + b"more", "Not a gzipped file"),
        (gzip.compress(b'{"a": "\xff"}'), "utf-8"),
        (gzip.compress(b"{"), "truncated"),
        (gzip.compress(b"[1]"), "not a JSON object"),
        (gzip.compress(b"[" * 200_000), "nested too deeply"),
        (gzip.compress(b'{"schema": NaN}'), "malformed"),
    ],
    ids=["empty", "plain", "truncated", "crc", "tail", "utf-8", "half", "list", "deep", "nan"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """What is no gzip file, is damaged, or is no JSON object."""
    (tmp_path / "b.json.gz").write_bytes(content)
    assert sentence in refused(tmp_path / "b.json.gz")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing, or a folder."""
    assert "No such file" in refused(tmp_path / "absent.json.gz")
    assert "is no file" in refused(tmp_path)


def test_a_file_that_unpacks_to_very_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file must not fill the memory."""
    monkeypatch.setattr(module, "_MOST_BYTES", 2**21)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b" " * 2**24))
    assert "holds more than 2 MB" in refused(tmp_path / "b.json.gz")


@pytest.mark.parametrize(
    ("path_to", "value", "sentence"),
    [
        (
            ["schema"],
            "qeval-baseline/2",
            "qeval-baseline/2: written by a newer version; update pytest-qeval or make the",
        ),
        (["schema"], "qeval-report/1", "its schema is 'qeval-report/1', not 'qeval-baseline/1'"),
        (["schema"], None, "its schema is 'None'"),
        (["schema"], ["qeval-baseline/1"], "its schema is"),
        (["recipe"], 3, "recipe: expected str, not 3"),
        (["key"], [], "key: expected object"),
        (["key", "dtype"], {"a": 1}, "key: dtype: expected a plain value"),
        (["key", "dtype"], 1e300, "key.dtype: expected a finite number"),
        (["run"], None, "run: expected object"),
        (["run", "engine"], 3, "run: engine: expected str, not 3"),
        (["run", "planned"], 3, "run: planned: is unknown"),
        (["messages"], {}, "messages: expected a list"),
        (["messages", 1], 3, "messages[1]: expected an object, not 3"),
        (["messages", 1, "name"], "int8", "messages[1]: name: expected 'auto', not 'int8'"),
        (["messages", 2, "recipe"], "int8", "messages[2]: recipe: expected 'auto', not 'int8'"),
        (["messages", 9, "recipe"], "int8", "messages[9]: recipe: expected 'auto', not 'int8'"),
        (["messages", 2, "samples", 0, "n_tokens"], "abc", "messages[2]: samples[0].n_tokens: expected int or null"),
        (["messages", 3, "task_id"], "micro/0", "micro has more than one record of micro/0"),
        (["colour"], "red", "colour: is unknown"),
    ],
)
def test_a_wrong_field_is_refused_by_name(
    tmp_path: Path, path_to: Sequence[str | int], value: object, sentence: str
) -> None:
    """From the schema down to the last sample."""
    changed: Any = document()
    inside = changed
    for step in path_to[:-1]:
        inside = inside[step]
    inside[path_to[-1]] = value
    assert sentence in refused(pack(tmp_path / "b.json.gz", changed))


def test_a_baseline_can_go_by_another_name(path: Path, tmp_path: Path) -> None:
    """In every message, so that it can be written and used under that name."""
    renamed = read_baseline(path).renamed("auto (saved)")
    write_baseline(tmp_path / "c.json.gz", renamed)
    assert {found.recipe for found in read_baseline(tmp_path / "c.json.gz").records.values()} == {"auto (saved)"}
    assert renamed.renamed("auto") == read_baseline(path)


def test_a_newer_baseline_wins_and_keeps_what_it_lacks() -> None:
    """Records of other cases stay, as old as they are; what answers of two runs took is nobody's cost."""
    facts = {"type": "recipe", **asdict(replace(BASELINE, summary="newer"))}
    cost = {"type": "generation", **asdict(generation("auto", tokens=7, busy_s=1.0, energy_wh=None))}
    messages = (facts, record("auto", 1, "+").to_dict(), record("auto", 9, "-").to_dict(), cost)
    newer = Baseline(recipe="auto", key={"engine": "other"}, run=asdict(replace(HEADER, id="newer")), messages=messages)

    merged = SAVED.merged(newer)

    assert (merged.key, merged.run["id"]) == ({**KEY, "engine": "other"}, "run")
    outcomes = {found.case.label: found.outcome for found in merged.records.values()}
    assert outcomes == {
        f"micro/{n}": o
        for n, o in zip([0, 1, 2, 3, 9], ["solved"] * 2 + ["unsolved", "solved", "unsolved"], strict=True)
    }
    assert [row["summary"] for row in merged.messages if row["type"] == "recipe"] == ["newer"]
    assert not [row for row in merged.messages if row["type"] == "generation"]
    assert [row["type"] for row in merged.messages].count("stream") == 1
    use(merged)


def test_a_baseline_merged_with_what_was_made_of_it_stays_the_same() -> None:
    """A run that takes everything from a saved baseline adds nothing to it."""
    assert SAVED.merged(SAVED) == SAVED


def test_costs_of_answers_that_were_all_given_again_are_forgotten() -> None:
    """Else every run would add to what a case costs."""
    newer = replace(SAVED, messages=tuple(row for row in FIRST if row["type"] == "record"))
    assert "generation" not in {row["type"] for row in SAVED.merged(newer).messages}


def test_another_machine_leaves_the_answers() -> None:
    """Costs do not travel: neither latencies nor the time of loading; outcomes do."""
    bare = SAVED.without_costs()
    assert not {"generation", "stream"} & {row["type"] for row in bare.messages}
    assert {found.outcome for found in bare.records.values()} == {"solved", "unsolved"}
    completions = [sample.completion for found in bare.records.values() for sample in found.samples]
    assert {(c.ttft_s, c.duration_s, c.n_tokens) for c in completions} == {(None, None, 11)}
    assert next(row["load_s"] for row in bare.messages if row["type"] == "recipe") is None
    use(bare)


def test_differing_conditions_are_listed() -> None:
    """Those that the run has; what the baseline does not know differs."""
    ours: Mapping[str, object] = {"a": 512, "b": "x", "c": None, "d": 0.0}
    assert differences(ours, {"a": 256, "b": "x", "d": 0, "e": 1}) == (
        "a: 512 here, 256 there",
        "c: none here, unknown there",
    )
    assert differences(KEY, KEY) == ()


def test_a_refusal_names_file_conditions_and_ways_out() -> None:
    """One sentence: what differs, and what can be done about it."""
    sentence = refusal(Path("b.json.gz"), ["a: 1 here, 2 there", "b: 3 here, unknown there"])
    assert sentence.startswith(
        "b.json.gz was made under other conditions (a: 1 here, 2 there; b: 3 here, unknown there)"
    )
    assert sentence.endswith("with --qeval-save-baseline, or accept the differences with --qeval-baseline-force.")


def test_a_baseline_is_told_by_name_or_content(path: Path, tmp_path: Path) -> None:
    """So that a recipe's name is never taken for one."""
    other = path.rename(tmp_path / "kept")
    (tmp_path / "plain.json").write_text("{}", encoding="utf-8")
    assert is_baseline_file(Path("not/there.json.gz"))
    assert is_baseline_file(other)
    assert not any(map(is_baseline_file, (tmp_path, tmp_path / "plain.json", Path("int8"))))


EXAMPLES = 300
_FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


@given(content=st.binary(max_size=300), magic=st.booleans(), packed=st.booleans())
@_FUZZ
def test_random_bytes_are_refused(tmp_path: Path, content: bytes, *, magic: bool, packed: bool) -> None:
    """As they are, behind the first bytes of a gzip file, and packed."""
    content = gzip.compress(content) if packed else content
    (tmp_path / "b.json.gz").write_bytes(b"\x1f\x8b\x08\0" * magic + content)
    refused(tmp_path / "b.json.gz")


@given(data=st.data())
@_FUZZ
def test_a_cut_file_is_refused(path: Path, data: st.DataObject) -> None:
    """Wherever it was cut."""
    content = path.read_bytes()
    cut = path.with_name("cut.json.gz")
    cut.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refused(cut)


@given(data=st.data())
@_FUZZ
def test_flipped_bits_are_refused_or_change_nothing(path: Path, data: st.DataObject) -> None:
    """A checksum guards the content; bits of the header that say nothing about it may differ."""
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1) | st.integers(0, 20))] ^= 1 << data.draw(st.integers(0, 7))
    flipped = path.with_name("flipped.json.gz")
    flipped.write_bytes(content)
    try:
        read = read_baseline(flipped)
    except DataError:
        return
    assert read == read_baseline(path)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [0, -1, 1, 2**63, 2**64, 10**30, -(10**19), 1e308, -1e308, 5e-324, 1e-190, 1e19, math.inf, math.nan]
    )
    | st.floats()
    | st.sampled_from(["auto", "native", "simulated", "record", "passed", "solved", "micro/0", "\ud800", "0", "\0"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "id", "type"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(data=st.data())
@settings(_FUZZ, max_examples=EXAMPLES)
def test_wrong_values_anywhere_are_refused_or_can_be_used(tmp_path: Path, data: st.DataObject) -> None:
    """What passes can be concluded from, reported and written again; nothing fails later on."""
    changed = document()
    for _ in range(data.draw(st.integers(1, 3))):
        _spoil(changed, data)
    path = pack(tmp_path / "b.json.gz", changed)
    try:
        read = read_baseline(path)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    use(read)
    use(read.merged(SAVED))
    use(read.without_costs().renamed("other"))
    write_baseline(tmp_path / "again.json.gz", read)
    assert read_baseline(tmp_path / "again.json.gz") == read


def _spoil(value: Any, data: st.DataObject) -> None:
    """Replace, remove or repeat something at a random place."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(value[key], (dict, list)) and value[key] and data.draw(st.integers(0, 5)):
            value = value[key]
            continue
        break
    how = data.draw(st.sampled_from(["replace"] * 4 + ["remove", "add"]))
    if how == "replace":
        value[key] = data.draw(_JSON)
    elif how == "remove":
        del value[key]
    elif isinstance(value, dict):
        value[data.draw(st.sampled_from(["new", "recipe", "type", "samples"]))] = data.draw(_JSON)
    else:
        value.append(data.draw(_JSON | st.just(value[key])))

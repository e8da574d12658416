"""A saved baseline gives back what was saved; anything else is refused in one sentence, whatever the file holds."""

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.measure.topk import compare_scores
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.messages import BaselineScores
from pytest_qeval.report.files import write_report
from pytest_qeval.report.terminal import lines
from pytest_qeval.verdict.baseline import file as module
from pytest_qeval.verdict.baseline.baseline import Baseline
from pytest_qeval.verdict.baseline.file import SCHEMA, check_writable, read_baseline, write_baseline
from pytest_qeval.verdict.conclude import conclude
from tests.unit.records.rows import change
from tests.unit.summary.builders import HEADER, case, record
from tests.unit.verdict.baseline.baselines import KEY, MESSAGES, SAVED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_baseline(tmp_path / "b.json.gz", SAVED)
    return tmp_path / "b.json.gz"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the JSON of the saved baseline."""
    path = tmp_path_factory.mktemp("written") / "b.json.gz"
    write_baseline(path, SAVED)
    return gzip.decompress(path.read_bytes())


def pack(path: Path, value: object) -> Path:
    path.write_bytes(gzip.compress(json.dumps(value).encode(), 1))
    return path


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_baseline(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def use(baseline: Baseline, folder: Path) -> None:
    """Conclude from a baseline's messages as a session does, and write every report."""
    collector = Collector()
    for message in baseline.messages:
        collector.add(message)
        if isinstance(message, BaselineScores):
            for text in message.texts:
                compare_scores(text, text)
    for found in baseline.records.values():
        collector.add(replace(found, recipe="another"))
    verdict = conclude(
        collector,
        run=baseline.run,
        duration_s=1.0,
        planned=[(name, case) for case in baseline.records for name in (baseline.recipe, "another")],
        roles=Roles(candidates=("another",), baseline=baseline.recipe),
        gates=(),
        require_proof=False,
    )
    folder.mkdir(exist_ok=True)
    write_report(folder, verdict.summary, ())
    "".join(line.text for line in lines(verdict.summary, (), output=folder)).encode()


def test_what_was_written_is_read(path: Path, tmp_path: Path) -> None:
    """Conditions, run, messages and records."""
    read = read_baseline(path)

    assert (read.recipe, read.key, read.run) == ("auto", KEY, HEADER)
    assert read == replace(SAVED, messages=read.messages)
    assert [type(message) for message in read.messages] == list(map(type, MESSAGES))
    assert read.records == {case(number): record("auto", number, outcome) for number, outcome in enumerate("+-t+")}
    use(read, tmp_path / "out")


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    """Neither time nor place is in the file, and reading loses nothing."""
    write_baseline(tmp_path / "deep" / "er" / "c.json.gz", read_baseline(path))
    assert (tmp_path / "deep" / "er" / "c.json.gz").read_bytes() == path.read_bytes()


def test_the_file_is_one_json_object_that_other_tools_can_show(path: Path) -> None:
    """`gzip -d` and any JSON parser are enough to look inside."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    assert list(content) == ["schema", "recipe", "key", "run", "messages"]
    assert content["schema"] == SCHEMA == "qeval-baseline/1"


def test_messages_of_a_newer_version_are_left_out(tmp_path: Path, written: bytes) -> None:
    """A newer writer may add facts that this version does not know."""
    changed = json.loads(written)
    changed["messages"].append({"type": "weather", "recipe": "auto", "rain": True})

    assert (
        read_baseline(pack(tmp_path / "b.json.gz", changed)).messages
        == read_baseline(pack(tmp_path / "c.json.gz", json.loads(written))).messages
    )


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
    with pytest.raises(UsageError, match=r"key\[...\]: expected .* not object"):
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
        (["key", "dtype"], {"a": 1}, "key[...]: expected "),
        (["key", "dtype"], 1e300, "key.dtype: expected a finite number"),
        (["run"], None, "run: expected object"),
        (["run", "engine"], 3, "run: engine: expected str, not 3"),
        (["run", "planned"], 3, "run: planned: is unknown"),
        (["messages"], {}, "messages: expected a list"),
        (["messages", 1], 3, "messages[1]: expected an object, not 3"),
        (["messages", 0, "name"], "int8", "messages[0]: it is about 'int8', not 'auto'"),
        (["messages", 1, "recipe"], "int8", "messages[1]: it is about 'int8', not 'auto'"),
        (["messages", 1, "samples", 0, "n_tokens"], "abc", "messages[1]: samples[0].n_tokens: expected int or null"),
        (["messages", 2, "task_id"], "micro/0", "micro has more than one record of micro/0"),
        (["colour"], "red", "colour: is unknown"),
    ],
)
def test_a_wrong_field_is_refused_by_name(
    tmp_path: Path, written: bytes, path_to: Sequence[str | int], value: object, sentence: str
) -> None:
    """From the schema down to the last sample."""
    changed = json.loads(written)
    change(changed, path_to, value)
    assert sentence in refused(pack(tmp_path / "b.json.gz", changed))


def test_where_nothing_can_be_written_is_known_at_once(tmp_path: Path) -> None:
    """A probe leaves nothing behind, and what is there as it is."""
    check_writable(tmp_path / "deep" / "b.json.gz")
    (tmp_path / "kept.json.gz").write_bytes(b"kept")
    check_writable(tmp_path / "kept.json.gz")
    with pytest.raises(UsageError, match="it is a folder"):
        check_writable(tmp_path)

    assert not (tmp_path / "deep" / "b.json.gz").exists()
    assert (tmp_path / "kept.json.gz").read_bytes() == b"kept"


def test_a_probe_does_not_touch_what_another_run_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may end, and write the same file, in the midst of the probe of one that begins."""
    path = tmp_path / "b.json.gz"

    class Slow:
        def __init__(self, **_: object) -> None:
            write_baseline(path, SAVED)

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("tempfile.TemporaryFile", Slow)
    check_writable(path)
    assert read_baseline(path).records == SAVED.records


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
def test_wrong_values_anywhere_are_refused_or_can_be_used(tmp_path: Path, written: bytes, data: st.DataObject) -> None:
    """What passes can be concluded from, reported and written again; nothing fails later on."""
    changed = json.loads(written)
    for _ in range(data.draw(st.integers(1, 3))):
        _spoil(changed, data)
    path = pack(tmp_path / "b.json.gz", changed)
    try:
        read = read_baseline(path)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    for baseline in (read, read.merged(SAVED), read.without_costs().renamed("other")):
        use(baseline, tmp_path / "out")
    write_baseline(tmp_path / "again.json.gz", read)
    assert read_baseline(tmp_path / "again.json.gz") == read


_OPEN = {"model", "generation", "saved_baseline", "layers", "calibration"}
"""Objects of any content, in which reports rely on some names."""


def _spoil(value: Any, data: st.DataObject) -> None:
    """Replace, remove or repeat something at a random place."""
    while True:
        keys = [key for key in value if key not in _OPEN] if isinstance(value, dict) else list(range(len(value)))
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

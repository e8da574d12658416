"""What a run found out about its baseline is written where later runs find it, and nothing that was there is lost."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pytest_qeval.errors import UsageError
from pytest_qeval.facts import BenchmarkFacts, GenerationFacts, InvalidCase
from pytest_qeval.records.messages import Message
from pytest_qeval.schema import Case, Json
from pytest_qeval.verdict.baseline.baseline import Baseline
from pytest_qeval.verdict.baseline.file import read_baseline, write_baseline
from pytest_qeval.verdict.baseline.key import batch_key, composition_of, recipe_key
from pytest_qeval.verdict.baseline.writer import BaselineWriter
from tests.unit.summary.builders import BASELINE, HEADER, INT8, case, generation, record
from tests.unit.verdict.baseline.baselines import KEY, SAVED

PLANNED = [case(number) for number in range(4)]
BATCHES = composition_of(PLANNED, threads=2, n_workers=1)
DEPENDENT = replace(BASELINE, batch_size=8, batch_dependence="kernels of cuda")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.json.gz"


def write(
    path: Path | None,
    *messages: Message,
    cache: Path | None = None,
    saved: Baseline | None = None,
    planned: list[Case] = PLANNED,
    batches: Json = BATCHES,
) -> str | None:
    writer = BaselineWriter("auto", path=path, cache=cache, saved=saved)
    for message in messages:
        writer.add(message)
    cases = [(recipe, case) for recipe in ("auto", "int8") for case in planned]
    return writer.write(dict(KEY), HEADER, planned=cases, composition=batches)


def test_only_messages_about_the_recipe_are_kept(path: Path) -> None:
    """The key gets the data's checksums, and what is known of the recipe once a model is loaded."""
    benchmark = BenchmarkFacts(name="micro", version="1", sha256="ab", problems=4)
    loaded = DEPENDENT
    own: tuple[Message, ...] = (loaded, *(record("auto", number, "+") for number in range(4)))
    note = write(path, benchmark, INT8, record("int8", 0, "+"), *own)

    assert note == f"baseline: {path} (auto, 4 cases)"
    assert read_baseline(path).messages == own
    assert read_baseline(path).key == {
        **KEY,
        "benchmarks.micro": "ab",
        **recipe_key(loaded),
        **batch_key(loaded, BATCHES),
    }
    assert asdict(read_baseline(path).run) == asdict(HEADER)


def test_of_a_case_the_last_record_is_kept_and_of_costs_all(path: Path) -> None:
    """Several workers add up what generating took."""
    costs = [generation("auto", tokens=n, busy_s=1.0, energy_wh=None) for n in (1, 2)]
    write(path, record("auto", 0, "-"), *costs, record("auto", 0, "+"), planned=PLANNED[:1])

    assert read_baseline(path).messages == (record("auto", 0, "+"), *costs)


def test_missing_cases_are_counted(path: Path) -> None:
    """A first file is better than none."""
    assert write(path, record("auto", 0, "+")) == f"baseline: {path} (auto, 1 case, 3 missing)"


def test_an_invalid_case_is_not_missing(path: Path) -> None:
    """It is run for no recipe."""
    perturbed = replace(case(0), perturbation="mine")
    invalid = InvalidCase(**asdict(perturbed), reason="it does not pass")
    note = write(path, record("auto", 0, "+"), invalid, planned=[case(0), perturbed])

    assert note == f"baseline: {path} (auto, 1 case)"


def test_a_file_that_would_lose_records_is_left_as_it_is(path: Path) -> None:
    """Of other conditions, by a run that did not come to its end."""
    write_baseline(path, replace(SAVED, key={"engine": "another"}))
    before = path.read_bytes()

    with pytest.raises(UsageError, match=r"was left as it is: this run lacks 3 cases"):
        write(path, record("auto", 0, "+"))
    assert path.read_bytes() == before


def test_a_file_of_the_same_conditions_grows(path: Path) -> None:
    """A run of other problems adds to it."""
    write_baseline(path, SAVED)

    assert (
        write(path, record("auto", 9, "+"), planned=[case(9)])
        == f"baseline: {path} (auto, 5 cases, 4 of an earlier run)"
    )


def test_what_was_reused_is_written_again(path: Path) -> None:
    """Together with what is new, and nothing that this run did not take part in, whatever the cache has."""
    note = write(path, record("auto", 9, "+"), saved=SAVED, planned=[case(0), case(9)])

    assert note == f"baseline: {path} (auto, 2 cases)"
    assert read_baseline(path).records.keys() == {case(0), case(9)}
    assert not any(isinstance(one, GenerationFacts) for one in read_baseline(path).messages)


def test_the_cache_keeps_what_a_smaller_run_left_out(path: Path, tmp_path: Path) -> None:
    write(path, record("auto", 9, "+"), saved=SAVED, cache=tmp_path / "c.json.gz", planned=[case(9)])

    assert read_baseline(tmp_path / "c.json.gz").records.keys() == {*PLANNED, case(9)}


@pytest.mark.parametrize(("n_run", "kept"), [(2, 4), (4, 4)])
def test_records_of_other_batches_are_not_mixed(path: Path, tmp_path: Path, n_run: int, kept: int) -> None:
    """Where completions depend on them. The cache keeps what more cases know."""
    cache, run = tmp_path / "c.json.gz", PLANNED[:n_run]
    saved = replace(SAVED, key={**SAVED.key, **batch_key(DEPENDENT, BATCHES)})
    write_baseline(cache, saved)
    batches = composition_of(run, threads=1, n_workers=1)
    fresh = [record("auto", number, "-") for number in range(n_run)]
    write(path, DEPENDENT, *fresh, saved=saved, cache=cache, planned=run, batches=batches)

    assert list(read_baseline(path).records.values()) == fresh
    assert len(read_baseline(cache).records) == kept
    assert (read_baseline(cache).key["batch.threads"] == 1) is (n_run == kept)


def test_without_results_nothing_is_written(path: Path, tmp_path: Path) -> None:
    """A model that was only loaded is no baseline, which fails the run that was to save one."""
    with pytest.raises(UsageError, match=r"no baseline was saved to .*b.json.gz: nothing was run under auto"):
        write(path, BASELINE, cache=tmp_path / "cache" / "c.json.gz")
    assert list(tmp_path.iterdir()) == []


def test_the_cache_says_nothing(tmp_path: Path) -> None:
    """Not even where it cannot be written."""
    (tmp_path / "file").touch()
    assert write(None, record("auto", 0, "+"), cache=tmp_path / "file" / "c.json.gz") is None
    assert write(None, record("auto", 0, "+"), cache=tmp_path / "c.json.gz") is None
    assert len(read_baseline(tmp_path / "c.json.gz").records) == 1


def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """Not after hours of generating."""
    with pytest.raises(UsageError, match="cannot be written to"):
        BaselineWriter("auto", path=tmp_path, cache=None, saved=None)

"""A saved baseline gives a run what still holds: records of the same problems, costs of the same machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import BenchmarkFacts, GenerationFacts, RecipeFacts, SensitivityFacts, StreamFacts
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.file import write_baseline
from pytest_qeval.verdict.baseline.key import composition_of
from pytest_qeval.verdict.baseline.reuse import ReusableCases, SavedBaseline, find_saved, open_saved
from tests.unit.summary.builders import HEADER, INT8, case, record
from tests.unit.verdict.baseline.baselines import KEY, MESSAGES, SAVED

SHA256 = "ab"
COSTS = {"costs.cpu": "some", "costs.workers": 1}
BASE = replace(SAVED, key={**KEY, **COSTS, "benchmarks.micro": SHA256, "device": "cpu"})
NAMED = SavedBaseline(baseline=BASE, path=Path("b.json.gz"), named=True)
CACHED = replace(NAMED, named=False)
ALL = [case(number) for number in range(4)]
BATCHES = composition_of(ALL, threads=2, n_workers=1)
DEPENDENT = {**BASE.key, "batch.size": 64, **BATCHES}
PERTURBED = replace(case(0), perturbation="butter_fingers")


class Problems:
    """Problems whose perturbed prompts have one diff, and of which some are invalid."""

    def __init__(self, *invalid: Case, diff: str = "diff") -> None:
        self._invalid = invalid
        self._diff = diff
        self.proved: list[Case] = []

    def check_ahead(self, cases: Iterable[Case], /) -> None:
        self.proved += cases

    def fault_of(self, case: Case, /) -> str:
        return "broken" if case in self._invalid else ""

    def prompt_diff_of(self, case: Case, /) -> str:
        return self._diff if case.perturbation else ""


def reusable(
    saved: SavedBaseline, cases: Iterable[Case], problems: Problems, batches: Json = BATCHES, **facts: str
) -> ReusableCases:
    micro = BenchmarkFacts(name="micro", version="1", problems=4, **{"sha256": SHA256, **facts})  # type: ignore[arg-type]
    return saved.find_reusable(cases, problems=problems, benchmark=lambda _: micro, composition=batches)


def with_perturbed(diff: str) -> SavedBaseline:
    perturbed = replace(record("auto", 0, "+"), case=PERTURBED, prompt_diff=diff)
    return replace(NAMED, baseline=replace(BASE, messages=(*MESSAGES, perturbed)))


def test_all_cases_of_a_named_file_are_reusable() -> None:
    """Without a difference there is nothing to accept."""
    assert reusable(NAMED, ALL, Problems()) == ReusableCases(cases=frozenset(ALL))


def test_a_case_that_a_named_file_lacks_is_refused() -> None:
    """The baseline is not run for the rest; a cached one is."""
    with pytest.raises(UsageError, match=r"b\.json\.gz has no record of 1 of this run's cases, such as micro/9: "):
        reusable(NAMED, [*ALL, case(9)], Problems())
    assert reusable(CACHED, [*ALL, case(9)], Problems()).cases == {*ALL}


def test_another_form_of_infilling_is_other_data() -> None:
    """What a model is shown decides its completions; a cached baseline is run again."""
    form = "<PRE>{prefix}<SUF>{suffix}<MID>"
    filled = replace(NAMED, baseline=replace(BASE, key={**BASE.key, "infilling.micro": form}))

    assert reusable(filled, ALL, Problems(), infilling=form).cases == {*ALL}
    with pytest.raises(
        UsageError, match=r"infilling\.micro: \{prefix\} here, <PRE>\{prefix\}<SUF>\{suffix\}<MID> there"
    ):
        reusable(filled, ALL, Problems(), infilling="{prefix}")
    assert reusable(replace(filled, named=False), ALL, Problems(), infilling="{prefix}") == ReusableCases()


def test_an_invalid_case_needs_no_record() -> None:
    """It is run for no recipe; only what the file lacks is proved."""
    problems = Problems(PERTURBED)

    assert reusable(NAMED, [*ALL, PERTURBED], problems).cases == {*ALL}
    assert problems.proved == [PERTURBED]


def test_a_problem_that_was_perturbed_otherwise_is_another_one() -> None:
    """The diffs of the prompts are compared."""
    assert reusable(with_perturbed("diff"), [PERTURBED], Problems()).cases == {PERTURBED}
    with pytest.raises(UsageError, match="no record of 1"):
        reusable(with_perturbed("another diff"), [PERTURBED], Problems())


def test_other_data_are_refused_accepted_or_run_again() -> None:
    """By whether the user named the file, and accepts differences."""
    with pytest.raises(UsageError, match=r"other conditions \(benchmarks.micro: cd here, ab there\)"):
        reusable(NAMED, ALL, Problems(), sha256="cd")
    assert reusable(replace(NAMED, force=True), ALL, Problems(), sha256="cd") == ReusableCases(
        cases=frozenset(ALL), accepted=("benchmarks.micro: cd here, ab there",)
    )
    assert reusable(CACHED, ALL, Problems(), sha256="cd") == ReusableCases()


def test_only_planned_cases_are_reused() -> None:
    """Whichever recipe they are planned for; each once."""
    planned = [("int8", case(0)), ("w4a16", case(0)), ("int8", case(1)), ("auto", case(1)), ("int8", case(2))]

    assert NAMED.reused(planned, {case(0), case(1), case(3)}) == [case(0), case(1)]


def test_a_run_gets_records_and_costs() -> None:
    """All that the baseline found out, where nothing differs, but what the run would measure itself."""
    messages = list(NAMED.messages(ALL, costs=COSTS, measures_stream=False))
    expected = [one for one in MESSAGES if not isinstance(one, SensitivityFacts)]

    assert sorted(map(repr, messages)) == sorted(map(repr, expected))


@pytest.mark.parametrize(
    ("cases", "costs"),
    [(ALL, {**COSTS, "costs.workers": 2}), (ALL[:2], COSTS)],
    ids=["another machine", "fewer cases"],
)
def test_costs_of_other_conditions_or_cases_are_left_out(cases: list[Case], costs: dict[str, object]) -> None:
    """The records stay, without their latencies."""
    messages = list(NAMED.messages(cases, costs=costs, measures_stream=True))

    assert not any(isinstance(one, (GenerationFacts, StreamFacts)) for one in messages)
    records = [one for one in messages if isinstance(one, Record)]
    assert [one.case for one in records] == cases
    assert {one.samples[0].completion.ttft_s for one in records} == {None}


def test_a_single_stream_is_reused_unless_it_is_measured() -> None:
    """It does not depend on which cases were run."""
    for measures, count in ((True, 0), (False, 1)):
        messages = NAMED.messages(ALL[:1], costs=COSTS, measures_stream=measures)
        assert sum(isinstance(one, StreamFacts) for one in messages) == count


def test_a_cached_baseline_without_reused_cases_says_nothing() -> None:
    """It is run; a named one is not, and its facts are needed."""
    assert list(CACHED.messages([], costs=COSTS, measures_stream=False)) == []
    assert any(isinstance(one, RecipeFacts) for one in NAMED.messages([], costs=COSTS, measures_stream=False))


def test_scores_have_to_be_of_all_problems() -> None:
    """Fewer would be another mean; what could not be compared counts as known."""
    assert NAMED.scores("micro", {"micro/0", "micro/1"}) is not None
    assert NAMED.scores("micro", {"micro/2"}) is None
    assert NAMED.scores("humaneval", set()) is None


@pytest.mark.parametrize("saved", [NAMED, CACHED], ids=["named", "cached"])
def test_a_baseline_that_depends_on_its_batch_needs_the_same(saved: SavedBaseline) -> None:
    """Named or cached; for one that does not, any batch will do."""
    dependent = replace(saved, baseline=replace(saved.baseline, key={**saved.baseline.key, "batch.size": 64}))
    narrow, wide = (replace(INT8, batch_size=size) for size in (8, 64))

    with pytest.raises(UsageError, match=r"64 rows at a time.* int8 is decoded 8 at a time: add --qeval-batch-size 64"):
        dependent.check_batch(narrow)
    dependent.check_batch(wide)
    saved.check_batch(narrow)
    replace(dependent, force=True).check_batch(narrow)


def test_a_run_without_cases_takes_none() -> None:
    """It is refused for nothing: pytest plans no case of a run that was refused already."""
    named = replace(NAMED, baseline=replace(BASE, key=DEPENDENT))

    assert reusable(named, [], Problems(), batches=composition_of([], threads=2, n_workers=1)) == ReusableCases()


OTHER_BATCHES = {
    "fewer cases": composition_of(ALL[:2], threads=2, n_workers=1),
    "another order": composition_of(reversed(ALL), threads=2, n_workers=1),
    "threads": composition_of(ALL, threads=1, n_workers=1),
    "workers": composition_of(ALL, threads=2, n_workers=2),
}


@pytest.mark.parametrize("batches", OTHER_BATCHES.values(), ids=OTHER_BATCHES)
def test_completions_that_depend_on_the_batch_stand_in_for_those_of_the_same_batches(batches: Json) -> None:
    """A cached baseline is run again, a named one refused; where nothing depends on the batch, any will do."""
    named = replace(NAMED, baseline=replace(BASE, key=DEPENDENT))

    assert reusable(named, ALL, Problems()).cases == {*ALL}
    assert reusable(replace(named, named=False), ALL, Problems(), batches=batches).cases == frozenset()
    with pytest.raises(UsageError, match=r"in other batches, on which its completions depend: batch\..* here, "):
        reusable(named, ALL, Problems(), batches=batches)
    accepted = reusable(replace(named, force=True), ALL, Problems(), batches=batches)
    assert accepted.cases == {*ALL}
    assert accepted.accepted[0].startswith("batch.")
    assert reusable(NAMED, ALL, Problems(), batches=batches).cases == {*ALL}


def test_the_report_says_where_a_baseline_is_from() -> None:
    """With all differences that were accepted."""
    assert replace(NAMED, accepted=("a",)).origin(["b"]) == {
        "path": "b.json.gz",
        "started_at": HEADER.started_at,
        "host": HEADER.host,
        "accepted_differences": ["a", "b"],
        "engine": "transformers",
        "model": HEADER.model,
        "versions": HEADER.versions,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_baseline(tmp_path / "b.json.gz", BASE)
    return tmp_path / "b.json.gz"


def find(key: dict[str, object], path: Path, *candidates: str, force: bool = False) -> SavedBaseline:
    saved = find_saved(key, file=path, cached=None, baseline=None, candidates=candidates, force=force)
    assert saved is not None
    return saved


def test_a_named_file_has_to_fit_the_run(path: Path) -> None:
    """Differences are refused or accepted."""
    assert find({**KEY}, path, "int8").accepted == ()
    with pytest.raises(UsageError, match=r"other conditions \(execution.timeout_s: 1 here, 5.0 there\)"):
        find({**KEY, "execution.timeout_s": 1}, path, "int8")
    assert find({"execution.timeout_s": 1}, path, "int8", force=True).accepted == (
        "execution.timeout_s: 1 here, 5.0 there",
    )


def test_a_checkpoint_as_it_is_is_compared_with_another_model(path: Path) -> None:
    """The weights of its baseline are others by nature."""
    other = {**KEY, "model.weights_sha256": "11"}

    assert find(other, path, "as-is").accepted == ()
    with pytest.raises(UsageError, match=r"model\.weights_sha256"):
        find(other, path, "int8")


def test_a_baseline_is_never_called_like_a_candidate(path: Path) -> None:
    """Two replays have one name."""
    assert open_saved(path, named=True, candidates=("auto",), force=False).recipe == "auto (saved)"
    assert open_saved(path, named=True, candidates=("int8",), force=False).recipe == "auto"


def test_a_broken_cache_is_no_error_but_a_broken_named_file_is(path: Path) -> None:
    """Nobody named the one; it is made again."""

    def cached(path: Path | None) -> SavedBaseline | None:
        return find_saved(KEY, file=None, cached=path, baseline="auto", candidates=("int8",), force=False)

    found = cached(path)
    assert found is not None
    assert not found.named
    assert cached(None) is None
    assert cached(path.with_name("absent")) is None
    path.write_bytes(b"broken")
    assert cached(path) is None
    with pytest.raises(DataError, match="cannot be read"):
        find({**KEY}, path)


def test_a_cached_baseline_of_another_recipe_is_left_alone(path: Path) -> None:
    """The cache may hold what an earlier version, or another baseline option, put there."""
    assert find_saved(KEY, file=None, cached=path, baseline="fp32", candidates=("int8",), force=False) is None

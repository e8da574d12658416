"""A baseline that was saved, or is in the cache, stands in for one that is run; what does not fit is refused."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_qeval.fixtures import CONTEXT
from pytest_qeval.schema import Case, Json
from pytest_qeval.settings import ExecutionSettings, ModelSettings
from pytest_qeval.verdict.baseline.file import read_baseline
from pytest_qeval.verdict.baseline.key import cache_path, composition_of
from tests.plugin.runs import REPLAY, WRONG, check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]
RunIn = Callable[..., "subprocess.CompletedProcess[str]"]
Configure = Callable[..., pytest.Config]

pytestmark = pytest.mark.timeout(600)

N = 8
CONDITIONS = ("--qeval-model", "demo", "--qeval-suite", "micro", "--qeval-recipe", "w2a16")
GATES = ("--qeval-gate", "pass@1 drop <= 5pt", "--qeval-gate", "regressed <= 9")


def asked(problems: int, tokens: int = 24) -> tuple[str, ...]:
    return (*CONDITIONS, "--qeval-limit", str(problems), "--qeval-max-new-tokens", str(tokens))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, run_in: RunIn) -> Path:
    """Run a baseline and a candidate once; return the folder with `b.json.gz`, `out` and the `.cache`."""
    folder = tmp_path_factory.mktemp("live")
    save = ("--qeval-save-baseline", "b.json.gz", "--qeval-output", "out")
    done = run_in(folder, *asked(N), *GATES, *save)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr  # the gate on the drop is broken
    return folder


@pytest.fixture
def saved(live: Path, pytester: pytest.Pytester) -> Path:
    """Return a copy of the saved baseline in the empty project."""
    return Path(shutil.copy(live / "b.json.gz", pytester.path))


@pytest.fixture
def cached(live: Path, pytester: pytest.Pytester, run: Run) -> Path:
    """Return the one file in the test's own cache: the live run's baseline."""
    shutil.copytree(live / ".cache", pytester.path / ".cache")
    (path,) = (pytester.path / ".cache" / "pytest-qeval" / "baselines").iterdir()
    return path


def rewrite(path: Path, change: Callable[[Json], object]) -> None:
    """Change a saved baseline's content."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    change(document)
    path.write_bytes(gzip.compress(json.dumps(document).encode()))


def check_refused(configure: Configure, *arguments: str) -> str:
    """Return the sentence that a run with the saved baseline is refused with; nothing is written."""
    with pytest.raises(pytest.UsageError) as refused:
        configure(*arguments, "--qeval-baseline", "b.json.gz", "--qeval-output", "out")
    assert not Path("out").exists()
    return str(refused.value)


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_saved_baseline_gives_the_results_of_the_live_one(
    run: Run, pytester: pytest.Pytester, live: Path, saved: Path, mode: tuple[str, ...]
) -> None:
    """Equal to the last digit, though nothing of the baseline is run; the report says where it is from."""
    result = run(*mode, *asked(N), *GATES, "--qeval-baseline", "b.json.gz", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qeval: the baseline auto is that of *, from b.json.gz"])
    result.stdout.no_fnmatch_line("*auto-micro/*")
    there, here = read_report(live / "out"), read_report(pytester.path / "out")
    assert here["benchmarks"] == there["benchmarks"]
    assert (here["gates"], here["verdict"]) == (there["gates"], there["verdict"])
    if mode != ("-n2",):  # costs of a process that had the machine for itself are no costs of one of two
        assert here["recipes"]["auto"] == there["recipes"]["auto"]  # times of loading included: it was not loaded
        assert here["efficiency"]["auto"] == there["efficiency"]["auto"]
    assert (here["run"]["planned"], here["run"]["missing"]) == (2 * N, 0)
    assert here["run"]["saved_baseline"] == {
        "path": "b.json.gz",
        "started_at": there["run"]["started_at"],
        "host": there["run"]["host"],
        "accepted_differences": [],
        "engine": "transformers",
        "model": there["run"]["model"],
        "versions": there["run"]["versions"],
    }
    assert here["comparability"] == []
    assert there["run"]["saved_baseline"] is None


def test_a_named_baseline_is_no_test_of_the_run(run: Run, saved: Path) -> None:
    """The baseline's cases are not even collected."""
    result = run(*asked(N), "--qeval-baseline", "b.json.gz", "--collect-only", "-q")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"{N} tests collected*"])
    result.stdout.no_fnmatch_line("*auto-micro/*")


def test_other_settings_of_generation_are_refused(configure: Configure, saved: Path) -> None:
    """Naming what differs, here and there, and nothing else."""
    refusal = check_refused(configure, *asked(N, tokens=25), "--qeval-seed", "3")

    assert refusal.startswith(
        "b.json.gz was made under other conditions (generation.max_new_tokens: 25 here, 24 there; "
        "generation.seed: 3 here, 0 there): make the baseline again"
    )
    assert refusal.endswith("--qeval-baseline-force.")


def test_differences_can_be_accepted(run: Run, pytester: pytest.Pytester, saved: Path) -> None:
    """The run goes on, and its report is marked."""
    force = ("--qeval-baseline", "b.json.gz", "--qeval-baseline-force", "--qeval-output", "out")
    result = run(*asked(1, tokens=25), *force)

    assert result.ret == pytest.ExitCode.OK
    difference = "generation.max_new_tokens: 25 here, 24 there"
    result.stdout.fnmatch_lines([f"qeval: accepted: {difference}"])
    assert read_report(pytester.path / "out")["run"]["saved_baseline"]["accepted_differences"] == [difference]


def test_what_limits_the_comparison_is_said_before_the_numbers(
    run: Run, pytester: pytest.Pytester, saved: Path
) -> None:
    """An old baseline of other conditions, which the user accepts."""
    rewrite(saved, lambda document: document["run"].update({"started_at": "2020-02-29T00:00:00+00:00"}))
    force = ("--qeval-baseline", "b.json.gz", "--qeval-baseline-force", "--qeval-output", "out")
    result = run(*asked(1, tokens=25), *force)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "demo · transformers on cpu *",
            "  inconclusive: the baseline auto was made under other conditions (generation.max_new_tokens: 25 here, *",
            "  note: the baseline auto is * days old, of 2020-02-29T00:00:00+00:00",
            "micro *",
        ]
    )
    levels = [remark["level"] for remark in read_report(pytester.path / "out")["comparability"]]
    assert levels == ["inconclusive", "note"]


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_problems_that_the_file_lacks_are_refused(
    run: Run, pytester: pytest.Pytester, saved: Path, mode: tuple[str, ...]
) -> None:
    """The baseline is not run for the rest: the user named the file. The controller of workers says so."""
    result = run(*mode, *asked(N + 2), "--qeval-baseline", "b.json.gz", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    output = result.stdout.str() + result.stderr.str()
    assert f"b.json.gz has no record of 2 of this run's cases, such as micro/{N}: " in output
    assert not (pytester.path / "out").exists()


def test_data_that_changed_are_refused(run: Run, pytester: pytest.Pytester, saved: Path) -> None:
    """The same task ids may name other problems."""
    rewrite(saved, lambda document: document["key"].update({"benchmarks.micro": "00"}))
    result = run(*asked(N), "--qeval-baseline", "b.json.gz", "--qeval-output", "out")

    check_refusal(result, "*b.json.gz was made under other conditions (benchmarks.micro: * here, 00 there)*")
    assert not (pytester.path / "out").exists()


def depend_on_batches(saved: Path, cases: list[Case], size: int) -> None:
    """Let a saved baseline depend on its batches, as one on a GPU does."""
    batches = {"batch.size": size, **composition_of(cases, threads=1, n_workers=1)}
    rewrite(saved, lambda document: document["key"].update(batches))


def test_other_batches_are_refused_once(run: Run, saved: Path) -> None:
    """With the hash of this run's cases; pytest ends its collection after the refusal, too."""
    own, other = (Case(benchmark="micro", task_id=f"micro/{number}") for number in range(2))
    depend_on_batches(saved, [other], 128)
    result = run(*asked(1), "--qeval-threads", "1", "--qeval-baseline", "b.json.gz")

    digests = [composition_of(cases, threads=1, n_workers=1)["batch.cases_sha256"] for cases in ([own], [other])]
    check_refusal(result, f"ERROR: b.json.gz *: batch.cases_sha256: {digests[0]} here, {digests[1]} there. *")


def test_another_batch_size_is_refused_at_the_start(configure: Configure, saved: Path) -> None:
    """Where the user gives it: no model has to be loaded to know."""
    depend_on_batches(saved, [], 128)

    refusal = check_refused(configure, *asked(1), "--qeval-batch-size", "2")
    assert "decoded 128 rows at a time" in refusal
    assert "this run is decoded 2 at a time: add --qeval-batch-size 128" in refusal


def test_a_model_that_is_decoded_otherwise_fails_in_one_sentence(run: Run, saved: Path) -> None:
    """Its own batch size is known once it is loaded."""
    depend_on_batches(saved, [Case(benchmark="micro", task_id="micro/0")], 3)
    result = run(*asked(1), "--qeval-threads", "1", "--qeval-baseline", "b.json.gz")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    errors, _, _ = result.stdout.str().partition("short test summary")
    assert errors.count("b.json.gz was decoded 3 rows at a time") == 1
    assert "During handling" not in errors


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"no gzip", "b.json.gz cannot be read: *--qeval-save-baseline*"),
        (b"half", "b.json.gz cannot be read: *--qeval-save-baseline*"),
        (gzip.compress(b'{"schema": "qeval-baseline/2"}'), "*written by a newer version; update pytest-qeval or *"),
        (gzip.compress(b'{"schema": "qeval-report/1"}'), "*its schema is 'qeval-report/1', not 'qeval-baseline/1'*"),
    ],
    ids=["no gzip", "cut off", "newer", "another file"],
)
def test_a_file_that_is_no_baseline_is_refused(configure: Configure, saved: Path, content: bytes, line: str) -> None:
    """In one sentence that names the file and says what to do."""
    saved.write_bytes(saved.read_bytes()[:-100] if content == b"half" else content)

    assert fnmatch(check_refused(configure, *asked(N)), line)


def test_the_cache_is_used_and_extended(run: Run, pytester: pytest.Pytester, live: Path, cached: Path) -> None:
    """A second run says so, and generates of the baseline only what is missing; then the cache has that too."""
    result = run(*asked(N + 1), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            f"qeval: the baseline auto is that of *, from {cached}",
            f"collected {2 * N + 2} items",
            f"qeval: {N} of the {N + 1} records of auto are the saved ones",
        ]
    )
    result.stdout.fnmatch_lines([f"*{N} from the saved baseline*"])
    report = read_report(pytester.path / "out")
    assert (report["run"]["planned"], report["run"]["missing"]) == (2 * N + 2, 0)
    records = [row for row in read_records(pytester.path / "out") if row["recipe"] == "auto"]
    old = {row["task_id"]: row for row in read_records(live / "out") if row["recipe"] == "auto"}
    assert {row["task_id"]: row for row in records if row["task_id"] in old} == old
    assert len(records) == N + 1
    assert {case.label for case in read_baseline(cached).records} == {*old, f"micro/{N}"}


def test_a_broken_cache_is_made_again(run: Run, pytester: pytest.Pytester, cached: Path) -> None:
    """Without a word: nothing of the user's is lost."""
    cached.write_bytes(cached.read_bytes()[:-100])
    result = run(*asked(1), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    for stream in (result.stdout, result.stderr):
        stream.no_fnmatch_line(f"*{cached.name}*")
    result.stdout.no_fnmatch_line("*from the saved baseline*")
    assert read_report(pytester.path / "out")["run"]["saved_baseline"] is None
    assert [case.label for case in read_baseline(cached).records] == ["micro/0"]


def test_the_cache_can_be_passed_over(configure: Configure, cached: Path) -> None:
    """`--qeval-baseline run` always runs it; the default takes what there is."""
    found = {name: configure(*asked(N), "--qeval-baseline", name).stash[CONTEXT].saved for name in ("auto", "run")}

    assert found["run"] is None
    assert found["auto"] is not None
    assert found["auto"].path == cached


def test_a_candidate_called_like_the_saved_recipe(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Replays of two files have one name; the saved one gets another, and neither gets the other's completions."""
    right, first = pytester.path / "right.jsonl", ("--qeval-limit", "3")
    right.write_text("".join(samples.read_text(encoding="utf-8").splitlines(keepends=True)[:3]), encoding="utf-8")
    rows = [json.loads(line) for line in right.read_text(encoding="utf-8").splitlines()]
    write_samples(pytester.path / "wrong.jsonl", [{**row, "completion": WRONG} for row in rows])
    run(*first, "--qeval-completions", "right.jsonl", "--qeval-save-baseline", "b.json.gz", "--qeval-output", "first")
    result = run(*first, "--qeval-completions", "wrong.jsonl", "--qeval-baseline", "b.json.gz", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["qeval: wrong.jsonl * replay, compared with replay (saved) *", "*3 regressed*"])
    benchmark = read_report(pytester.path / "out")["benchmarks"]["micro"]
    assert {name: found["solved"] for name, found in benchmark["results"].items()} == {"replay (saved)": 3, "replay": 0}
    assert benchmark["comparisons"]["replay"]["regressed"] == ["micro/0", "micro/1", "micro/2"]


def test_a_file_is_not_replaced_by_one_that_knows_less(run: Run, saved: Path) -> None:
    """A run of fewer problems adds to a file of the same conditions."""
    before = read_baseline(saved)
    result = run(*asked(2), "--qeval-baseline", "run", "--qeval-save-baseline", "b.json.gz")

    result.stdout.fnmatch_lines([f"baseline: *b.json.gz (auto, {N} cases, {N - 2} of an earlier run)"])
    assert read_baseline(saved).records.keys() == before.records.keys()


def test_a_saved_baseline_is_one_whatever_it_was(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A candidate that was saved is the baseline of the run that uses it."""
    run(*REPLAY, str(samples), "--qeval-save-baseline", "b.json.gz")
    run(*REPLAY, str(samples), "--qeval-baseline", "b.json.gz", "--qeval-output", "out")

    recipes = read_report(pytester.path / "out")["recipes"]
    assert {name: facts["role"] for name, facts in recipes.items()} == {
        "replay (saved)": "baseline",
        "replay": "candidate",
    }


def test_the_report_has_no_costs_of_another_machine(run: Run, pytester: pytest.Pytester, saved: Path) -> None:
    """Not even of a baseline whose file says nothing wrong but the name of its machine."""
    rewrite(saved, lambda document: document["run"]["host"].update({"cpu": "another"}))
    file = write_samples(pytester.path / "completions.jsonl", [{"task_id": "micro/0", "completion": WRONG}])
    run("--qeval-limit", "1", "--qeval-completions", file, "--qeval-baseline", "b.json.gz", "--qeval-output", "out")

    report = read_report(pytester.path / "out")
    costs = report["efficiency"]["auto"]
    assert report["run"]["saved_baseline"]["host"]["cpu"] == "another"
    assert (costs["latency"]["ttft_s"], costs["generation"]["throughput_tokens_per_s"]) == (None, None)
    assert costs["memory"]["peak_bytes"] is None
    assert "undefined" in costs["energy"]
    assert costs["memory"]["model_bytes"] > 0
    assert report["recipes"]["auto"]["load_s"] is None


def test_the_cache_has_the_live_runs_baseline(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a name that later runs find, whatever their candidate; under other conditions there is none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(live / ".cache"))
    saved = read_baseline(live / "b.json.gz")
    execution = ExecutionSettings(workers=saved.key["costs.sandboxes"])

    def cached(baseline: str = "auto", **generation: int) -> Path | None:
        run = replace(saved.run, generation={**saved.run.generation, **generation})
        return cache_path(run, baseline=baseline, execution=execution, model=ModelSettings(name="demo", threads=1))

    path = cached()
    assert path is not None
    assert len(read_baseline(path).records) == N
    for other in (cached("bf16"), cached(max_new_tokens=25)):
        assert other is not None
        assert not other.exists()

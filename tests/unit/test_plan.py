"""Which cases a benchmark has, and how workers share the test items."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.plan import cases_of, first_problems, shares
from pytest_qeval.schema import Problem

RECIPES = st.lists(st.sampled_from([None, "auto", "int8", "w2a16"]), max_size=60)


def problem(task_id: str, cluster: str = "") -> Problem:
    return Problem(
        benchmark="b", task_id=task_id, prompt="", entry_point="f", test="", canonical_solution="pass", cluster=cluster
    )


def benchmark(*task_ids: str) -> Benchmark:
    problems = {task_id: problem(task_id) for task_id in task_ids}
    return Benchmark(name="b", version="1", sha256="0" * 64, problems=problems)


@given(recipes=RECIPES, n_workers=st.integers(1, 8), together=st.booleans())
def test_every_item_is_dealt_once(*, recipes: list[str | None], n_workers: int, together: bool) -> None:
    """Shares are a partition of the items, each in the items' order."""
    dealt = shares(recipes, n_workers, together=together)

    assert len(dealt) == n_workers
    assert sorted(index for share in dealt for index in share) == list(range(len(recipes)))
    assert all(list(share) == sorted(share) for share in dealt)


@given(
    items=st.lists(st.tuples(st.sampled_from([None, "auto"]), st.sampled_from([None, "a.py", "b.py"]))),
    n_workers=st.integers(1, 4),
)
def test_a_scope_stays_on_one_worker(items: list[tuple[str | None, str | None]], n_workers: int) -> None:
    """Whatever recipes its items have; every item is still dealt once."""
    recipes, scopes = [recipe for recipe, _ in items], [scope for _, scope in items]

    dealt = shares(recipes, n_workers, together=False, scopes=scopes)

    assert sorted(index for share in dealt for index in share) == list(range(len(items)))
    assert all(sum(scope in {scopes[index] for index in share} for share in dealt) <= 1 for scope in ("a.py", "b.py"))


@given(st.integers(1, 40), st.integers(2, 6))
def test_with_enough_workers_each_loads_one_recipe(n_cases: int, n_workers: int) -> None:
    """A recipe costs a load: two recipes on two or more workers never meet on one."""
    recipes = ["auto"] * n_cases + ["int8"] * n_cases

    dealt = shares(recipes, n_workers, together=False)

    assert all(len({recipes[index] for index in share}) <= 1 for share in dealt)


@given(st.integers(1, 40), st.integers(1, 6))
def test_together_keeps_a_case_on_one_worker(n_cases: int, n_workers: int) -> None:
    """The worker that sees a case under the candidate has seen it under the baseline before."""
    dealt = shares(["auto"] * n_cases + ["int8"] * n_cases, n_workers, together=True)

    for share in dealt:
        assert {index % n_cases for index in share if index >= n_cases} == {i for i in share if i < n_cases}


def test_fewer_workers_than_recipes_share_them_whole() -> None:
    """Three recipes on two workers: the largest alone, the other two together."""
    recipes = ["a"] * 4 + ["b"] * 2 + ["c"] * 2

    assert shares(recipes, 2, together=False) == ((0, 1, 2, 3), (4, 5, 6, 7))


def test_cases_keep_the_order_and_the_limit() -> None:
    """A limit takes the first problems."""
    found = benchmark("b/2", "b/0", "b/1")

    assert [case.task_id for case in cases_of(found, limit=2)] == ["b/2", "b/0"]
    assert [case.task_id for case in cases_of(found, limit=None)] == ["b/2", "b/0", "b/1"]


def test_a_limit_takes_one_problem_of_each_source_before_a_second_one() -> None:
    """Of the i-th source the i-th problem, so that not all are first lines of a function; in the file's order."""
    lines = [problem(f"{function}{line}", function) for function in "abc" for line in range(3)]
    found = [problem("x"), *lines, problem("y")]

    assert [one.task_id for one in first_problems(found, 5)] == ["x", "a1", "b2", "c0", "y"]
    assert [one.task_id for one in first_problems(found, 7)] == ["x", "a1", "a2", "b0", "b2", "c0", "y"]


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=30), st.integers(0, 35))
def test_a_larger_limit_has_all_problems_of_a_smaller_one(clusters: list[str], limit: int) -> None:
    """Every source gives as many problems as any other that has as many, or one fewer."""
    found = [problem(str(at), cluster) for at, cluster in enumerate(clusters)]
    chosen = first_problems(found, limit)

    assert len(chosen) == min(limit, len(found))
    assert set(chosen) <= set(first_problems(found, limit + 1))
    assert first_problems(found, None) == found == first_problems(found, len(found))
    taken = [sum(one.cluster == name for one in chosen) for name in "abc"]
    rest = [sum(one.cluster == name for one in found) - count for name, count in zip("abc", taken, strict=True)]
    assert all(count >= max(taken) - 1 for count, left in zip(taken, rest, strict=True) if left)

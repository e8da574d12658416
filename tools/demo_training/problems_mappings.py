"""List the problems of `micro` about dictionaries and tuples."""

from typing import Final

from demo_training.problem import MicroProblem, problem

PROBLEMS: Final[tuple[MicroProblem, ...]] = (
    problem(
        "obtain_value(prices: dict[str, int]) -> int",
        "Return the value that prices has for 'soup'. If the key is missing, return 0.",
        "return prices.get('soup', 0)",
        [{"soup": 4}],
        [{}, {"milk": 2}, {"soup": 9, "milk": 1}, {"Soup": 3}],
    ),
    problem(
        "derive_default(stock)",
        "Return the value of 'mango' in stock. If the key is missing, return 82.",
        "return stock.get('mango', 82)",
        [{"mango": 4}],
        [{}, {"fig": 2}, {"mango": 0}, {"mango": 9, "fig": 1}],
    ),
    problem(
        "evaluate_sum(counts: dict[str, int]) -> int",
        "Add together the values of the dictionary counts.",
        "return sum(counts.values())",
        [{"a": 1, "b": 2}],
        [{}, {"x": 7}, {"a": -1, "b": 1}, {"a": 5, "b": 6}],
    ),
    problem(
        "determine_winner(scores: dict[str, int]) -> str",
        "Which key of scores has the largest value?",
        "return max(scores, key=scores.get)",
        [{"a": 1, "b": 2}],
        [{"x": 0}, {"a": 9, "b": 2}, {"p": -3, "q": -1}, {"a": 1, "b": 5, "c": 3}],
    ),
    problem(
        "establish_names(table)",
        "Return a sorted list that has every key in table.",
        "return sorted(table)",
        [{"b": 1, "a": 2}],
        [{}, {"x": 1}, {"c": 1, "b": 2, "a": 3}, {"one": 1, "two": 2}],
    ),
    problem(
        "produce_raised(ages: dict[str, int]) -> dict[str, int]",
        "For every value of ages, add 12 to it.",
        "return {key: v + 12 for key, v in ages.items()}",
        [{"a": 1}],
        [{}, {"x": 0}, {"a": -12, "b": 5}, {"p": 10, "q": 20}],
    ),
    problem(
        "prepare_rich(d: dict[str, int]) -> dict[str, int]",
        "Keep an entry of d only if its value is above 54.",
        "return {key: v for key, v in d.items() if v > 54}",
        [{"a": 60, "b": 1}],
        [{}, {"x": 54}, {"a": 55, "b": 99}, {"p": -60}],
    ),
    problem(
        "render_inverse(mapping)",
        "Use the values of mapping as keys and its keys as values.",
        "return {v: key for key, v in mapping.items()}",
        [{"a": 1}],
        [{}, {"x": 7}, {"a": 1, "b": 2}, {"one": 1, "two": 2, "ten": 10}],
    ),
    problem(
        "assemble_counts(word: str) -> dict[str, int]",
        "For each letter of word, return its count in a dictionary.",
        "return {c: word.count(c) for c in word}",
        ["aab"],
        ["", "x", "noon", "abc"],
    ),
    problem(
        "deduce_swapped(pair: tuple[int, int]) -> tuple[int, int]",
        "Swap the elements in the pair.",
        "return (pair[1], pair[0])",
        [((1, 2),)],
        [((0, 0),), ((5, -5),), ((9, 8),), ((3, 7),)],
    ),
    problem(
        "obtain_extremes(values)",
        "Return a tuple: the minimum of values, then the maximum.",
        "return (min(values), max(values))",
        [[3, 1, 2]],
        [[5], [-1, 1], [0, 9, 4], [7, 7]],
    ),
    problem(
        "derive_division(n: int) -> tuple[int, int]",
        "Divide n by 33 and return quotient and remainder as a tuple.",
        "return divmod(n, 33)",
        [70],
        [0, 33, 32, 100],
    ),
)

"""The synthetic functions the embedded model learns from."""

import doctest
import random
from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest
from demo_training.corpus import FAMILIES, NAME_WORDS, Document, document, documents, draw_family
from demo_training.family import body_expression, choose, fill, wording_expression
from demo_training.holdout import HELD_OUT_NAME_WORDS, is_held_out_constant, is_held_out_name
from demo_training.values import PARAMETER_NAMES

LOCAL_NAMES = {"v", "w", "c", "i", "total", "result", "key", "row"}
SLOTS = {"x": "xs", "y": "ys", "z": "zs", "k": "48", "j": "13"}


def _rng(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - reproducible, not secret


@pytest.fixture(scope="module")
def one_each() -> list[Document]:
    """Return one document of every family."""
    rng = _rng(5)
    return [document(family, rng) for family in FAMILIES]


@pytest.fixture(scope="module")
def sample() -> list[Document]:
    """Return several thousand documents as training draws them."""
    return list(islice(documents(17), 4000))


def _patterns() -> Iterator[str]:
    for family in FAMILIES:
        yield from family.nouns
        yield from family.verbs


def test_the_same_seed_gives_the_same_documents() -> None:
    """A seed fixes every byte."""
    first, second = (list(islice(documents(3), 200)) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_documents() -> None:
    """Seeds are independent streams."""
    assert list(islice(documents(3), 20)) != list(islice(documents(4), 20))


def test_a_document_does_not_depend_on_the_global_random_state() -> None:
    """All chance comes from the argument."""
    family, made = draw_family(_rng(1)), []
    for seed in (1, 2):
        random.seed(seed)
        made.append(document(family, _rng(2)))
    assert made[0] == made[1]


def test_there_are_many_families_with_code_of_their_own() -> None:
    """At least a hundred different bodies exist outside the composed ones."""
    plain = [family for family in FAMILIES if "filter" not in family.group]
    assert len({family.body for family in plain}) > 100


def test_family_names_are_unique() -> None:
    """A family is found by its name."""
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_every_family_can_be_asked_for() -> None:
    """No family lacks wordings."""
    assert all(family.nouns or family.verbs for family in FAMILIES)


def test_every_family_is_drawn_from_some_group() -> None:
    """A group without a weight would hide its families from training."""
    rng = _rng(0)
    assert {draw_family(rng).group for _ in range(3000)} == {family.group for family in FAMILIES}


def test_every_family_compiles(one_each: list[Document]) -> None:
    """Each document is valid Python."""
    for made in one_each:
        compile(made.source, made.family, "exec")


def test_every_example_shows_a_true_value(one_each: list[Document], sample: list[Document]) -> None:
    """The doctests in the documents hold."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    for made in (*one_each, *sample[:500]):
        scope: dict[str, object] = {}
        exec(compile(made.source, made.family, "exec"), scope)  # noqa: S102 - made by our tables
        text = str(getattr(scope[made.name], "__doc__", "")).replace("\t", "    ")
        runner.run(parser.get_doctest(text, scope, made.name, None, None), out=lambda _: None)
    assert runner.summarize(verbose=False).failed == 0


def test_most_documents_show_examples(sample: list[Document]) -> None:
    """Examples are common, but not everywhere."""
    shown = sum(">>>" in made.prompt for made in sample) / len(sample)
    assert 0.5 < shown < 0.8


def test_wordings_are_complete() -> None:
    """Choosing alternatives leaves no bracket, bar or doubled space."""
    rng = _rng(0)
    for pattern in _patterns():
        wording = choose(pattern, rng)
        assert not set("[]|") & set(wording)
        assert "  " not in wording


def test_a_wording_expression_finds_its_own_wordings() -> None:
    """The expressions that guard the benchmark cover what training can say."""
    rng = _rng(0)
    for pattern in _patterns():
        assert wording_expression(pattern).search(fill(choose(pattern, rng), SLOTS)), pattern


def test_a_body_expression_matches_its_own_code() -> None:
    """The expressions that find a problem's families cover what training can write."""
    assert all(body_expression(family.body).fullmatch(fill(family.body, SLOTS)) for family in FAMILIES)


def test_parameters_never_shadow_local_variables() -> None:
    """Generated bodies use a fixed set of local names."""
    assert LOCAL_NAMES.isdisjoint(name for names in PARAMETER_NAMES.values() for name in names)


def test_training_never_draws_a_held_out_constant(sample: list[Document]) -> None:
    """Numbers and strings obey the rule of the holdout."""
    assert not [made for made in sample if any(map(is_held_out_constant, made.constants))]


def test_no_name_table_contains_a_held_out_word() -> None:
    """Function names are made of these tables alone."""
    assert not [word for word in NAME_WORDS if is_held_out_name(word)]
    assert not [family.name for family in FAMILIES if is_held_out_name(family.name)]


def test_training_never_uses_a_held_out_name(sample: list[Document]) -> None:
    """No function of a large sample has a reserved word in its name."""
    assert HELD_OUT_NAME_WORDS
    assert not [made.name for made in sample if is_held_out_name(made.name)]

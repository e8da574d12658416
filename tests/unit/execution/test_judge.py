"""A judge and the replies of a solver that this test plays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import Reference, encode
from pytest_qeval.execution.judge import FAULT, Request, judge
from pytest_qeval.execution.proxy import LOST

Reply = Callable[..., tuple[object, ...]]

NONCE = b"n" * 16
TEST = "def check(candidate):\n    items = [2, 1]\n    assert candidate(items) == 3\n    assert items == [1, 2]\n"


NOTING = """
def note_expected(candidate):
    held = candidate.hold()
    return [(b'', held.value())]

def check(candidate):
    assert candidate() == 7
"""


def verdict_on(
    *replies: tuple[object, ...] | None,
    first: tuple[object, ...] = ("ready",),
    test: str = TEST,
    entry_point: str = "total",
    noted: bytes = b"",
    **request: Any,
) -> Any:
    """Return whether the solver is left alive, and the judge's verdict; None as a reply closes the channel."""
    (plugin, judge_to_plugin), (solver, judge_to_solver) = (map(Channel, socket.socketpair()) for _ in range(2))

    solver.resolve = lambda reference: reference

    def play() -> None:
        solver.send(*first)
        for reply in replies:
            token, *_ = solver.receive()
            if reply is None:
                break
            solver.send(token, *reply)
        solver.close()

    player = threading.Thread(target=play)
    player.start()
    plugin.send(NONCE, *Request("", "code", test, entry_point, 1.0, 2**30, **request))
    alive = judge(judge_to_plugin, judge_to_solver)
    player.join()
    nonce, *verdict, expected = plugin.receive()
    for end in (plugin, judge_to_plugin, judge_to_solver):
        end.close()
    assert (nonce, expected) == (NONCE, noted)
    return alive, *verdict


def test_a_result_is_compared_by_the_judge() -> None:
    """Arguments that the program changed are changed for the test, too."""
    assert verdict_on(("loaded",), ("returned", 3, {0: [1, 2]})) == (True, "passed", "")
    assert verdict_on(("loaded",), ("returned", 4, {0: [1, 2]})) == (
        True, "failed", "assert candidate(items) == 3 (got 4)",
    )  # fmt: skip
    assert verdict_on(("loaded",), ("returned", 3, {}))[1] == "failed"


@pytest.mark.parametrize(
    ("reply", "status", "detail"),
    [
        (("raised", ["ValueError", "Exception", "BaseException"], "bad", {}), "error", "ValueError: bad"),
        (("raised", ["MemoryError", "Exception", "BaseException"], "", {}), "memory", "MemoryError"),
        (("unsupported", "returned too much"), "unsupported", "returned too much"),
        (("passed",), "tampered", "sent a reply that fits no request"),
        (("returned", 3, {7: []}), "tampered", "changed an argument that does not exist"),
        (None, LOST, ""),
    ],
)
def test_every_reply_has_a_verdict(reply: tuple[object, ...] | None, status: str, detail: str) -> None:
    """A reply is data to be judged, and nothing else."""
    assert verdict_on(("loaded",), reply) == (status != LOST, status, detail)


def thing(name: str = "E", module: str = "solution", *abilities: str, number: int = 0) -> Reference:
    return Reference(number=number, name=name, module=module, abilities=frozenset(abilities))


_ITERATOR: tuple[object, ...] = ("returned", thing("E", "solution", "__iter__", "__next__"), {})
_ITSELF: tuple[object, ...] = ("returned", thing(), {})


@pytest.mark.parametrize(
    ("test", "replies", "verdict"),
    [
        ("candidate() == 3", [_ITSELF], "failed"),
        ("candidate() == 3", [("returned", thing("int", "builtins", "__eq__"), {})], "failed"),
        ("candidate() == 3", [("returned", thing("int", "builtins", "__eq__", "foreign"), {})], "unsupported"),
        ("candidate() == 3", [("returned", thing("int", "builtins", "large"), {})], "unsupported"),
        ("candidate() == [3]", [("returned", [thing("E", "solution", "__eq__")], {})], "failed"),
        ("candidate() == 3", [("returned", thing("method-wrapper", "builtins"), {})], "failed"),
        ("candidate() == 3", [("returned", thing("no\nname"), {})], "tampered"),
        ("candidate() == 3", [("returned", thing(""), {})], "tampered"),
        ("candidate() == 3", [("returned", thing("E", "solution", "__eq__", "__new__", "made up"), {})], "failed"),
        ("isinstance(candidate(), int)", [("returned", thing("int", "builtins"), {})], "failed"),
        ("len(candidate()) == 3", [("returned", thing("E", "x", "__len__"), {}), ("returned", -3, {})], "error"),
        ("len(candidate()) == 3", [("returned", thing("E", "x", "__len__"), {}), ("returned", thing(), {})], "error"),
        ("list(candidate()) == [3]", [_ITERATOR, _ITERATOR, ("items", [(False, 3)], ())], "passed"),
        ("list(candidate()) == [3]", [_ITERATOR, _ITERATOR, ("items", [], None)], "tampered"),
        ("list(candidate()) == [3]", [_ITERATOR, _ITERATOR, ("items", [3], ())], "tampered"),
        ("list(candidate()) == [3]", [_ITERATOR, _ITERATOR, ("items", [(True, 3)], ())], "failed"),
        ("list(candidate()) == [3]", [_ITERATOR, _ITERATOR, ("items", [(False, 3)], ("passed",))], "tampered"),
        ("list(candidate()) == [3]", [_ITERATOR, _ITERATOR, ("returned", [3], {})], "tampered"),
        ("candidate([3]) == [3]", [("same", 0, {})], "passed"),
        ("candidate([3]) == [3]", [("same", 1, {})], "tampered"),
        ("candidate([3]) == [3]", [("same", thing(), {})], "tampered"),
        ("candidate().x == 3", [_ITSELF, ("returned", thing("E", "solution", "__eq__", number=1), {})], "failed"),
        ("candidate().count(3) == 1", [_ITSELF, ("returned", thing("f", "x", number=1), {})], "unsupported"),
        ("candidate()() == 3", [("returned", thing("E", "x", "__call__"), {}), ("returned", 3, {})], "passed"),
        ("candidate()() == 3", [("returned", thing("E", "x", "__call__"), {}), ("raised", ["E"], "", {})], "error"),
    ],
)  # fmt: skip
def test_references_are_untrusted_as_well(test: str, replies: list[tuple[object, ...]], verdict: str) -> None:
    """Whatever a solver claims of its objects, it never decides a comparison."""
    source = f"def check(candidate):\n    assert {test}\n"

    assert verdict_on(("loaded",), *replies, test=source)[1] == verdict


DIGEST = b"d" * 32
HOLDING = """
def check(candidate):
    held = candidate.hold([2, 1])
    assert held.digest == b"d" * 32 or held.value() == 3
"""


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        ([("held", DIGEST)], "passed"),
        ([("held", b"e" * 32), ("returned", 3, {})], "passed"),
        ([("held", b"e" * 32), ("returned", 4, {})], "failed"),
        ([("held", b"e" * 32), ("returned", thing("E", "x", "__eq__"), {})], "failed"),
        ([("held", b"e" * 32), ("held", DIGEST)], "tampered"),
        ([("held", "d" * 32)], "tampered"),
        ([("held", thing())], "tampered"),
        ([("held", DIGEST, 3)], "tampered"),
        ([("returned", 3, {})], "passed"),
        ([("returned", 4, {})], "failed"),
        ([("returned", 3, {0: [3]})], "tampered"),
        ([("same", 0, {})], "tampered"),
        ([("raised", ["ValueError", "Exception", "BaseException"], "bad", {})], "error"),
    ],
)
def test_a_result_may_stay_with_the_program(replies: list[tuple[object, ...]], verdict: str) -> None:
    """The judge compares a digest, or asks for the value; what the program does to arguments stays with it."""
    assert verdict_on(("loaded",), *replies, test=HOLDING)[1] == verdict


def test_a_digest_is_no_result() -> None:
    """Where the test did not ask for one."""
    assert verdict_on(("loaded",), ("held", DIGEST))[1] == "tampered"


@pytest.mark.parametrize(
    ("request_", "noted"),
    [
        ({}, b""),
        ({"is_reference": True}, encode([(b"", 7)])),
        ({"is_reference": True, "test": "def check(candidate): candidate()"}, b""),
        ({"is_reference": True, "entry_point": "note_expected", "test": "def check(candidate): candidate()"}, b""),
        ({"is_reference": True, "test": NOTING.replace("[(b'', held.value())]", "'x' * 2**20")}, b""),
        ({"is_reference": True, "test": NOTING.replace("held.value()", "candidate")}, b""),
    ],
)
def test_a_test_takes_note_of_a_reference_and_of_nothing_else(request_: dict[str, Any], noted: bytes) -> None:
    """As far as it can be copied and is not too much; else the test finds out itself."""
    assert verdict_on(("loaded",), ("returned", 7, {}), noted=noted, **{"test": NOTING, **request_})[1] == "passed"


def test_what_was_noted_is_given_to_check() -> None:
    """Decoded."""
    test = "def check(candidate, expected): assert expected == [(b'', 7)] and candidate() == 7"

    assert verdict_on(("loaded",), ("returned", 7, {}), test=test, expected=encode([(b"", 7)]))[1] == "passed"


@pytest.mark.parametrize(
    ("reply", "status"),
    [(("syntax", "SyntaxError: x"), "syntax"), (("raised", ["SystemExit", "BaseException"], "0"), "error")],
)
def test_a_program_that_does_not_load_is_not_called(reply: tuple[object, ...], status: str) -> None:
    """The verdict is final whatever the test does."""
    swallowing = "def check(candidate):\n    try:\n        candidate()\n    except BaseException:\n        pass\n"

    assert verdict_on(reply, test=swallowing)[1] == status


def test_a_solver_that_cannot_be_confined_is_a_fault() -> None:
    """No program is loaded into it."""
    assert verdict_on(first=("fault", "no mount")) == (True, FAULT, "no mount")


def test_details_are_one_printable_line() -> None:
    """Neither terminal escapes nor long messages reach a report."""
    message = "\n\x1b[31m" + "long " * 100
    names = ["ValueError", "Exception", "BaseException"]

    _, _, detail = verdict_on(("loaded",), ("raised", names, message, {}))
    assert detail == "ValueError:"
    _, _, detail = verdict_on(("loaded",), ("raised", names, message.strip(), {}))
    assert len(detail) == 200
    assert detail.isprintable()

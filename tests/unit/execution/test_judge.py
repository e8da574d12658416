"""A judge and the replies of a solver that this test plays."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import Reference
from pytest_qeval.execution.judge import FAULT, judge
from pytest_qeval.execution.proxy import LOST

Reply = Callable[..., tuple[object, ...]]

NONCE = b"n" * 16
TEST = "def check(candidate):\n    items = [2, 1]\n    assert candidate(items) == 3\n    assert items == [1, 2]\n"


def verdict_on(*replies: tuple[object, ...] | None, first: tuple[object, ...] = ("ready",), test: str = TEST) -> Any:
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
    plugin.send(NONCE, "", "code", test, "total", 1.0)
    alive = judge(judge_to_plugin, judge_to_solver)
    player.join()
    nonce, *verdict = plugin.receive()
    for end in (plugin, judge_to_plugin, judge_to_solver):
        end.close()
    assert nonce == NONCE
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
        ("candidate() == 3", [("returned", thing("no name"), {})], "tampered"),
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

"""Models on servers, from the command line to the reports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.micro import PATH as MICRO
from tests.fake_openai import FakeServer, Fault, Json, NextTokens, prompt_of, serving
from tests.plugin.runs import check_refusal, read_records, read_report

Run = Callable[..., pytest.RunResult]
Start = Callable[..., FakeServer]

KEY = "sk-4711-very-secret"
SUITE = ("--qeval-suite", "micro", "--qeval-limit", "6", "--qeval-output", "out")
SOLUTIONS = {
    row["prompt"].strip(): (row["prompt"], row["canonical_solution"], row["task_id"])
    for row in map(json.loads, MICRO.read_text(encoding="utf-8").splitlines())
}


def solve(body: Json) -> str:
    """Write the solution, behind the prompt or in a block of code."""
    asked = prompt_of(body)
    found = [one for prompt, one in SOLUTIONS.items() if prompt in asked]
    if not found:
        return "(first, second):\n    return first + second\n```"  # the probe
    prompt, solution, _ = found[0]
    return f"```python\n{prompt}{solution}\n```" if "messages" in body else solution


def fail_on(*task_ids: str) -> Callable[[Json], str]:
    """Return a model that solves all problems but these."""
    failing = {prompt for prompt, (_, _, task_id) in SOLUTIONS.items() if task_id in task_ids}

    def respond(body: Json) -> str:
        return "    return None\n" if any(prompt in prompt_of(body) for prompt in failing) else solve(body)

    return respond


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers, which stop after the test."""
    with ExitStack() as stack:
        yield lambda **fields: stack.enter_context(serving(FakeServer(**{"respond": solve, **fields})))


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_model_on_a_server_is_evaluated(
    run: Run, start: Start, pytester: pytest.Pytester, mode: tuple[str, ...]
) -> None:
    """By messages, without torch; the recipe is called like the model."""
    server = start(model="org/tiny-instruct")
    result = run(*mode, "--qeval-endpoint", server.url, *SUITE)

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["org/tiny-instruct · openai · 6 cases · greedy · chat prompts*"])
    report = read_report(pytester.path / "out")
    assert report["benchmarks"]["micro"]["results"]["tiny-instruct"]["solved"] == 6
    facts = report["recipes"]["tiny-instruct"]
    assert (facts["execution"], facts["scheme"], facts["model_bytes"]) == ("server", None, None)
    completion = read_records(pytester.path / "out")[0]["samples"][0]
    assert completion["n_tokens"] > 0
    assert completion["ttft_s"] > 0


def test_two_servers_are_compared(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """The names of candidates are the user's; a gate breaks the run."""
    full, small = start(model="full"), start(model="small", respond=fail_on("micro/1", "micro/3"), owner="llamacpp")
    result = run(
        *("--qeval-baseline", full.url, "--qeval-candidate", f"q4={small.url}", *SUITE),
        *("--qeval-gate", "pass@1 drop <= 2pt", "--qeval-prompt", "completion"),
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*note: the baseline is full and the candidate small: *",
            "*note: q4 was run by another engine than the baseline's (openai (llama.cpp); full by openai)*",
            "*2 regressed: micro/1, micro/3",
            "verdict: FAIL*",
        ]
    )
    report = read_report(pytester.path / "out")
    assert (report["run"]["model"]["id"], report["run"]["baseline_model"]["id"]) == ("small", "full")


def test_a_server_is_compared_with_a_saved_baseline(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """That of a model in this process, whose engine is named before the numbers."""
    saving = run(
        *("--qeval-model", "demo", "--qeval-save-baseline", "base.json.gz", "--qeval-suite", "micro"),
        *("--qeval-limit", "6", "--qeval-prompt", "completion", "--qeval-max-new-tokens", "24"),
    )
    assert saving.ret == pytest.ExitCode.OK
    conditions = (*SUITE, "--qeval-prompt", "completion", "--qeval-baseline", "base.json.gz")
    result = run("--qeval-endpoint", start().url, *conditions, "--qeval-max-new-tokens", "24")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*note: fake was run by another engine than the baseline's (openai; auto by transformers)*"]
    )
    other = run("--qeval-endpoint", start().url, *conditions, "--qeval-max-new-tokens", "25")
    check_refusal(other, "*generation.max_new_tokens: 25 here, 24 there*")


def test_a_server_stands_beside_the_model_that_it_was_made_from(
    run: Run, start: Start, pytester: pytest.Pytester
) -> None:
    """The baseline and `int8` run in this process, the third recipe does not."""
    result = run(
        *("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-candidate", f"q4={start().url}"),
        *("--qeval-prompt", "completion", "--qeval-max-new-tokens", "16", *SUITE),
    )

    assert result.ret == pytest.ExitCode.OK
    recipes = read_report(pytester.path / "out")["recipes"]
    roles = {name: (facts["role"], facts["engine"]) for name, facts in recipes.items()}
    assert roles == {
        "auto": ("baseline", "transformers"),
        "int8": ("candidate", "transformers"),
        "q4": ("candidate", "openai"),
    }


def test_a_case_without_an_answer_fails_alone(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """The run goes on, ends with status 1, and a gate knows that the case is missing."""
    (poison,) = (prompt for prompt, (_, _, task_id) in SOLUTIONS.items() if task_id == "micro/2")
    server = start(faults=lambda body, _: Fault(status=400) if poison in prompt_of(body) else None)
    result = run("--qeval-endpoint", server.url, *SUITE, "--qeval-gate", "pass@1 >= 0.5")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*micro/2 has no completion: *refused a request: HTTP 400, out of order*"])
    report = read_report(pytester.path / "out")
    assert (report["run"]["received"], report["run"]["missing"]) == (5, 1)
    assert report["gates"][0]["outcome"] == "fail"


def test_the_key_is_nowhere(run: Run, start: Start, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a report, a record, a log, or a traceback with its local variables, even if the server repeats it."""
    monkeypatch.setenv("SERVER_KEY", KEY)
    named = ("--qeval-api-key-env", "SERVER_KEY")
    server = start(key=KEY, faults=lambda body, _: Fault(status=400) if "messages" not in body else None)
    logged = ("--showlocals", "--log-file=log.txt", "--log-file-level=DEBUG", "-o", "log_cli=true", "--log-level=DEBUG",
              "--junitxml=junit.xml", "-o", "junit_logging=all")  # fmt: skip
    result = run("--qeval-endpoint", server.url, *named, *SUITE, *logged)
    assert result.ret == pytest.ExitCode.OK
    # Refused after the start, while a recipe is loaded, and by a server that repeats what it was sent.
    broken = run("--qeval-endpoint", server.url, *named, *SUITE, *logged, "--qeval-prompt", "completion")
    assert broken.ret == pytest.ExitCode.TESTS_FAILED
    monkeypatch.setenv("SERVER_KEY", f"{KEY}-wrong")
    refused = run("--qeval-endpoint", server.url, *named, *SUITE)
    check_refusal(refused, "*refuses the key (HTTP 401, wrong key: Bearer [*][*][*])*")

    texts = [one for done in (result, broken, refused) for one in (done.stdout.str(), done.stderr.str())]
    files = [path.read_bytes() for path in pytester.path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not any(KEY in text for text in texts)
    assert not any(KEY.encode() in data for data in files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--qeval-endpoint", "http://127.0.0.1:9"),
            "*there is no server at http://127.0.0.1:9/v1 (*): start it, or check host and port.*",
        ),
        (("--qeval-endpoint", "URL", "--qeval-model", "other"), "*serves fake, and not 'other': name one of these.*"),
        (("--qeval-engine", "openai", "--qeval-model", "fake"), "*needs a server: add --qeval-endpoint*"),
        (("--qeval-endpoint", "URL", "--qeval-recipe", "int8"), "*--qeval-recipe quantizes a model in this process*"),
        (
            ("--qeval-endpoint", "URL", "--qeval-threads", "2"),
            "*--qeval-threads does nothing in this run: *",
        ),
        (("--qeval-endpoint", "URL", "--qeval-baseline", "int8"), "*--qeval-baseline int8 needs a model in this*"),
        (("--qeval-endpoint", "URL", "--qeval-suite", "divergence"), "*compares a recipe with the baseline*"),
        (("--qeval-endpoint", "URL", "--qeval-suite", "memory"), "*measures a model in this process*"),
        (("--qeval-endpoint", "URL", "--qeval-concurrency", "some"), "*--qeval-concurrency expects a whole number*"),
        (("--qeval-candidate", "URL"), "*--qeval-candidate expects NAME=URL*"),
        (("--qeval-candidate", "int8=URL"), "*the name 'int8' is taken*"),
        (
            ("--qeval-endpoint", "URL", "--qeval-api-key-env", "NO_SUCH"),
            "*the environment variable that it names is not set, or empty.*",
        ),
        (("--qeval-model", "demo", "--qeval-concurrency", "2"), "*--qeval-concurrency does nothing in this run*"),
        (("--qeval-endpoint", "URL", "--qeval-model", "x", "--qeval-engine", "transformers"), "*leave one of the two*"),
    ],
)
def test_what_cannot_work_is_refused(run: Run, start: Start, arguments: tuple[str, ...], message: str) -> None:
    """In one sentence with what to do, before anything is generated."""
    server = start()
    result = run(*(argument.replace("URL", server.url) for argument in arguments))

    check_refusal(result, message)
    assert not server.requests


def test_a_server_without_messages_is_asked_for_completions(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """And `--qeval-prompt chat` is refused."""
    server = start(chat=False)
    assert run("--qeval-endpoint", server.url, *SUITE).ret == pytest.ExitCode.OK
    assert read_report(pytester.path / "out")["run"]["generation"]["prompt_style"] == "completion"
    check_refusal(run("--qeval-endpoint", server.url, *SUITE, "--qeval-prompt", "chat"), "*does not answer messages*")


def test_whole_problems_are_timed(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """A server's speed is that of answers; what needs a model in this process is skipped with the reason."""
    result = run("--qeval-endpoint", start().url, "--qeval-suite", "efficiency", "--qeval-output", "out", "-rs",
                 "--qeval-benchmark", "micro", "--qeval-limit", "3")  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*fake is on a server, where prefill-128 cannot be measured*", "*1 passed*"])
    assert read_report(Path(pytester.path / "out"))["efficiency"]["fake"]


def next_tokens(sharpness: float) -> NextTokens:
    """Return a model that predicts characters by the number of those before; a sharper one is surer of them."""
    alphabet = [10, *range(32, 127)]

    def predict(before: Sequence[int]) -> Mapping[int, float]:
        weights = {token: math.exp(-sharpness * ((token + len(before)) % 96)) for token in alphabet}
        return {token: weight / sum(weights.values()) for token, weight in weights.items()}

    return predict


def test_the_divergence_of_servers_is_measured(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """Of llama-server and of vLLM, each in its own way, with the control as the floor; a gate judges it."""
    full = start(model="full", owner="llamacpp", next_tokens=next_tokens(0.1))
    small = start(model="small", owner="vllm", next_tokens=next_tokens(0.12), max_listed=20)
    result = run(
        *("--qeval-baseline", full.url, "--qeval-candidate", f"q4={small.url}", "--qeval-control"),
        *("--qeval-suite", "divergence", "--qeval-benchmark", "micro", "--qeval-limit", "3", "--qeval-output", "out"),
        *("--qeval-gate", "kl <= 0.001", "--qeval-concurrency", "auto"),
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "divergence of q4 from full: *",
            "*the engine lists 20 tokens at a time: * of the baseline's probability is on others*",
            "*KL of full from itself, in the control: 0 [[]0, 0]",
            "verdict: FAIL*",
        ]
    )
    report = read_report(pytester.path / "out")
    assert report["divergence"]["q4"]["kl"]["value"] > 0.001
    assert report["divergence"]["q4"]["floor"]["value"] == 0
    assert report["divergence"]["q4"]["incomparable"] == 0


def test_servers_that_score_no_texts_are_skipped(run: Run, start: Start, pytester: pytest.Pytester) -> None:
    """With the reason; a gate on it is broken."""
    result = run(
        *("--qeval-baseline", start(model="full").url, "--qeval-candidate", f"q4={start(model='small').url}"),
        *(*SUITE, "--qeval-suite", "divergence", "--qeval-benchmark", "micro", "-rs", "--qeval-gate", "kl <= 0.1"),
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*SKIPPED*the server scores no text that it is given*"])
    assert read_report(pytester.path / "out")["gates"][0]["outcome"] == "fail"


def test_a_server_with_another_tokenizer_than_the_baseline_is_refused(
    run: Run, start: Start, pytester: pytest.Pytester
) -> None:
    """Its numbers would be those of other texts."""
    saving = run(
        *("--qeval-model", "demo", "--qeval-save-baseline", "base.json.gz", "--qeval-suite", "divergence"),
        *(
            "--qeval-suite",
            "micro",
            "--qeval-limit",
            "2",
            "--qeval-prompt",
            "completion",
            "--qeval-max-new-tokens",
            "8",
        ),
    )
    assert saving.ret == pytest.ExitCode.OK
    result = run(
        *("--qeval-endpoint", start(owner="llamacpp", next_tokens=next_tokens(0.1)).url, "--qeval-baseline"),
        *("base.json.gz", "--qeval-suite", "divergence", "--qeval-benchmark", "micro", "--qeval-limit", "2"),
        *("--qeval-prompt", "completion", "--qeval-max-new-tokens", "8"),
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*none of 2 texts has the tokens that the baseline has read: compare models with*"])

"""A llama-server of the run's own is started, asked, and stopped whatever happens."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_qeval.engines.base import FinishedCompletion, Request
from pytest_qeval.engines.llamacpp.process import LlamaServer, find_program
from pytest_qeval.engines.llamacpp.source import LLAMACPP
from pytest_qeval.engines.openai.connection import ask
from pytest_qeval.engines.openai.identity import identify
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError, ModelSourceError, UsageError
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, LlamaSettings, ModelSettings, ServerSettings
from tests.tiny_gguf import write_gguf
from tests.unit.engines.llama_program import write_program


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return an executable that behaves like llama-server."""
    return write_program(tmp_path)


def listens(endpoint: str) -> bool:
    port = int(endpoint.rpartition(":")[2].partition("/")[0])
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until_gone(endpoint: str) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and listens(endpoint):
        time.sleep(0.05)
    return not listens(endpoint)


def start(program: Path, model: str, log: Path | None = None) -> LlamaServer:
    return LlamaServer(program, Path(model), slots=2, context_tokens=512, threads=1, log=log)


def test_a_file_is_served_and_the_server_stopped(program: Path, tmp_path: Path) -> None:
    """What it writes is kept; the engine's `close` ends it."""
    model = ModelSettings(
        name="m", engine="llamacpp", llama=LlamaSettings(program=program, slots=2, logs=tmp_path / "out")
    )
    source = ModelSource(kind="gguf", name="m", path=tmp_path / "tiny-q4.gguf")
    engine = LLAMACPP.open(
        source, find_recipe("as-is"), model=model, generation=GenerationSettings(), texts=None, export=None
    )
    try:
        engine.submit([Request(key="a", prompt="def one():\n")])
        done = [one for _ in range(50) for one in engine.step()]
        facts = engine.facts()
    finally:
        engine.close()

    (completion,) = (one.completion for one in done if isinstance(one, FinishedCompletion))
    assert completion.text.startswith("    return 11\n")
    assert (facts["engine"], facts["batch_size"]) == ("llamacpp (llama.cpp)", 2)
    assert (tmp_path / "out" / "llama-server.log").read_text().startswith("listening\n")
    assert wait_until_gone(facts["summary"].partition(" at ")[2].partition(",")[0])


def test_a_recipe_of_the_cache_is_an_argument_of_the_server(program: Path, tmp_path: Path) -> None:
    """The report has llama.cpp's type, and the bytes of a token: 2 layers, 1 head of 64 channels, keys and values."""
    file = write_gguf(tmp_path / "tiny.gguf")
    model = ModelSettings(name="m", engine="llamacpp", llama=LlamaSettings(program=program, slots=2, logs=tmp_path))
    source = ModelSource(kind="gguf", name="m", path=file)
    engine = LLAMACPP.open(
        source, find_recipe("auto+kv8"), model=model, generation=GenerationSettings(), texts=None, export=None
    )
    facts = engine.facts()
    engine.close()

    assert "--cache-type-k q8_0 --cache-type-v q8_0 --flash-attn on" in (tmp_path / "llama-server.log").read_text()
    assert (facts["scheme"], facts["execution"], facts["batch_size"]) == ("KV8", "server", 2)
    assert facts["cache"] == {
        "bits": 8,
        "granularity": "per_32_channels",
        "symmetric": True,
        "type": "q8_0",
        "execution": "native",
        "token_bytes": 2 * 2 * 68,
        "held_token_bytes": 2 * 2 * 68,
    }


def test_a_proxy_is_not_asked_for_this_machine(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in companies, where the environment names one for everything."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = start(program, "model.gguf")
    try:
        assert ask(ServerSettings(endpoint=server.endpoint), identify).models
    finally:
        server.stop()


def test_stopping_twice_is_fine(program: Path) -> None:
    """The port is free again."""
    server = start(program, "tiny.gguf")
    assert listens(server.endpoint)
    server.stop()
    server.stop()

    assert wait_until_gone(server.endpoint)


def test_a_file_that_cannot_be_loaded_is_said_in_the_servers_words(program: Path) -> None:
    """The last lines of its output."""
    with pytest.raises(EngineError, match=r"ended with status 3: loading / error: the file is broken"):
        start(program, "broken.gguf")


def test_the_server_ends_when_pytest_is_killed(program: Path) -> None:
    """No code runs then, so the server watches its standard input."""
    code = (
        "import sys, time; from pathlib import Path; from pytest_qeval.engines.llamacpp.process import LlamaServer;"
        f"s = LlamaServer(Path({str(program)!r}), Path('t.gguf'), slots=1, context_tokens=9, threads=None, log=None);"
        "print(s.endpoint, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        endpoint = parent.stdout.readline().strip()
        assert listens(endpoint)
        parent.kill()

    assert wait_until_gone(endpoint)


def test_a_missing_program_and_other_models_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="llama-server is not in PATH"):
        find_program(None)
    with pytest.raises(UsageError, match="nowhere is no program"):
        find_program(tmp_path / "nowhere")
    with pytest.raises(ModelSourceError, match="demo is no GGUF file"):
        LLAMACPP.find(ModelSettings(name="demo", engine="llamacpp"))

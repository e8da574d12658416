"""A server with OpenAI's interface in a thread: it answers by a function, and misbehaves as it is told."""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Respond = Callable[[Json], str]
"""Returns the whole text that a model would write for the body of a request."""
NextTokens = Callable[[Sequence[int]], Mapping[int, float]]
"""Returns the probability of every token that may follow the given ones; a token is a character's code."""


@dataclass(frozen=True)
class Fault:
    """What the server does instead of answering."""

    status: int = 0
    """An HTTP status, with a JSON message."""
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[str] | None = None
    """Raw events to stream."""
    reset_after: int | None = None
    """Break the connection after so many pieces."""
    hang_s: float = 0.0
    """Say nothing for so long, and then hang up."""
    comments: int = 0
    """Send so many comments before the answer, one every 0.05 s."""


@dataclass
class FakeServer:
    """State of the server; tests change it while it runs."""

    respond: Respond
    model: str = "fake"
    owner: str = "tests"
    answered_model: str = ""
    key: str = ""
    """The one that it demands; empty demands none."""
    max_stops: int | None = None
    rejects: Sequence[str] = ()
    """Fields of a request that it does not accept."""
    ignores: Sequence[str] = ()
    """Fields that it takes and does not use."""
    prefill: bool = True
    chat: bool = True
    line_end: str = "\n"
    escapes: bool = True
    """Whether characters beyond ASCII are escaped in JSON."""
    context: int | None = None
    """Prompts are cut to so many characters, in silence."""
    first_s: float = 0.0
    """Before the first piece."""
    next_tokens: NextTokens | None = None
    """Scores given tokens: as llama-server does, and as vLLM does; None for a server that cannot."""
    max_listed: int = 10**6
    """Likeliest tokens that it lists, as vLLM's `--max-logprobs`."""
    drops: Collection[int] = ()
    """Tokens that are missing in its scores, as those in the middle of a character are in llama-server's."""
    faults: Callable[[Json, int], Fault | None] = lambda _body, _attempt: None
    """Decides by the body, and how often this prompt was sent."""
    url: str = ""
    requests: list[Json] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    broken: int = 0
    """Connections that the client closed before the end."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def attempt(self, body: Json) -> int:
        """Count a request, and return how often its prompt was sent."""
        with self.lock:
            self.requests.append(body)
            return sum(prompt_of(one) == prompt_of(body) for one in self.requests)


def prompt_of(body: Json) -> str:
    """Return what a request is about: the prompt, the user's message, or a text to tokenize."""
    if "messages" in body:
        return str(body["messages"][0]["content"])
    return str(body.get("prompt", body.get("content", "")))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def log_message(self, *_: Any) -> None:
        """Keep stderr clean."""

    def do_GET(self) -> None:
        if not self._let_in():
            return
        entry = {"id": self.fake.model, "object": "model", "owned_by": self.fake.owner}
        self._json(200 if self.path in {"/v1/models", "/health"} else 404, {"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        fake = self.fake
        body: Json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._let_in():
            return
        with fake.lock:
            fake.active += 1
            fake.most_active = max(fake.most_active, fake.active)
        try:
            self._answer(body, fake.faults(body, fake.attempt(body)))
        except (BrokenPipeError, ConnectionResetError):
            fake.broken += 1
            self.close_connection = True
        finally:
            with fake.lock:
                fake.active -= 1

    def _let_in(self) -> bool:
        sent = self.headers.get("Authorization", "")
        if not self.fake.key or sent == f"Bearer {self.fake.key}":
            return True
        self._json(401, {"error": {"message": f"wrong key: {sent}"}})
        return False

    def _answer(self, body: Json, fault: Fault | None) -> None:
        fake, chat = self.fake, self.path.endswith("/chat/completions")
        if self.path in {"/tokenize", "/completion"} or "prompt_logprobs" in body:
            return self._json(*_scored(fake, self.path, body))
        refused = next((name for name in fake.rejects if name in body), None)
        if chat and not fake.chat:
            return self._json(404, {"error": {"message": "no such path"}})
        if refused or len(body.get("stop", ())) > (fake.max_stops or 10**6):
            return self._json(400, {"error": {"message": f"unknown field {refused or 'stop'}"}})
        if fault and fault.hang_s:
            time.sleep(fault.hang_s)
            return self._break()
        if fault and fault.status:
            return self._json(fault.status, {"error": {"message": "out of order"}}, fault.headers)
        text, reason = _written(fake, body, chat=chat)
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
        events = [self._event(piece, None, chat=chat) for piece in pieces] + [self._event("", reason, chat=chat)]
        if "stream_options" in body and "stream_options" not in fake.ignores:
            events.append(self._usage(body, len(pieces)))
        self._stream([*events, "[DONE]"], fault or Fault())
        return None

    def _stream(self, events: Sequence[str], fault: Fault) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        time.sleep(self.fake.first_s)
        for _ in range(fault.comments):
            self.wfile.write(b": keep-alive\n\n")
            time.sleep(0.05)
        for number, event in enumerate(events if fault.events is None else fault.events):
            if number == fault.reset_after:
                return self._break()
            self.wfile.write(f"data: {event}{self.fake.line_end * 2}".encode())
            self.wfile.flush()
        self.close_connection = True
        return None

    def _event(self, piece: str, reason: str | None, *, chat: bool) -> str:
        inner = {"delta": {"content": piece}} if chat else {"text": piece}
        choice = {"index": 0, **inner, "finish_reason": reason}
        chunk = {"model": self.fake.answered_model or self.fake.model, "choices": [choice]}
        return json.dumps(chunk, ensure_ascii=self.fake.escapes)

    def _usage(self, body: Json, tokens: int) -> str:
        read = len(prompt_of(body)[: self.fake.context]) // 4 + 1
        usage = {"prompt_tokens": read, "completion_tokens": tokens + 1}
        return json.dumps({"model": self.fake.answered_model or self.fake.model, "choices": [], "usage": usage})

    def _break(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _json(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _scored(fake: FakeServer, path: str, body: Json) -> tuple[int, Json]:
    """Return the status and the answer to a request about given tokens."""
    listed = int(body.get("prompt_logprobs") or body.get("n_probs") or 0)
    if fake.next_tokens is None or listed > fake.max_listed:
        return 400, {"error": {"message": "not here"}}
    if path == "/tokenize":
        return 200, {"tokens": [ord(one) for one in prompt_of(body)]}
    prompt: list[int] = body["prompt"]
    solution = [int(one) for one in re.findall(r"<\[(\d+)\]>", body.get("grammar", ""))]
    tokens = [*prompt, *solution]
    rows = [_row(fake.next_tokens(tokens[:at]), tokens[at], listed) for at in range(len(tokens))]
    if path == "/completion":
        entries = [
            {"id": token, "logprob": given, "top_logprobs": [{"id": key, "logprob": one} for key, one in top.items()]}
            for token, (top, given) in zip(solution, rows[len(prompt) :], strict=True)
            if token not in fake.drops
        ]
        return 200, {"completion_probabilities": entries}
    found = [
        {str(key): {"logprob": one} for key, one in {**top, token: given}.items()}
        for token, (top, given) in zip(tokens, rows, strict=True)
    ]
    return 200, {"model": fake.model, "choices": [{"index": 0, "text": "x", "prompt_logprobs": [None, *found[1:]]}]}


def _row(probabilities: Mapping[int, float], token: int, listed: int) -> tuple[dict[int, float], float]:
    """Return the log-probabilities of the likeliest tokens, and of the given one."""
    ordered = sorted(probabilities, key=lambda one: -probabilities[one])[:listed]
    return {one: math.log(probabilities[one]) for one in ordered}, math.log(probabilities.get(token, 1e-30))


def _written(fake: FakeServer, body: Json, *, chat: bool) -> tuple[str, str]:
    """Return the text and the reason to end, by stop strings and the token limit (four characters a token)."""
    text, limit = fake.respond(body), 4 * int(body["max_tokens"])
    begun = chat and body["messages"][-1]["role"] == "assistant"
    if begun and fake.prefill:
        text = text.removeprefix(body["messages"][-1]["content"])
    cuts = [at for at in map(text.find, () if "stop" in fake.ignores else body.get("stop", ())) if at >= 0]
    stopped = min(cuts) if cuts else len(text)
    return (text[:limit], "length") if limit < stopped else (text[:stopped], "stop")


@contextmanager
def serving(fake: FakeServer) -> Iterator[FakeServer]:
    """Run the server on a free port."""
    handler = type("Handler", (_Handler,), {"fake": fake})
    ThreadingHTTPServer.request_queue_size = 64
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that hang up are part of the tests
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

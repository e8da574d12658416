"""A model hub on this machine, which answers the real huggingface_hub and transformers."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_MODEL = re.compile(r"/api/models/([\w.-]+/[\w.-]+?)(?:/revision/([^/?]+))?(?:\?.*)?")
_TREE = re.compile(r"/api/models/([\w.-]+/[\w.-]+?)/tree/.*")
_FILE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)")


@dataclass
class FakeHub:
    """Files by commit, and what becomes of requests."""

    repository: str = "org/name"
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Error code, or status, of requests for the `model` or its `file`s."""
    after_model: Callable[[], object] = lambda: None
    """Called when the model has been asked for."""
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a request."""
        self.requests.append(path)
        if found := _MODEL.fullmatch(path):
            return self._model(found[1], found[2] or "main")
        if found := _FILE.fullmatch(path):
            return self._file(found[1], found[2], found[3])
        return (200, {}, b"[]") if _TREE.fullmatch(path) else (404, {}, b"")

    def _model(self, repository: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        commit = self.refs.get(revision, revision)
        code = self._refusal("model", repository, commit)
        if code:
            return int(code) if code.isdecimal() else 404, {"X-Error-Code": code}, b""
        files = [{"rfilename": name} for name in self.commits[commit]]
        self.after_model()
        return 200, {}, json.dumps({"_id": "1", "id": repository, "sha": commit, "siblings": files}).encode()

    def _file(self, repository: str, revision: str, name: str) -> tuple[int, dict[str, str], bytes]:
        commit = self.refs.get(revision, revision)
        code = self._refusal("file", repository, commit)
        if code or name not in self.commits[commit]:
            return 404, {"X-Error-Code": code or "EntryNotFound", "X-Repo-Commit": commit}, b""
        body = self.commits[commit][name]
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body

    def _refusal(self, kind: str, repository: str, commit: str) -> str:
        if repository != self.repository:
            return "RepoNotFound"
        return self.refused.get(kind) or ("" if commit in self.commits else "RevisionNotFound")

    @contextmanager
    def served(self) -> Iterator[None]:
        """Answer requests to `url`; afterwards the connection is refused."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = hub.answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 - as http.server has it

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


def read_files(directory: Path) -> dict[str, bytes]:
    """Return the files of a model directory, as a commit of the hub."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}

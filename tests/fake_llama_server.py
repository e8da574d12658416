"""A program that is started like llama-server: `python fake_llama_server.py --port N --model FILE …`.

It writes something that depends on prompt and seed, longer than any limit, and ends at once for a model that is called
`broken.gguf`, after it has said why.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from http.server import ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fake_openai import FakeServer, Json, _Handler, prompt_of


def write(body: Json) -> str:
    """Write a program that is never the same for two prompts."""
    return f"    return {len(prompt_of(body))}\n    # {prompt_of(body)} {body.get('seed')}\n" * 8


def main() -> int:
    """Serve until the process is ended."""
    parser = ArgumentParser()
    for name in ("port", "model", "alias"):
        parser.add_argument(f"--{name}")
    options = parser.parse_known_args()[0]
    if options.model.endswith("broken.gguf"):
        sys.stderr.write("loading\nerror: the file is broken\n")
        return 3
    sys.stdout.write(f"listening\n{' '.join(sys.argv[1:])}\n")
    sys.stdout.flush()
    fake = FakeServer(write, model=options.alias, owner="llamacpp")
    ThreadingHTTPServer(("127.0.0.1", int(options.port)), type("Handler", (_Handler,), {"fake": fake})).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())

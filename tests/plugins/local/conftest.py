"""What the tests of this plugin share: a stand-in for llama.cpp, which the real child process loads in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from llmproxy.tasks import spawn
from llmproxy_local.config import ModelSettings
from llmproxy_local.places import Places
from llmproxy_local.server import LocalServer

#: Answers with the key that it was given; weights that say `fail` break it, `slow` lets it take its time.
STAND_IN = dedent(
    """
    import socket, threading, time
    from types import SimpleNamespace

    class CommonParams(SimpleNamespace):
        def __init__(self):
            super().__init__(model=SimpleNamespace(), cpuparams=SimpleNamespace())

    class Server:
        def __init__(self, given):
            said = open(given.model.path).read()
            if "fail" in said:
                raise RuntimeError("no such model")
            time.sleep(0.3 if "slow" in said else 0)
            self.given, self.busy = given, 0
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(given.hostnames[0])
            self.sock.listen()
            threading.Thread(target=self.serve, daemon=True).start()

        def serve(self):
            while True:
                threading.Thread(target=self.answer, args=self.sock.accept()[:1], daemon=True).start()

        def answer(self, peer):
            asked = peer.recv(65536)
            self.busy += 1
            time.sleep(1.5 if b"long" in asked else 0)
            good = b"Bearer " + self.given.api_keys[0].encode() in asked
            body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
            peer.sendall(b"HTTP/1.1 %d X\\r\\nContent-Type: application/json\\r\\nConnection: close\\r\\n"
                         b"Content-Length: %d\\r\\n\\r\\n%b" % (200 if good else 401, len(body), body))
            peer.close()
            self.busy -= 1

        def handle_metrics(self):
            return f"llamacpp:requests_processing {self.busy}\\nllamacpp:requests_deferred 0\\n"
    """
)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-in where child processes look first; give weights that work."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "xllamacpp.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr("llmproxy_local.plugin.check_server", lambda: None)
    weights = tmp_path / "m.gguf"
    weights.write_text("good")
    return weights


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    error = info

    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    async def told(self, *names: str) -> None:
        """Wait until these were logged, and nothing else: a start is told of a moment after it serves."""
        async with asyncio.timeout(15):
            while len(self.events) < len(names):
                await asyncio.sleep(0.01)

        assert tuple(self.names()) == names


class Site:
    """A folder in which servers meet, and those that were made there."""

    def __init__(self, weights: Path) -> None:
        folder = weights.parent / "run"
        folder.mkdir(mode=0o700)
        self.places = Places(folder, "m")
        self.weights = weights
        self.made: list[LocalServer] = []
        self.log = Log()

    def server(self, *, within: float = 10.0, **settings: Any) -> LocalServer:
        """Return one worker's view of the model's server."""
        own = ModelSettings(**settings)
        server = LocalServer(self.places, own, self.weights, within, self.log, spawn)
        self.made.append(server)
        return server


@pytest.fixture
async def site(stand_in: Path) -> AsyncIterator[Site]:
    found = Site(stand_in)
    yield found
    for server in found.made:
        await server.stop()

"""The team's recorded traffic, and the tool that replays it, as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import orjson

SHARED = Path(__file__).parents[3] / "shared"
_TOOL = SHARED / "tools" / "replay_upstream.py"
RECORDINGS = SHARED / "data" / "wire"

PRESENT = _TOOL.is_file() and RECORDINGS.is_dir()


@contextmanager
def replaying(*, chunking: str = "event") -> Iterator[str]:
    """Serve every recording by its handle; give the address, without a slash."""
    port = _free_port()
    command = [
        sys.executable,
        str(_TOOL),
        "serve",
        str(RECORDINGS),
        "--port",
        str(port),
        "--match",
        "handle",
        "--chunking",
        chunking,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


def recordings(dialect: str) -> list[dict[str, Any]]:
    """Return the recorded exchanges of one dialect, of all providers."""
    found = []
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        with path.open("rb") as lines:
            found += [record for record in map(orjson.loads, lines) if record["dialect"] == dialect]
    return found


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        port: int = sock.getsockname()[1]
        return port


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "the replay upstream ended"
        try:
            with urlopen(f"{url}/_replay/stats"):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the replay upstream does not answer")

"""What the tests of dialects share: exchanges as the gateway would make them, the recorded traffic, its judge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.plugin import ClientFace, Exchange, Plugin
from llmproxy.testing import make_exchange

MakeExchange = Callable[..., Exchange]

_SHARED = Path(__file__).parents[3] / "shared"
_RECORDINGS = _SHARED / "data" / "wire"


def read_exchange(
    face: ClientFace,
    path: str,
    body: bytes | dict[str, Any],
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
) -> Exchange:
    """Return an exchange whose caller speaks as `face` says, and whose body has been read."""
    fields = headers if headers is not None else {"Content-Type": "application/json"}
    exchange = make_exchange(method, path, headers=fields, name="test")
    exchange.client_face = face
    exchange.set_body(body if isinstance(body, bytes) else orjson.dumps(body))
    return exchange


def maker(face: Callable[[], ClientFace], path: str, body: bytes = b"{}") -> MakeExchange:
    """Return what makes exchanges of such callers; `path` and `body` are those of most tests."""

    def make(
        path: str = path,
        body: bytes | dict[str, Any] = body,
        headers: dict[str, str] | None = None,
        *,
        method: str = "POST",
    ) -> Exchange:
        return read_exchange(face(), path, body, headers, method=method)

    return make


def offered(plugin: Plugin[Any]) -> dict[str, tuple[Any, Any]]:
    """Return the dialects that a plugin registers: each one's faces to callers and to upstreams."""
    dialects: dict[str, tuple[Any, Any]] = {}

    class Offers:
        def dialect(self, name: str, *, client: Any = None, upstream: Any = None) -> None:
            dialects[name] = (client, upstream)

    registry: Any = Offers()
    plugin.register(registry)
    return dialects


def records(*providers: str) -> Iterator[dict[str, Any]]:
    """Give every recorded exchange, or those of some providers; skip the test where there are none."""
    if not _RECORDINGS.is_dir():
        pytest.skip("the team's recordings are not beside the project")
    for path in sorted(_RECORDINGS.glob("*.jsonl")):
        if not providers or path.stem in providers:
            with path.open("rb") as lines:
                yield from map(orjson.loads, lines)


def whole(recordings: list[dict[str, Any]], *dialects: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the records of these dialects with a good answer in one piece, and its bytes."""
    for record in recordings:
        reply = record["response"]
        if record["dialect"] in dialects and reply["status"] < 300 and "body" in reply:
            yield record, orjson.dumps(reply["body"])


@pytest.fixture(scope="session")
def judge() -> Iterator[Any]:
    """The team's own reading of the dialects, which shares no code with the gateway."""
    tools = _SHARED / "tools"
    if not (tools / "wiresem.py").is_file():
        pytest.skip("the team's judge is not beside the project")
    sys.path.insert(0, str(tools))
    yield import_module("wiresem")
    sys.path.remove(str(tools))

"""Records, and calls that have ended, as the tests need them."""

from __future__ import annotations

from typing import Any

from llmproxy.plugin import Caller, Endpoint, Usage
from llmproxy_calllog.call import Call, Record
from llmproxy_calllog.taking import Ended, Tried

NOW = 1_800_000_000.0


def make_call(**fields: Any) -> Call:
    return Call(**{"at": NOW, "id": "req-1", "tenant": "acme", "route": "chat", "status": 200, **fields})


def make_record(request: str | None = None, answer: str | None = None, **fields: Any) -> Record:
    return Record(make_call(**fields), request, answer)


def make_tried(**fields: Any) -> Tried:
    known: dict[str, Any] = {
        "endpoint": Endpoint("main", "gpt-4o-mini"),
        "status": 200,
        "failure": "",
        "started": 10.001,
        "headers_at": 10.101,
        "first_output_at": 10.201,
        "ended": 10.301,
        "usage": Usage(input=7, output=5),
    }
    return Tried(**{**known, **fields})


def make_ended(**fields: Any) -> Ended:
    known: dict[str, Any] = {
        "wall": NOW,
        "ended": 10.5,
        "started": 10.0,
        "first_byte_at": 10.25,
        "id": "req-1",
        "parent": "",
        "caller": Caller("acme", "web", (("team", "search"),)),
        "route": "chat",
        "dialect": "openai",
        "path": "/v1/chat/completions",
        "model": "fast",
        "streamed": True,
        "status": 200,
        "result": "ok",
        "error": "",
        "answered_by": "",
        "cache": "",
        "cache_status": b"",
        "pool": None,
        "arm": None,
        "bytes_in": 100,
        "bytes_out": 200,
        "tried": (make_tried(),),
    }
    return Ended(**{**known, **fields})

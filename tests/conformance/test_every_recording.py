"""Every kind of recorded traffic has a way through the gateway, and what it used is told, or there is a reason not to.

`golden_usage.json` holds what the calls beside chats used, as numbers alone: what their providers told, sorted by hand
into the gateway's buckets. Chats are judged one by one elsewhere (test_recorded.py, the ledger's test_accounting.py).
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson
import pytest
from tests.integration.replaying import PRESENT, RECORDINGS, replaying

from llmproxy.testing import running_gateway
from llmproxy_ledger.books import FILE, Books

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not PRESENT, reason="the team's recordings are not beside the project"),
]

_CLOUD = "/v1/projects/p/locations/l"
#: Upstreams by name: dialect, what its base URL ends in, what else it needs.
UPSTREAMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai": ("openai", "/v1", {"responses": True}),
    "azure": ("openai", "/openai", {"api_version": "2024-10-21"}),
    "anthropic": ("anthropic", "/v1", {}),
    "anthropic-vertex": ("anthropic-vertex", _CLOUD, {}),
    "bedrock": ("bedrock", "", {}),
    "cohere": ("cohere", "", {}),
    "gemini": ("gemini", "/v1beta", {}),
    "gemini-vertex": ("gemini-vertex", _CLOUD, {}),
    "ollama": ("ollama", "", {}),
}
_LATER = "what a batch used is told when its results are"
_COUNTS = "a count asks no model for an answer"
_LISTS = "nothing is asked of a model"


class Way(NamedTuple):
    """How a kind of traffic goes: to which upstream, and why not all of it tells what it used."""

    upstream: str
    untold: str = ""
    #: Providers whose traffic of this kind goes elsewhere.
    others: dict[str, str] = {}  # noqa: RUF012  # never changed
    #: Why some answers are not told byte for byte.
    anew: str = ""


WAYS = {
    "anthropic.batches": Way("anthropic", _LATER, anew="results are fetched through the gateway"),
    "anthropic.count_tokens": Way("anthropic", _COUNTS),
    "anthropic.messages": Way("anthropic"),
    "anthropic.vertex": Way("anthropic-vertex"),
    "batches": Way("openai", _LATER, {"google": "gemini"}),
    "bedrock.converse": Way("bedrock"),
    "bedrock.converse_stream": Way("bedrock"),
    "bedrock.count": Way("bedrock", _COUNTS),
    "bedrock.invoke": Way("bedrock"),
    "bedrock.invoke_stream": Way("bedrock"),
    "cohere.chat_v1": Way("cohere"),
    "cohere.chat_v2": Way("cohere"),
    "cohere.embed": Way("cohere"),
    "files": Way(
        "openai",
        _LISTS,
        {"google": "gemini", "anthropic": "anthropic"},
        anew="uploads go on through the gateway",
    ),
    "gemini.count": Way("gemini", _COUNTS, {"vertex": "gemini-vertex"}),
    "gemini.embed": Way("gemini", "the Gemini API tells no usage of vectors"),
    "gemini.generate": Way("gemini", others={"vertex": "gemini-vertex"}),
    "gemini.interactions": Way("gemini"),
    "gemini.stream": Way("gemini", others={"vertex": "gemini-vertex"}),
    "mistral.other": Way("openai"),
    "models": Way("openai", _LISTS, {"google": "gemini"}),
    "ollama.chat": Way("ollama"),
    "ollama.generate": Way("ollama"),
    "openai.assistants": Way("openai", "setting up tells nothing; a run tells once it has ended"),
    "openai.audio": Way("openai"),
    "openai.chat": Way("openai", "some streams were not asked to tell it", {"azure": "azure"}),
    "openai.completions": Way("openai", "Writer tells no usage, nor do streams that are not asked to"),
    "openai.embeddings": Way("openai", others={"azure": "azure"}),
    "openai.images": Way("openai"),
    "openai.moderations": Way("openai", "judgements tell no usage"),
    "openai.responses": Way("openai"),
    "openai.responses.compact": Way("openai"),
    "openai.responses.count": Way("openai", _COUNTS),
    "openai.responses.item": Way("openai"),
    "rerank": Way(
        "openai", others={"cohere": "cohere"}, anew="Cohere's own calls are asked for by /v2/rerank"
    ),
    "vertex.predict": Way("gemini-vertex"),
}
#: Paths that the replay reads as another dialect's.
ELSEWHERE = {("writer", "/v1/chat"): "the replay takes it for Cohere's; the gateway passes it to either"}
#: Judged one by one elsewhere; of each provider's, so many go along here.
_CHATS = {"openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "gemini.stream"}
_CHATS |= {"bedrock.converse", "bedrock.converse_stream", "cohere.chat_v2"}
_OF_EACH = 2
GOLDEN: dict[str, list[Any]] = orjson.loads((Path(__file__).parent / "golden_usage.json").read_bytes())
_BUCKETS = ("input", "cache_read", "cache_write", "output", "reasoning", "units", "parts")


def recordings() -> list[dict[str, Any]]:
    """Return all recordings, of chats a few of each provider's."""
    seen: Counter[tuple[str, str, bool]] = Counter()
    found = []
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            record = orjson.loads(line)
            if (record["provider"], (record["request"] or record["route"])["path"]) in ELSEWHERE:
                continue
            kind = record["dialect"], record["provider"], "events" in record["response"]
            seen[kind] += 1
            if kind[0] not in _CHATS or seen[kind] <= _OF_EACH:
                found.append(record)
    return found


def config(replay: str, directory: Path) -> dict[str, Any]:
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "upstreams": {
            name: {"base_url": replay + prefix, "dialect": dialect, "quirks": quirks}
            for name, (dialect, prefix, quirks) in UPSTREAMS.items()
        },
        "plugins": {"access": {"mode": "open"}, "ledger": {"directory": str(directory)}},
        "pipeline": ["access", "ledger"],
        "routes": [
            {"name": name, "match": {"headers": {"x-upstream": name}}, "upstream": name, "meter_usage": False}
            for name in UPSTREAMS
        ],
    }


async def asked(session: aiohttp.ClientSession, record: dict[str, Any]) -> tuple[int, bytes]:
    way, request = WAYS[record["dialect"]], record["request"] or record["route"]
    headers = {key: text for key, text in request.get("headers", {}).items() if key != "content-length"}
    headers |= {"x-replay-id": record["id"], "x-request-id": record["id"]}
    headers["x-upstream"] = way.others.get(record["provider"], way.upstream)
    if record["request"] is None or request.get("body") is not None:
        headers.setdefault("content-type", "application/json")
    if record["provider"] == "anthropic":
        headers.setdefault("anthropic-version", "2023-06-01")
    if "base64" in request:
        body = b64decode(request["base64"])
    elif request.get("text") is not None:
        body = request["text"].encode()
    elif record["request"] is None:
        body = orjson.dumps({"model": "m", "stream": "events" in record["response"], "messages": []})
    else:
        body = b"" if request.get("body") is None else orjson.dumps(request["body"])
    target = f"{request['path']}?{request['query']}".rstrip("?").replace("<", "").replace(">", "")
    async with session.request(request["method"], target, data=body or None, headers=headers) as reply:
        return reply.status, await reply.read()


def same(record: dict[str, Any], got: tuple[int, bytes]) -> bool:
    """Say whether an answer is as it was recorded."""
    reply = record["response"]
    if got[0] != reply["status"]:
        return False
    if "body" in reply:
        return bool(orjson.loads(got[1] or b"null") == reply["body"])
    pieces = reply.get("events") or reply.get("lines")
    if pieces is not None:
        return "".join(pieces).encode().rstrip() == got[1].rstrip()
    if "frames" in reply:
        return b"".join(map(b64decode, reply["frames"])) == got[1]
    return True


def test_each_kind_of_traffic_has_a_way() -> None:
    assert {record["dialect"] for record in recordings()} <= WAYS.keys()


async def test_every_recording_goes_through_and_what_it_used_is_told(tmp_path: Path) -> None:
    records = recordings()
    changed, untold, wrong = [], Counter[str](), []
    with replaying() as replay:
        async with (
            running_gateway(config(replay, tmp_path)) as gateway,
            aiohttp.ClientSession(gateway.url) as session,
        ):
            for record in records:
                got = await asked(session, record)
                if not same(record, got) and not WAYS[record["dialect"]].anew:
                    changed.append((record["dialect"], record["id"], got[0], got[1][:200]))
    books = Books(tmp_path / FILE, reading=True)
    columns = ", ".join(f'"{name}"' for name in ("exchange", "state", "basis", *_BUCKETS))
    # What is told of an earlier call has a row of its own, beside that of the call that fetched it.
    rows = books.ask(f"SELECT {columns} FROM attempts ORDER BY basis = 'belated'")
    told = {row[0]: row[1:] for row in rows}
    books.close()
    for record in records:
        state, basis, *counts = told[record["id"]]
        if (state, basis) not in (("exact", "told"), ("exact", "belated")):
            untold[record["dialect"]] += record["response"]["status"] < 300
        elif (golden := GOLDEN.get(record["id"])) is not None and golden != counts:
            wrong.append((record["id"], golden, counts))

    assert changed == [], "\n".join(map(str, changed))
    assert wrong == []
    assert {kind: count for kind, count in untold.items() if count and not WAYS[kind].untold} == {}
    assert [kind for kind, way in WAYS.items() if way.untold and not untold[kind]] == []

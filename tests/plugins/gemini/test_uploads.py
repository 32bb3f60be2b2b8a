"""Where files go up and down, and where their callers are told to send them."""

from __future__ import annotations

import pytest

from llmproxy.plugin import ClientRequest, Endpoint, Headers, Reply, UpstreamConfig
from llmproxy.stores.memory import MemoryStore
from llmproxy_gemini.client import GeminiClient
from llmproxy_gemini.passing import encode
from llmproxy_gemini.uploads import keep_here, rooted_path, tells_address, ticket_of
from llmproxy_gemini.upstream import GeminiUpstream

TOLD = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=AJjja9Z6EghMkTd5in1efI&upload_protocol=resumable"


@pytest.mark.parametrize(
    ("path", "base", "rooted"),
    [
        ("/upload/v1beta/files", "/v1beta", "/upload/v1beta/files"),
        ("/team/upload/v1beta/files", "/gate/v1beta/", "/gate/upload/v1beta/files"),
        ("/upload/v1/files", "/v1beta", "/upload/v1beta/files"),
        ("/upload/v1beta/files", "", "/upload/v1beta/files"),
        ("/download/v1beta/files/f:download", "/v1beta", "/download/v1beta/files/f:download"),
        ("/v1beta/files/f:download", "/v1beta", None),
        ("/v1beta/files", "/v1beta", None),
        ("/ws/google.ai.x.v1beta.Service.Bidi", "/gate/v1beta", "/gate/ws/google.ai.x.v1beta.Service.Bidi"),
    ],
)
def test_files_stand_beside_the_version(path, base, rooted):
    rest = path.rpartition("/v1beta/")[2] if "/v1beta/" in path else path.rpartition("/v1/")[2]

    assert rooted_path(path, base, rest) == rooted


def test_an_upload_leaves_by_the_host(exchange_for):
    face = GeminiUpstream().for_upstream(
        UpstreamConfig(base_url="https://generativelanguage.googleapis.com/v1beta")
    )
    exchange = exchange_for("/upload/v1beta/files?upload_id=AJ&key=secret", {})

    request = face.encode(exchange, Endpoint("main"), b"{}")

    assert (request.target, request.rooted) == ("/upload/v1beta/files?upload_id=AJ", True)
    assert not encode(exchange_for("/v1beta/files", method="GET"), Endpoint("main"), b"").rooted


async def test_a_file_is_sent_through_the_gateway(exchange_for):
    exchange = exchange_for("/team/upload/v1beta/files", {})
    exchange.request.host, exchange.request.scheme = "gate.example", "https"
    reply = Reply(200, Headers.of({"X-Goog-Upload-URL": TOLD, "X-Goog-Upload-Status": "active"}))

    exchange.route.open_memory = opening(store := MemoryStore())
    await GeminiUpstream().readdress(exchange, reply)

    expected = "https://gate.example/team/upload/v1beta/files?upload_id=AJjja9Z6EghMkTd5in1efI&upload_protocol=resumable"
    assert reply.headers.get("x-goog-upload-url") == expected
    assert store.extent().entries == 1
    assert GeminiUpstream().readdress(exchange, Reply(200)) is None


@pytest.mark.parametrize(("host", "told"), [("", TOLD), ("gate.example", "https://x/upload")])
async def test_an_address_that_leads_nowhere_here_stays(exchange_for, host, told):
    exchange = exchange_for("/upload/v1beta/files", {})
    exchange.request.host = host
    reply = Reply(200, Headers.of({"X-Goog-Upload-URL": told}))
    await keep_here(exchange, reply)

    assert tells_address(reply)
    assert reply.headers.get("x-goog-upload-url") == told
    assert not tells_address(Reply(200))


def opening(store):
    async def open_memory():
        return store

    return open_memory


@pytest.mark.parametrize(
    ("method", "target", "ticket"),
    [
        ("POST", "/upload/v1beta/files?upload_id=AJ&x=1", "AJ"),
        ("PUT", "/team/upload/v1beta/files?upload_id=A%20J", "A J"),
        ("GET", "/upload/v1beta/files?upload_id=AJ", None),
        ("POST", "/upload/v1beta/models/m:generateContent?upload_id=AJ", None),
        ("POST", "/upload/v1beta/files/../models/m:generateContent?upload_id=AJ", None),
        ("POST", "/v1beta/models/upload/v1beta/files?upload_id=AJ", "AJ"),
        ("POST", "/upload/v1beta/files/f?upload_id=AJ", None),
        ("POST", "/upload/v1beta/files", None),
        ("POST", "/v1beta/models/m:generateContent?upload_id=AJ", None),
    ],
)
def test_an_upload_that_goes_on_is_known_by_its_name(method, target, ticket):
    assert GeminiClient().ticket(ClientRequest(method, target, Headers())) == ticket


def test_an_upload_is_named_once() -> None:
    own, others = "own-upload-of-this-caller", "upload-of-somebody-else-x"
    asked = [f"upload_id={own}", f"upload_id={others}&upload_id={own}", f"Upload_Id={others}&upload_id={own}"]

    tickets = [
        ticket_of(ClientRequest("PUT", f"/upload/v1beta/files?{query}", Headers.of({}))) for query in asked
    ]

    assert tickets == [own, None, None]

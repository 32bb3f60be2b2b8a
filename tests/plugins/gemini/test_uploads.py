"""Where files go up and down, and where their callers are told to send them."""

from __future__ import annotations

import pytest

from llmproxy.plugin import Endpoint, Headers, Reply, UpstreamConfig
from llmproxy_gemini.passing import encode
from llmproxy_gemini.uploads import keep_here, rooted_path, tells_address
from llmproxy_gemini.upstream import GeminiUpstream

TOLD = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=AJ&upload_protocol=resumable"


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


def test_a_file_is_sent_through_the_gateway(exchange_for):
    exchange = exchange_for("/team/upload/v1beta/files", {})
    exchange.request.host, exchange.request.scheme = "gate.example", "https"
    reply = Reply(200, Headers.of({"X-Goog-Upload-URL": TOLD, "X-Goog-Upload-Status": "active"}))

    tap = GeminiUpstream().tap(exchange, reply)

    expected = "https://gate.example/team/upload/v1beta/files?upload_id=AJ&upload_protocol=resumable"
    assert reply.headers.get("x-goog-upload-url") == expected
    assert tap is None


@pytest.mark.parametrize(("host", "told"), [("", TOLD), ("gate.example", "https://x/upload")])
def test_an_address_that_leads_nowhere_here_stays(exchange_for, host, told):
    exchange = exchange_for("/upload/v1beta/files", {})
    exchange.request.host = host
    reply = Reply(200, Headers.of({"X-Goog-Upload-URL": told}))
    keep_here(exchange, reply)

    assert tells_address(reply)
    assert reply.headers.get("x-goog-upload-url") == told
    assert not tells_address(Reply(200))

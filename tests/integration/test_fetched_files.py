"""A file behind a URL, asked about in one dialect and answered about in another that takes bytes only."""

import base64
from urllib.parse import urlsplit

import pytest

from llmproxy.testing import FakeUpstream, make_exchange, running_route

PDF = b"%PDF-1.7 a page"
ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "A page."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


def asking_about(url):
    document = {"type": "document", "source": {"type": "url", "url": url}}
    words = {"type": "text", "text": "What is it?"}
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [document, words]}]}
    return make_exchange(path="/v1/messages", headers={"anthropic-version": "2023-06-01"}, body=body)


@pytest.fixture
async def shelf():
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def provider():
    async with FakeUpstream() as upstream:
        upstream.reply(json=ANSWER)
        yield upstream


async def asked(exchange, provider, **fetching):
    config = {"fetching": fetching, "routes": [{"name": "r", "upstream": "upstream"}]}
    async with running_route([], upstream=provider, dialect="openai", config=config) as serving:
        return await serving.serve(exchange)


async def test_a_file_that_may_be_fetched_reaches_the_provider_as_bytes(shelf, provider):
    shelf.reply(body=PDF, headers=[("Content-Type", "application/pdf")])
    port = urlsplit(shelf.url).port

    served = await asked(
        asking_about(f"{shelf.url}/paper.pdf?key=1"), provider, allow=["127.0.0.1"], ports=[port]
    )

    assert served.reply.status == 200
    assert served.exchange.losses == ()
    [fetched], [sent] = shelf.requests, provider.requests
    assert fetched.target == "/paper.pdf?key=1"
    assert "anthropic-version" not in fetched.headers
    [file, _] = sent.json()["messages"][0]["content"]
    assert file["file"]["file_data"] == "data:application/pdf;base64," + base64.b64encode(PDF).decode()


async def test_a_url_that_must_not_be_fetched_is_refused_in_the_callers_dialect(shelf, provider):
    served = await asked(asking_about(f"{shelf.url}/paper.pdf"), provider, ports=[urlsplit(shelf.url).port])

    assert served.reply.status == 400
    error = served.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "does not lead to a public address" in error["message"]
    assert shelf.requests == provider.requests == []


async def test_an_operator_may_have_nothing_fetched_and_the_loss_is_told(shelf, provider):
    served = await asked(asking_about(f"{shelf.url}/paper.pdf"), provider, enabled=False)

    assert served.reply.status == 200
    assert [loss.field for loss in served.exchange.losses] == ["messages[].content[]"]
    assert shelf.requests == []

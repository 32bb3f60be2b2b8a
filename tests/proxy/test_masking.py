"""Keys in what providers say of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.body import Body
from llmproxy.masking import Masked, mask, secrets_among
from llmproxy.messages import Headers, Reply
from llmproxy.testing import FakeUpstream, RawClient, running_gateway

KEY = "sk-abcabcab-the-key"
SECRETS = secrets_among([KEY, "sk-abcabc-other", "short"])


@given(
    st.lists(st.sampled_from([KEY, KEY[:9], KEY[5:], "sk-abcabc-other", "x", "sk-", "short"]), max_size=6),
    st.data(),
)
def test_however_it_is_cut_no_key_is_left_and_all_else_is_as_it_was(
    parts: list[str], data: st.DataObject
) -> None:
    text = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    machine = Masked(SECRETS)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = b"".join([machine.feed(piece) for piece in pieces]) + machine.close()

    assert all(secret not in out for secret in SECRETS)
    assert len(out) == len(text)
    assert out == machine.hidden(text)


def test_short_keys_are_not_looked_for() -> None:
    assert secrets_among(["short", "long-enough"]) == (b"long-enough",)


async def test_header_and_body_of_an_error_are_masked_and_compressed_ones_left() -> None:
    reply = Reply(401, Headers([(b"WWW-Authenticate", b"Bearer " + KEY.encode())]), KEY.encode())
    mask(reply, SECRETS)
    coded = Reply(401, Headers([(b"Content-Encoding", b"gzip")]), KEY.encode())
    mask(coded, SECRETS)

    assert reply.headers.get("www-authenticate") == "Bearer " + "*" * len(KEY)
    assert reply.body == b"*" * len(KEY)
    assert coded.body == KEY.encode()


async def test_an_error_that_is_still_coming_is_masked_as_it_comes() -> None:
    source = Body()
    reply = Reply(401, Headers(), source)
    mask(reply, SECRETS)
    source.feed(b"no: " + KEY[:7].encode())
    source.feed(KEY[7:].encode() + b".")
    source.end()

    assert isinstance(reply.body, Body)
    assert await reply.body.read(1000) == b"no: " + b"*" * len(KEY) + b"."


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_a_provider_that_repeats_the_gateways_key_tells_callers_nothing(status: int) -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}.", "type": "invalid_request_error"}}
    async with FakeUpstream() as upstream:
        upstream.reply(status, json=body)
        tree = {
            "upstreams": {"u": {"base_url": upstream.url, "dialect": "openai", "api_key": "${env:KEY}"}},
            "routes": [{"name": "r", "upstream": "u"}],
        }
        async with running_gateway(tree, environ={"KEY": KEY}) as gateway, RawClient(gateway.url) as client:
            asked = b'{"model": "m", "messages": []}'
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
            reply = await client.exchange(head + b"Content-Length: %d\r\n\r\n%b" % (len(asked), asked))

    assert reply.status == status
    assert KEY.encode() not in reply.body
    assert b"Incorrect API key provided: ****" in reply.body

from __future__ import annotations

import pytest

from llmproxy.plugin import BadRequest


@pytest.mark.parametrize(
    ("path", "body", "streamed"),
    [
        ("/api/chat", b'{"model":"m"}', True),
        ("/api/generate", b'{"model":"m","stream":null}', True),
        ("/api/chat", b'{"model":"m","stream":true}', True),
        ("/api/chat", b'{"model":"m","stream":false}', False),
        ("/api/chat", b'{"model":"m","stream": false, "tools":[{"stream":1}]}', False),
        ("/api/chat", b'{"model":"m","tools":[{"stream":false}]}', True),
        ("/api/chat", b'{"model":"m","str\\u0065am":false}', False),
        ("/api/embed", b'{"model":"m"}', False),
        ("/api/show", b'{"model":"m"}', False),
    ],
)
def test_chats_are_streamed_unless_it_is_said_otherwise(exchange_for, path, body, streamed):
    assert exchange_for(path, body).streamed is streamed


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_the_content_type_does_not_matter(exchange_for, kind):
    assert exchange_for(body=b'{"model":"m"}', headers={"Content-Type": kind}).model == "m"


def test_a_model_may_be_shown_by_its_name(exchange_for):
    assert exchange_for("/api/show", b'{"name":"m"}').model == "m"
    assert exchange_for("/api/show", b'{"name":"n","model":"m"}').model == "m"
    assert exchange_for("/api/chat", b'{"name":"m"}').model is None


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b'{"model":1}', None),
        (b'{"model":"m","stream":"no"}', None),
        (b"{}", {"Content-Encoding": "gzip"}),
    ],
)
def test_what_is_broken_is_refused(exchange_for, body, headers):
    with pytest.raises(BadRequest):
        exchange_for(body=body, headers=headers)


def test_what_is_fetched_has_no_body(exchange_for):
    assert exchange_for("/api/tags", b"{}", method="GET").model is None

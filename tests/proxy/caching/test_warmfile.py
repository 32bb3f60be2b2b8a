from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.caching.fate import FOREVER
from llmproxy.caching.warmfile import BadLine, Wanted, read_lines, read_wanted
from llmproxy.exchange import ANONYMOUS, Caller


def wanted(**tree: Any) -> Wanted:
    return read_wanted(orjson.dumps(tree))


def test_a_path_and_a_body_are_enough() -> None:
    told = wanted(path="/v1/chat/completions", body={"model": "gpt"})

    assert (told.method, told.target, told.body) == ("POST", "/v1/chat/completions", b'{"model":"gpt"}')
    assert told.headers.get("content-type") == "application/json"
    assert (told.caller, told.pinned) == (ANONYMOUS, None)


def test_a_url_names_scheme_and_host_too() -> None:
    told = wanted(url="https://shop.test:8443/a?b=1", headers={"Accept": "text/plain"})

    assert (told.method, told.scheme, told.target) == ("GET", "https", "/a?b=1")
    assert told.headers.get("host") == "shop.test:8443"
    assert "content-type" not in told.headers


def test_it_says_for_whom() -> None:
    told = wanted(path="/a", tenant="acme", key="app", labels={"team": "blue"})

    assert told.caller == Caller("acme", "app", (("team", "blue"),))


def test_text_is_sent_as_it_is() -> None:
    assert wanted(path="/a", body="a=1").body == b"a=1"
    assert "content-type" not in wanted(path="/a", body="a=1").headers


def test_a_reply_pins_an_answer() -> None:
    pinned = wanted(path="/a", reply={"status": 404, "body": "gone", "ttl": "2h"}).pinned

    assert pinned is not None
    assert (pinned.reply.status, pinned.reply.body, pinned.ttl) == (404, b"gone", 7200.0)


def test_a_reply_may_be_what_a_model_says() -> None:
    pinned = wanted(path="/a", reply={"text": "Hello."}).pinned

    assert pinned is not None
    assert (pinned.text, pinned.reply.body) == ("Hello.", b"Hello.")
    assert pinned.reply.headers == ((b"Content-Type", b"text/plain; charset=utf-8"),)


def test_a_pin_without_a_time_stands_for_ever() -> None:
    pinned = wanted(path="/a", reply={"body": {"a": 1}}).pinned

    assert pinned is not None
    assert pinned.ttl == FOREVER
    assert pinned.reply.headers == ((b"Content-Type", b"application/json"),)


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({}, "either 'path' should be there, or 'url'"),
        ({"path": "secret"}, "'path' should begin with '/'"),
        ({"path": "/a", "url": "http://secret/"}, "either 'path'"),
        ({"url": "ftp://secret/"}, "either 'path'"),
        ({"url": "http://secret@host/"}, "either 'path'"),
        ({"url": "http://[secret/"}, "'url' should be a URL"),
        ({"path": "/a", "tennant": "secret"}, "did you mean 'tenant'?"),
        ({"path": "/a", "zzzzzzzzzzz": "secret"}, "known: method, path"),
        ({"path": "/a", "headers": {"X": 1}}, "'headers' should be an object of texts"),
        ({"path": "/a", "headers": {"X": "secret\r\nY: 1"}}, "no line's end"),
        ({"path": "/a", "headers": {"secret: x": ""}}, "names of header fields"),
        ({"path": "/a", "key": "secret"}, "need a 'tenant'"),
        ({"path": "/a", "labels": ["secret"]}, "'labels' should be"),
        ({"path": "/a", "method": 1}, "'method' should be text"),
        ({"path": "/a", "reply": "secret"}, "'reply' should be an object"),
        ({"path": "/a", "reply": {"boddy": "secret"}}, "did you mean 'body'?"),
        ({"path": "/a", "reply": {"status": 99}}, "from 200 to 599"),
        ({"path": "/a", "reply": {"text": "secret", "body": "secret"}}, "either 'reply.body'"),
        ({"path": "/a", "reply": {"ttl": "secret"}}, "a time such as 30d"),
    ],
)
def test_what_is_wrong_is_told_without_its_words(tree: dict[str, Any], says: str) -> None:
    with pytest.raises(BadLine) as caught:
        wanted(**tree)

    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_lines_keep_their_numbers_and_one_bad_line_spoils_no_other() -> None:
    told = list(read_lines(b'# two\n\n{"path": "/a"}\r\n[1]\nsecret\n{"path": "/b"}'))

    assert [number for number, _ in told] == [3, 4, 5, 6]
    assert [str(each) for _, each in told if isinstance(each, BadLine)] == [
        "should be a JSON object",
        "not JSON",
    ]
    assert [each.target for _, each in told if isinstance(each, Wanted)] == ["/a", "/b"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["method", "path", "url", "headers", "body", "tenant", "reply", "ttl", "x"]),
                inner,
            )
        ),
    )
)
def test_whatever_is_written_is_read_or_refused(tree: Any) -> None:
    for _, told in read_lines(orjson.dumps(tree)):
        assert isinstance(told, Wanted | BadLine)

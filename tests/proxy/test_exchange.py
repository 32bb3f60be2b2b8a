import asyncio
from types import SimpleNamespace

import pytest

from llmproxy.body import Body, BodyTooLarge
from llmproxy.errors import BadRequest
from llmproxy.exchange import ANONYMOUS, Caller, Edit, Exchange, MessageEdit, StateKey, Usage
from llmproxy.messages import ClientRequest, Headers
from llmproxy.route import Route
from llmproxy.settings import Match


class Face:
    """A face whose body is a model's name; it refuses `broken`."""

    def open(self, exchange, body):
        if body == b"broken":
            raise BadRequest("bad_json", "Broken.")
        exchange.model = body.decode()

    def edits(self, body, messages):
        return [Edit(len(body), len(body), f"+{each.text}".encode()) for each in messages]


def make_exchange(upload=b"", *, face=None, max_body=100, options=None):
    route = Route("r", Match(), max_body=max_body, options=options or {})
    exchange = Exchange(ClientRequest("POST", "/x", Headers()), route, "e-1", 0.0)
    exchange.upload = upload
    exchange.client_face = face
    return exchange


def test_state_is_kept_by_typed_key():
    key, other = StateKey[int]("n"), StateKey[int]("n")
    exchange = make_exchange()
    exchange.state[key] = 1

    assert exchange.state[key] == exchange.state.get(key) == 1
    assert exchange.state.get(other) is None
    assert repr(key) == "StateKey('n')"
    with pytest.raises(KeyError):
        exchange.state[other]


def test_usage_sums_its_buckets():
    assert Usage(input=1, cache_read=2, cache_write=4, output=8, reasoning=16).total == 31


def test_nobody_is_known_until_a_plugin_says_who_asks():
    exchange = make_exchange()

    assert exchange.caller is ANONYMOUS
    assert Caller("default") == ANONYMOUS


def test_a_plugin_finds_its_route_options_by_its_name():
    assert make_exchange(options={"cache": "5m"}).options(SimpleNamespace(name="cache")) == "5m"


async def test_the_body_is_read_once_and_opened_by_the_face():
    upload = Body()
    exchange = make_exchange(upload, face=Face())
    upload.feed(b"gpt")
    upload.end()

    assert not exchange.has_body
    assert await exchange.body() == b"gpt"
    assert await exchange.body() == b"gpt"
    assert exchange.has_body
    assert (exchange.model, exchange.upload) == ("gpt", None)


async def test_a_request_without_a_body_has_an_empty_one():
    exchange = make_exchange(None)

    assert await exchange.body() == b""
    assert exchange.has_body


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_body_larger_than_the_route_takes_is_refused_each_time_it_is_asked_for(streamed):
    upload = b"abcd"
    if streamed:
        upload = Body()
        upload.feed(b"abcd")
    exchange = make_exchange(upload, max_body=3)

    for _ in range(2):
        with pytest.raises(BadRequest, match="larger than 3 bytes") as caught:
            await exchange.body()
        assert (caught.value.status, caught.value.code) == (413, "body_too_large")
    assert isinstance(caught.value.__cause__, BodyTooLarge)
    assert not exchange.has_body


async def test_an_upload_that_broke_is_never_taken_for_an_empty_one():
    upload = Body()
    upload.fail(ConnectionResetError("gone"))
    exchange = make_exchange(upload)

    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await exchange.body()


async def test_an_upload_that_a_plugin_gave_up_reading_is_never_taken_for_an_empty_one():
    exchange = make_exchange(Body())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await exchange.body()
    with pytest.raises(ConnectionAbortedError, match="given up"):
        await exchange.body()


async def test_a_body_broken_for_its_dialect_is_refused_each_time_it_is_asked_for():
    exchange = make_exchange(b"broken", face=Face())

    for _ in range(2):
        with pytest.raises(BadRequest, match="Broken"):
            await exchange.body()
    assert exchange.model is None


async def test_edits_change_byte_ranges_and_are_opened_again():
    exchange = make_exchange(b"gpt-4-mini", face=Face())
    await exchange.edit(Edit(4, 5, b"5"), Edit(5, 10, b""))

    assert await exchange.body() == b"gpt-5"
    assert exchange.model == "gpt-5"


async def test_messages_are_placed_by_the_face():
    exchange = make_exchange(b"a", face=Face())
    await exchange.edit(MessageEdit(0, "system", "b"))

    assert await exchange.body() == b"a+b"


async def test_an_edit_that_breaks_the_body_leaves_it_as_it_was():
    exchange = make_exchange(b"gpt", face=Face())

    with pytest.raises(BadRequest):
        await exchange.edit(Edit(0, 3, b"broken"))
    assert await exchange.body() == b"gpt"


async def test_a_route_without_conversations_takes_no_message():
    exchange = make_exchange(b"a")

    with pytest.raises(BadRequest, match="hold no conversation"):
        await exchange.edit(MessageEdit(0, "system", "b"))


def test_a_body_that_says_the_same_is_read_again_only_where_its_members_are_known():
    exchange = make_exchange(face=Face())
    exchange.set_body(b"gpt")
    exchange.set_body(b"gpt and more", reread=False)
    kept = exchange.model, exchange.body_at_hand
    exchange.members = {"model": None}
    exchange.set_body(b"other", reread=False)

    assert kept == ("gpt", b"gpt and more")
    assert exchange.model == "other"

import asyncio

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmproxy.body import Body
from llmproxy.messages import (
    ClientRequest,
    Headers,
    Reply,
    Spellings,
    StoredReply,
    UpstreamRequest,
    is_stream,
)
from llmproxy.sse import Event

NAMES = st.text(st.sampled_from("abXY-_09!#$%&'*+.^`|~"), min_size=1, max_size=5)
VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=10)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(PAIRS)
def test_headers_come_out_as_they_went_in(pairs):
    headers = Headers.of(pairs)

    assert list(headers) == pairs
    assert len(headers) == len(pairs)
    assert headers.raw == [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    assert list(headers.copy()) == pairs


@given(PAIRS, NAMES)
def test_names_are_looked_up_without_regard_to_case(pairs, wanted):
    headers = Headers.of(pairs)
    values = [value for name, value in pairs if name.lower() == wanted.lower()]

    assert headers.get_all(wanted) == headers.get_all(wanted.upper()) == values
    assert headers.get(wanted.swapcase()) == (values[-1] if values else None)
    assert (wanted in headers) == bool(values)


@given(PAIRS, NAMES, VALUES)
def test_set_replaces_every_field_of_a_name_by_one(pairs, name, value):
    headers = Headers.of(pairs)
    _ = headers.index
    headers.set(name, value)

    assert list(headers) == [pair for pair in pairs if pair[0].lower() != name.lower()] + [(name, value)]
    assert headers.get(name) == value


@given(PAIRS, NAMES)
def test_remove_drops_every_field_of_a_name_and_no_other(pairs, name):
    headers = Headers.of(pairs)
    headers.remove(name.swapcase())

    assert list(headers) == [pair for pair in pairs if pair[0].lower() != name.lower()]
    assert headers.get(name) is None


@given(st.text(max_size=8), st.text(max_size=8))
@example("X", "a\r\nY: b")
@example("X\r\nY", "a")
@example("X: a", "b")
def test_whatever_is_accepted_is_one_line_of_header(name, value):
    """RFC 9110 §5.5: CR, LF and NUL never get through."""
    headers = Headers()
    try:
        headers.add(name, value)
    except ValueError:
        return
    ((field, text),) = headers.raw

    assert not set(field + text) & set(b"\r\n\0")
    assert not set(field) & set(b" :\t")


@pytest.mark.parametrize("mark", ["\r", "\n", "\0", "\r\nX: y"])
@pytest.mark.parametrize("kind", [str, bytes])
def test_line_breaks_and_nul_are_refused_and_change_nothing(mark, kind):
    def given(text):
        return text.encode() if kind is bytes else text

    headers = Headers.of({"X": "kept"})
    for name, value in [("X", f"a{mark}"), (f"X{mark}", "a")]:
        for change in (headers.add, headers.set):
            with pytest.raises(ValueError, match=r"line break or NUL|cannot be the name"):
                change(given(name), given(value))
        with pytest.raises(ValueError, match=r"line break or NUL|cannot be the name"):
            Headers.of([(given(name), given(value))])

    assert list(headers) == [("X", "kept")]


@pytest.mark.parametrize("name", ["", "a b", "a:", "a:b", " a", "é"])
def test_a_name_must_be_a_token(name):
    """RFC 9110 §5.6.2."""
    with pytest.raises(ValueError, match="cannot be the name of a header"):
        Headers().add(name, "a")


def test_a_value_of_other_letters_cannot_break_out():
    """U+010A ends in the byte of a line feed."""
    assert Headers.of({"X": "aĊb"}).raw == [(b"X", b"a?b")]


def test_a_change_is_seen_by_the_next_look_up():
    headers = Headers.of({"A": "1"})
    _ = headers.index
    headers.add("a", "2")

    assert headers.get("A") == "2"


def test_a_copy_is_changed_alone():
    headers = Headers.of({"A": "1"})
    headers.copy().set("A", "2")

    assert headers.get("A") == "1"


def test_values_never_show_in_a_repr():
    headers = Headers.of({"Authorization": "Bearer secret", "X": "secret"})
    stored = StoredReply(200, headers.raw, b"secret")

    assert repr(headers) == "Headers(Authorization, X)"
    for thing in (Reply(200, headers, b"secret"), stored, UpstreamRequest("GET", "/", headers, b"secret")):
        assert "secret" not in repr(thing)


def test_a_target_is_split_into_path_and_query():
    request = ClientRequest("GET", "/a%20b?x=1&y=%41&x=2&z", Headers())

    assert (request.path, request.query) == ("/a%20b", "x=1&y=%41&x=2&z")
    assert request.parameters() == {"x": "2", "y": "A", "z": ""}


def test_a_request_without_a_query_has_no_parameters():
    assert ClientRequest("GET", "/", Headers()).parameters() == {}


def test_a_json_reply_says_so():
    reply = Reply.json({"a": 1}, 201, {"content-type": "application/x+json", "X": "1"})

    assert (reply.status, reply.body) == (201, b'{"a":1}')
    assert list(reply.headers) == [("content-type", "application/x+json"), ("X", "1")]
    assert Reply.json([]).headers.get("content-type") == "application/json"


def test_a_text_reply_says_so():
    reply = Reply.text("ä")

    assert (reply.status, reply.body) == (200, "ä".encode())
    assert reply.headers.get("content-type") == "text/plain; charset=utf-8"


def test_a_reply_knows_whether_its_body_is_still_coming():
    assert not Reply(204).streamed
    assert Reply(200, body=Body()).streamed
    assert repr(Reply(204)) == "<Reply 204 0 bytes>"
    assert repr(Reply(200, body=Body())) == "<Reply 200 streamed>"


@pytest.mark.parametrize(
    ("kind", "is_stream"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("application/json", False),
        (None, False),
    ],
)
def test_an_event_stream_is_known_by_its_content_type(kind, is_stream):
    assert Reply(200, Headers.of({"Content-Type": kind} if kind else {})).is_event_stream is is_stream


async def test_events_leave_as_an_event_stream():
    async def events():
        yield Event(b"a")
        yield Event(b"b", event=b"x")

    reply = Reply.events(events())

    assert reply.is_event_stream
    assert reply.headers.get("cache-control") == "no-cache"
    assert await reply.body.read(100) == b"data: a\n\nevent: x\ndata: b\n\n"


@pytest.mark.parametrize("begun", [True, False])
async def test_the_events_source_is_closed_when_the_caller_leaves(begun):
    closed = []

    async def events():
        try:
            yield Event(b"looked at")
            yield Event(b"a")
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    source = events()
    await anext(source)
    body = Reply.events(source).body
    if begun:
        pieces = body.pieces()

        assert await anext(pieces) == b"data: a\n\n"

        await pieces.aclose()
    body.abandon()
    for _ in range(5):
        await asyncio.sleep(0)

    assert closed == [True]


async def test_events_that_cannot_be_closed_are_let_go():
    class Plain:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    assert await Reply.events(Plain()).body.read(1) == b""


def test_a_stored_reply_can_be_given_to_many():
    stored = StoredReply(200, [(b"X", b"1")], orjson.dumps([1]))
    one, two = stored.replay(), stored.replay()
    one.headers.set("X", "2")
    one.status = 500

    assert (two.status, two.headers.get("X"), two.body) == (200, "1", b"[1]")
    assert stored.headers == ((b"X", b"1"),)
    assert repr(stored) == "<StoredReply 200 3 bytes>"


def test_an_underscore_is_no_way_around_a_name_that_is_left_out():
    passes = Spellings(frozenset({b"x-internal-token"}))

    assert not passes[b"X_Internal_Token"]
    assert passes[b"X_Internal"]


def test_spellings_are_remembered_up_to_a_bound():
    passes = Spellings(frozenset({b"host"}))

    seen = [passes[b"X-%d" % number] for number in range(3000)]

    assert all(seen)
    assert not passes[b"HoSt"]
    assert passes[b"hostess"]
    assert len(passes) <= Spellings.MOST


def test_a_sound_field_is_put_in_the_place_of_all_of_its_name():
    headers = Headers.of([("X-A", "1"), ("b", "2"), ("x-a", "3")])
    headers.put(b"x-a", (b"X-a", b"4"))

    assert headers.raw == [(b"b", b"2"), (b"X-a", b"4")]
    assert headers.index == {b"b": b"2", b"x-a": b"4"}


@pytest.mark.parametrize(
    ("kind", "is_lines"),
    [
        ("application/x-ndjson", True),
        ("Application/X-NDJSON; charset=utf-8", True),
        ("application/stream+json", True),
        ("application/json", False),
        ("text/event-stream", False),
        ("", False),
    ],
)
def test_a_stream_of_lines_is_known_by_its_content_type(kind, is_lines):
    reply = Reply(200, Headers.of({"Content-Type": kind} if kind else {}))

    assert reply.is_line_stream is is_lines
    assert reply.is_stream is (is_lines or kind == "text/event-stream")
    assert is_stream(kind.encode()) is reply.is_stream

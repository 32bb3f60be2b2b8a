"""What callers name as their session, and what conversations begin with."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Caller
from llmproxy.testing import make_exchange
from llmproxy_balance.sessions import key_of, prefix_of, session_of

USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "yes?"}


def dumps(**fields):
    return orjson.dumps({"model": "m", **fields})


@pytest.mark.parametrize(
    ("fields", "session"),
    [
        ({"prompt_cache_key": "k", "user": "u"}, b"k"),
        ({"conversation": "conv_1"}, b"conv_1"),
        ({"conversation": {"id": "conv_2"}}, b"conv_2"),
        ({"metadata": {"user_id": "user_x_session_y"}}, b"user_x_session_y"),
        ({"user": "u"}, b"u"),
        ({"user": 5, "metadata": [], "conversation": {}}, None),
        ({}, None),
    ],
)
def test_a_body_names_its_session(fields, session):
    assert session_of(dumps(**fields)) == session


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"user":"\xff"}'])
def test_what_is_no_object_names_none(body):
    assert session_of(body) is None
    assert prefix_of(body) is None


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (dumps(messages=[USER]), dumps(messages=[USER, ANSWER, USER])),
        (
            dumps(messages=[{"role": "system", "content": "s"}, USER]),
            dumps(messages=[{"role": "system", "content": "s"}, USER, ANSWER, USER], temperature=1),
        ),
        (dumps(system="s", messages=[USER]), dumps(system="s", messages=[USER, ANSWER, USER])),
        (dumps(contents=[{"parts": [1]}]), dumps(contents=[{"parts": [1]}, {"parts": [2]}, {"parts": [3]}])),
        (dumps(input=[USER], instructions="i"), dumps(input=[USER, ANSWER, USER], instructions="i")),
        (dumps(input="hello"), dumps(stream=True, input="hello")),
    ],
)
def test_the_turns_of_a_conversation_begin_alike(first, later):
    assert prefix_of(first) == prefix_of(later) is not None


def test_conversations_that_begin_otherwise_are_others():
    bodies = [
        dumps(messages=[USER]),
        dumps(messages=[{"role": "user", "content": "bye"}]),
        dumps(messages=[USER], tools=[]),
        dumps(messages=[USER], system="a"),
        dumps(messages=[{"role": "system", "content": "a"}, USER]),
        dumps(input="hello"),
        dumps(input="hello", instructions="a"),
    ]

    assert len({prefix_of(body) for body in bodies}) == len(bodies)


def test_the_first_kind_that_a_request_has_counts():
    exchange = make_exchange(headers={"X-Team": "red"})

    assert key_of(exchange, b"{}", ("session", "prefix")) is None
    assert key_of(exchange, b"{}", ("session", "header:x-team")) == key_of(exchange, b"", ("header:X-Team",))
    assert key_of(exchange, b"{}", ("tenant", "header:x-team")) == key_of(exchange, b"", ("tenant",))


def test_a_session_that_a_header_names_comes_before_the_bodys():
    named = make_exchange(headers={"X-Session-Id": "one"})

    assert key_of(named, dumps(user="u"), ("session",)) == key_of(named, dumps(user="v"), ("session",))
    assert key_of(make_exchange(), dumps(user="u"), ("session",)) != key_of(
        make_exchange(), dumps(user="v"), ("session",)
    )


@given(st.text(min_size=1), st.text(min_size=1))
def test_tenants_never_share_a_key(one, other):
    def key(tenant):
        return key_of(make_exchange(caller=Caller(tenant)), dumps(user="u"), ("session",))

    assert (key(one) == key(other)) == (one == other)

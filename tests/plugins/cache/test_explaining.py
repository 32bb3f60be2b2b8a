"""What a key is made of, and where two differ."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.plugins.cache.conftest import Asked

from llmproxy.caches import Part, differences, nearest
from llmproxy.plugin import Caller
from llmproxy_cache.explaining import parts_of
from llmproxy_cache.key import KeyMaker
from llmproxy_cache.normalise import Normalisation, Normaliser

SECRET = "The launch code is 0000"
CHAT: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SECRET}],
    "temperature": 0,
    "response_format": {"type": "json_object"},
    "tools": [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b"}},
    ],
}
MAKER = KeyMaker(Normaliser(Normalisation()))


@pytest.fixture
def parts(asked: Asked) -> Any:
    def made(
        body: Any = CHAT, *args: Any, scope: str = "tenant", sharer: str = "", **known: Any
    ) -> list[Part]:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return parts_of(MAKER, asked(body, *args, **known), data, scope=scope, sharer=sharer)

    return made


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"temperature": 0.2}, ["temperature"]),
        ({"messages": [CHAT["messages"][0], {"role": "user", "content": "x"}]}, ["messages[1]"]),
        ({"messages": CHAT["messages"][:1]}, ["messages[1]"]),
        ({"tools": [*CHAT["tools"][:1], {"type": "function", "function": {"name": "c"}}]}, ["tools[1]"]),
        ({"response_format": {"type": "text"}}, ["response_format.type"]),
        ({"seed": 7}, ["seed"]),
    ],
)
def test_the_part_that_differs_is_named(parts: Any, changed: dict[str, Any], named: list[str]) -> None:
    found = differences(parts({**CHAT, **changed}), parts())

    assert [each.name for each in found] == named


@pytest.mark.parametrize(
    ("known", "named"),
    [
        ({"model": "other"}, "model"),
        ({"path": "/v2/chat/completions"}, "path"),
        ({"headers": {"OpenAI-Beta": "x"}}, "header openai-beta"),
        ({"scope": "tenant", "sharer": "u"}, "scope tenant"),
    ],
)
def test_so_is_what_stands_beside_the_body(parts: Any, known: dict[str, Any], named: str) -> None:
    assert [each.name for each in differences(parts(**known), parts())] == [named]


def test_numbers_are_shown_and_texts_are_not(parts: Any) -> None:
    told = parts({**CHAT, "user": "alice"}, sharer="alice")

    assert Part("temperature", told[-3].digest, "0") in told
    assert SECRET not in repr(told)
    assert "alice" not in repr(told)
    assert "Be brief" not in repr(told)


def test_equal_texts_of_two_tenants_look_different(parts: Any) -> None:
    ours, theirs = parts(caller=Caller("us")), parts(caller=Caller("them"))

    assert {each.digest for each in ours}.isdisjoint(each.digest for each in theirs)


def test_a_long_conversation_is_told_in_bounds(parts: Any) -> None:
    long = {"messages": [{"role": "user", "content": str(turn)} for turn in range(500)]}
    told = parts(long)

    assert len(told) < 100
    assert told[-1].name == "messages[64:]"


def test_a_field_that_says_something_by_its_name_is_told_as_a_digest(parts: Any) -> None:
    told = parts({**CHAT, SECRET: 1, "response_format": {SECRET: 1}})

    assert SECRET not in repr(told)
    assert sum("#" in part.name for part in told) == 2


def test_a_huge_body_is_one_part(parts: Any) -> None:
    assert parts({"messages": [{"role": "user", "content": "x" * 2_000_000}]})[-1].name == "body"


def test_the_nearest_of_earlier_keys_is_told(parts: Any) -> None:
    far, near = parts({**CHAT, "seed": 1, "n": 2, "temperature": 1}), parts({**CHAT, "temperature": 0.5})
    found = nearest(parts(), [far, near])

    assert found is not None
    assert [(each.name, each.here, each.there) for each in found] == [("temperature", "0", "0.5")]
    assert nearest(parts(), []) is None


def test_across_dialects_only_what_is_meant_is_told(asked: Asked) -> None:
    maker = KeyMaker(Normaliser(Normalisation()), across=True)
    turns = [{"role": "user", "content": "Hi"}]
    chat = {"model": "m", "messages": turns, "temperature": 0, "max_tokens": 9}
    messages = {**chat, "temperature": 0.5}
    told = [
        parts_of(maker, asked(body, path, wire=wire), orjson.dumps(body))
        for body, path, wire in (
            (chat, "/v1/chat/completions", "openai"),
            (messages, "/v1/messages", "anthropic"),
        )
    ]

    assert [each.name for each in differences(*told)] == ["temperature"]


def test_numbers_that_are_too_long_to_compare_count_by_themselves(parts: Any) -> None:
    body = b'{"messages": [], "seed": %d}'

    assert "long numbers" in [each.name for each in parts(body % 10**40)]
    assert [each.name for each in differences(parts(body % 10**40), parts(body % (10**40 + 1)))] == [
        "long numbers"
    ]
